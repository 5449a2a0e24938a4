"""How far the tasks of node runs have come, in the logs of their executions: coalesced before it is numbered."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.arrays import Arrays
from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.executions.planned import outline
from taskflow_core.executions.reading import RUN_COLUMNS, run_of
from taskflow_core.models import ExecutionEvent
from taskflow_core.states import ExecutionEventKind
from taskflow_core.tasks.rows import Row

log = structlog.get_logger()

# At most this often (seconds) does the log of an execution tell of one node run's progress.
INTERVAL = 1.0
GIVE_UP_AFTER = 30.0  # seconds without the database

# Whoever moves an execution comes first: progress waits for its next turn.
LOCK = """
SELECT id, tenant_id, status, last_sequence FROM workflow_executions
WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED
"""
# While its execution is locked, no task of it can end.
RUNS = f"""
SELECT n.execution_id, {", ".join(f"n.{name}" for name in RUN_COLUMNS)}, t.progress, a.worker,
  t.attempt AS task_attempt, t.started_at AS task_started_at
FROM unnest($2::uuid[], $3::int[], $4::text[]) AS a (task_id, attempt, worker)
JOIN tasks t ON t.id = a.task_id AND t.attempt = a.attempt
JOIN node_runs n ON n.task_id = t.id AND n.execution_id = t.execution_id
WHERE t.id = ANY($2::uuid[]) AND n.task_id = ANY($2::uuid[]) AND n.execution_id = ANY($1::uuid[])
  AND t.status = 'RUNNING' AND n.status = 'RUNNING'
ORDER BY n.execution_id, n.place
"""  # noqa: S608 - the columns are our own
COUNT = """
UPDATE workflow_executions e SET last_sequence = e.last_sequence + told.count
FROM unnest($1::uuid[], $2::int[]) AS told (id, count)
WHERE e.id = ANY($1::uuid[]) AND e.id = told.id
"""
EVENTS = Arrays(ExecutionEvent, ("execution_id", "sequence", "tenant_id", "kind", "status", "actor", "data"))
INSERT_EVENTS = f"""
INSERT INTO execution_events ({EVENTS.names}) SELECT {EVENTS.values()} FROM {EVENTS.rows}
"""  # noqa: S608 - the columns are our own


class NodeProgress:
    """Writes NODE_PROGRESS events, those of all executions in one transaction, at most one of a node run per interval.

    It is a view of what the tasks' own logs say in full: what cannot be written in time is left out.
    """

    def __init__(self, database: Database, announcer: Announcer, interval: float = INTERVAL) -> None:
        self._database = database
        self._announcer = announcer
        self._interval = interval
        self._waiting: dict[UUID, tuple[UUID, int, str]] = {}  # by task: execution, attempt, worker
        self._writer: asyncio.Task[None] | None = None

    def reported(self, execution_id: UUID, task_id: UUID, attempt: int, worker: str) -> None:
        """The progress of a task was written; its execution is told of it soon. Never waits and never fails."""
        self._waiting[task_id] = (execution_id, attempt, worker)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_waiting())

    async def drain(self) -> None:
        """Stop. What was not written yet is of tasks that run no more."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])

    async def _write_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                try:
                    told = await until_answered(
                        partial(self._write, batch),
                        "report progress of node runs",
                        give_up_after=GIVE_UP_AFTER,
                    )
                except Exception:  # told in the log; the next report says how far it is by then
                    log.exception("progress of node runs was not written", tasks=len(batch))
                else:
                    for task_id, report in batch.items():
                        if report[0] not in told:
                            self._waiting.setdefault(task_id, report)
                await asyncio.sleep(self._interval)
        finally:
            # In the same step that saw nothing waiting: what comes next starts anew.
            self._writer = None

    async def _write(self, batch: Mapping[UUID, tuple[UUID, int, str]]) -> set[UUID]:
        """The executions that were not locked by others, whose logs now tell what there was to tell."""
        async with self._database.pool.acquire() as connection, connection.transaction():
            wanted = list({execution_id for execution_id, _, _ in batch.values()})
            locked = {row["id"]: row for row in await connection.fetch(LOCK, wanted)}
            runs = await connection.fetch(
                RUNS,
                list(locked),
                list(batch),
                [attempt for _, attempt, _ in batch.values()],
                [worker for _, _, worker in batch.values()],
            )
            counts = await _write_events(connection, locked, runs)
        self._announcer.announce(Announcement(execution_id) for execution_id in counts)
        return set(locked)


async def _write_events(
    connection: Connection, locked: Mapping[UUID, Row], runs: Sequence[Row]
) -> dict[UUID, int]:
    """How many were written of which execution."""
    counts: dict[UUID, int] = {}
    events: list[dict[str, Any]] = []
    for row in runs:
        execution = locked[row["execution_id"]]
        counts[execution["id"]] = counts.get(execution["id"], 0) + 1
        run = run_of(row)
        # As readers see it: the attempts of the task count as they start.
        run.attempt += row["task_attempt"]
        run.started_at = row["task_started_at"]
        events.append(
            {
                "execution_id": execution["id"],
                "sequence": execution["last_sequence"] + counts[execution["id"]],
                "tenant_id": execution["tenant_id"],
                "kind": ExecutionEventKind.NODE_PROGRESS,
                "status": execution["status"],
                "actor": row["worker"],
                "data": {"node_run": outline(run) | {"progress": row["progress"]}},
            }
        )
    if events:
        await connection.execute(INSERT_EVENTS, *EVENTS.of(events))
        await connection.execute(COUNT, list(counts), list(counts.values()))
    return counts
