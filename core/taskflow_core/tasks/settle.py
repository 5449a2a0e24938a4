"""RUNNING -> SUCCEEDED | RETRYING | FAILED | CANCELLED | QUEUED: how an attempt ends."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.arrays import crossed, crossing
from taskflow_core.batching import Batcher
from taskflow_core.db import Database, until_answered
from taskflow_core.queues.held import HeldTasks
from taskflow_core.queues.rooms import GUARDED, QueueKey
from taskflow_core.tasks.executions import Executions
from taskflow_core.tasks.rows import Row, hint_if_near


class Settlement(NamedTuple):
    """How an attempt ended, as its worker saw it.

    A task that was asked to stop becomes CANCELLED instead of RETRYING, FAILED or QUEUED; a result stands.
    """

    task_id: UUID
    attempt: int
    session_id: int
    worker: str
    status: Literal["SUCCEEDED", "RETRYING", "FAILED", "CANCELLED", "QUEUED"]
    outcome: Literal["SUCCEEDED", "FAILED", "CANCELLED", "RELEASED", "LOST"]
    result: str | None = None  # JSON text
    result_url: str | None = None  # instead of the text of a large one
    error: dict[str, Any] | None = None  # type, message, stack_trace, attempt
    delay: float = 0.0  # seconds until the next attempt, with RETRYING and QUEUED
    message: str | None = None
    dead_letter_reason: str | None = None  # with FAILED, and only then; so is the fingerprint
    error_fingerprint: str | None = None
    execution_id: UUID | None = None  # of the task


_ENDED = {
    "id": "uuid",
    "attempt": "int",
    "session_id": "bigint",
    "worker": "text",
    "status": "text",
    "outcome": "text",
    "result": "text",
    "error": "text",
    "delay": "float8",
    "message": "text",
    "dead_letter_reason": "text",
    "error_fingerprint": "text",
    "result_url": "text",
}

# Only a RUNNING task has a session: the table itself holds that, and the fence needs no other guard.
SETTLE = f"""
WITH ended AS (
  SELECT * FROM {crossed(_ENDED)} AS ended
), moved AS (
  UPDATE tasks t SET
    status = CASE
      WHEN t.cancel_requested_at IS NOT NULL AND ended.status <> 'SUCCEEDED' THEN 'CANCELLED' ELSE ended.status END,
    session_id = NULL, claim_token = NULL, attempt_deadline = NULL,
    run_at = CASE WHEN ended.status IN ('RETRYING', 'QUEUED')
      THEN now() + make_interval(secs => ended.delay) ELSE t.run_at END,
    failed_attempts = t.failed_attempts + (ended.outcome = 'FAILED')::int,
    crashes = t.crashes + (ended.outcome = 'LOST')::int,
    error = coalesce(ended.error::jsonb, t.error),
    dead_letter_reason = CASE WHEN t.cancel_requested_at IS NULL THEN ended.dead_letter_reason END,
    error_fingerprint = CASE WHEN t.cancel_requested_at IS NULL THEN ended.error_fingerprint END,
    finished_at = CASE
      WHEN ended.status IN ('RETRYING', 'QUEUED') AND t.cancel_requested_at IS NULL THEN NULL ELSE now() END,
    last_sequence = t.last_sequence + 1
  FROM ended
  WHERE t.id = ANY($1::uuid[]) AND t.id = ended.id AND t.attempt = ended.attempt
    AND t.session_id = ended.session_id
  RETURNING t.id, t.tenant_id, t.status, t.attempt, t.queue, t.priority, t.run_at, t.last_sequence,
    t.attempt_started_at, t.cancel_reason, ended.session_id, ended.worker, ended.outcome, ended.result,
    ended.result_url, ended.error, ended.message
), results AS (
  INSERT INTO task_results (task_id, tenant_id, result, result_url)
  SELECT id, tenant_id, result, result_url FROM moved WHERE status = 'SUCCEEDED'
), attempts AS (
  INSERT INTO task_attempts (task_id, attempt, tenant_id, session_id, worker, outcome, error, started_at)
  SELECT id, attempt, tenant_id, session_id, worker, outcome, error::jsonb, attempt_started_at FROM moved
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
  SELECT id, last_sequence, tenant_id, CASE status WHEN 'QUEUED' THEN 'RELEASED' ELSE status END,
    status, attempt, worker,
    CASE status
      WHEN 'SUCCEEDED' THEN NULL
      WHEN 'RETRYING' THEN jsonb_build_object('error', error::jsonb, 'next_attempt_time', run_at)
      WHEN 'FAILED' THEN jsonb_build_object('error', error::jsonb)
      WHEN 'CANCELLED' THEN jsonb_build_object('message', coalesce(cancel_reason, message))
      ELSE jsonb_build_object('message', message)
    END
  FROM moved
)
SELECT id, attempt, status, queue, priority, run_at, now() AS now, tenant_id, EXISTS (
  SELECT FROM queues q WHERE q.tenant_id = moved.tenant_id AND q.name = moved.queue AND {GUARDED}) AS guarded
FROM moved
"""  # noqa: S608 - the condition is our own

# After a commit whose answer was lost, the attempt's own row tells that it was ours.
FIND_SETTLED = """
SELECT a.task_id, a.attempt FROM task_attempts a
JOIN unnest($1::uuid[], $2::int[], $3::bigint[]) AS ended (id, attempt, session_id)
  ON a.task_id = ended.id AND a.attempt = ended.attempt AND a.session_id = ended.session_id
WHERE a.task_id = ANY($1::uuid[])
"""


class TaskSettlement:
    """Writes how attempts ended; those that end together share one statement and one commit.

    The statement is fenced by session and attempt: a worker that lost its lease cannot overwrite.
    """

    def __init__(
        self, database: Database, announcer: Announcer, held: HeldTasks, executions: Executions
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._held = held
        self._executions = executions
        self._batcher: Batcher[Settlement, bool] = Batcher(self._settle)

    async def settle(self, settlement: Settlement) -> bool:
        """Write the end of an attempt; False if the attempt was no longer the worker's to end.

        Repeats until the database answers.
        """
        return await self.put(settlement)

    def put(self, settlement: Settlement) -> "asyncio.Future[bool]":
        """Hand it over without waiting; the future has what `settle` returns."""
        return self._batcher.put(settlement)

    async def drain(self) -> None:
        """Wait until everything handed over is written."""
        await self._batcher.drain()

    async def _settle(self, batch: Sequence[Settlement]) -> list[bool]:
        # Sorted, so that two writers that meet on the same rows lock them in the same order.
        ordered = sorted(batch, key=lambda s: s.task_id)
        tries = 0

        async def once() -> set[tuple[UUID, int]]:
            nonlocal tries
            tries += 1
            moved = await self._move(ordered)
            self._announcer.announce(_announcement(row) for row in moved)
            self._held.release({QueueKey(row["tenant_id"], row["queue"]) for row in moved if row["guarded"]})
            settled = {(row["id"], row["attempt"]) for row in moved}
            if tries > 1 and len(settled) < len(ordered):
                before = await self._find_settled(ordered)
                # Their hints come with the sweep; whoever watches them is told now.
                self._announcer.announce(Announcement(task_id) for task_id, _ in before)
                settled |= before
            return settled

        settled = await until_answered(once, "settle attempts")
        return [(s.task_id, s.attempt) in settled for s in batch]

    async def _move(self, ordered: Sequence[Settlement]) -> Sequence[Row]:
        """Settle them; in the same transaction the executions that they belong to move on."""
        of_executions = {s.task_id: s.execution_id for s in ordered if s.execution_id is not None}
        if not of_executions:
            return await self._database.by_key.fetch(SETTLE, *_columns(ordered))
        async with self._database.by_key.acquire() as connection, connection.transaction():
            locked = await self._executions.lock(connection, of_executions.values())
            moved = await connection.fetch(SETTLE, *_columns(ordered))
            advanced = await self._executions.after_tasks(
                connection, locked, [row for row in moved if row["id"] in of_executions]
            )
        await self._executions.say(advanced)
        return moved

    async def _find_settled(self, batch: Sequence[Settlement]) -> set[tuple[UUID, int]]:
        rows = await self._database.by_key.fetch(
            FIND_SETTLED,
            [s.task_id for s in batch],
            [s.attempt for s in batch],
            [s.session_id for s in batch],
        )
        return {(row["task_id"], row["attempt"]) for row in rows}


def _columns(batch: Sequence[Settlement]) -> list[list[Any] | None]:
    columns: tuple[list[Any], ...] = (
        [s.task_id for s in batch],
        [s.attempt for s in batch],
        [s.session_id for s in batch],
        [s.worker for s in batch],
        [s.status for s in batch],
        [s.outcome for s in batch],
        [s.result for s in batch],
        [None if s.error is None else json.dumps(s.error) for s in batch],
        [s.delay for s in batch],
        [s.message for s in batch],
        [s.dead_letter_reason for s in batch],
        [s.error_fingerprint for s in batch],
        [s.result_url for s in batch],
    )
    return [crossing(column) for column in columns]


def _announcement(row: Row) -> Announcement:
    waits = row["status"] in ("RETRYING", "QUEUED")
    return Announcement(row["id"], hint_if_near(row, row["now"]) if waits else None)
