"""Replaying dead letters: a task of the service's own that puts others back to QUEUED, batch by batch.

Each batch is one transaction: it holds the replay task, moves dead letters, and counts them in the progress of
the replay task. So a crash between two batches loses no count, a later attempt goes on where the last one
stopped, and an attempt that was cancelled or fenced off moves nothing more.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Database, until_answered
from taskflow_core.dead_letters.read import DeadLetterReader
from taskflow_core.dead_letters.selection import Selection
from taskflow_core.progress import Progress
from taskflow_core.service_tasks import REPLAY
from taskflow_core.tasks.create import NewTask
from taskflow_core.tasks.retry import NewPayload, retry_dead_letters
from taskflow_core.tasks.rows import Row, hint_of

# What one transaction moves at most.
MAX_BATCH = 500
# Batches a second when there is a rate: often enough to be smooth, seldom enough to be cheap.
BATCHES_PER_SECOND = 10

# Who asked and when, and how far earlier attempts came.
FIND_ORDER = """
SELECT t.created_at, created.actor, latest.progress
FROM tasks t
JOIN task_events created ON created.task_id = t.id AND created.sequence = 1
LEFT JOIN LATERAL (
  SELECT data -> 'progress' AS progress FROM task_events
  WHERE task_id = t.id AND kind = 'PROGRESS' ORDER BY sequence DESC LIMIT 1) AS latest ON true
WHERE t.id = $1
"""

HOLD = """
SELECT progress FROM tasks
WHERE id = $1 AND attempt = $2 AND status = 'RUNNING' AND cancel_requested_at IS NULL
FOR UPDATE
"""

COUNT = """
WITH counted AS (
  UPDATE tasks t SET progress = $2::jsonb, last_sequence = t.last_sequence + 1
  FROM worker_sessions s WHERE t.id = $1 AND s.id = t.session_id
  RETURNING t.id, t.last_sequence, t.tenant_id, t.status, t.attempt, s.worker
)
INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
SELECT id, last_sequence, tenant_id, 'PROGRESS', status, attempt, worker, jsonb_build_object('progress', $2::jsonb)
FROM counted
"""


class ReplayStopped(Exception):
    """The attempt is not the replay task's any more, or it was asked to stop: nothing more is moved."""


@dataclass(frozen=True)
class ReplayOrder:
    """What a replay is to do; the payload of its task. `max_rate` is in tasks a second, 0 for as fast as can be."""

    selection: Selection
    payload: NewPayload | None = None
    max_rate: float = 0.0
    reason: str = ""

    @property
    def batch_size(self) -> int:
        """Tasks to replay in one batch."""
        if self.max_rate == 0:
            return MAX_BATCH
        return min(max(1, int(self.max_rate / BATCHES_PER_SECOND)), MAX_BATCH)

    @property
    def seconds_per_batch(self) -> float:
        """From the start of one full batch to that of the next."""
        return self.batch_size / self.max_rate if self.max_rate else 0.0

    def task(
        self, *, tenant_id: str, actor: str, queue: str, priority: str, request_id: str | None
    ) -> NewTask:
        """The task that carries this out. Raises InvalidArgument (INVALID_FILTER)."""
        self.selection.conditions(tenant_id)
        content = {
            "task_ids": [str(task_id) for task_id in self.selection.ids],
            "filter": self.selection.filter,
            "new_payload": None if self.payload is None else asdict(self.payload),
            "max_rate": self.max_rate,
            "reason": self.reason,
        }
        return NewTask(
            tenant_id=tenant_id,
            actor=actor,
            name="Replay dead letters",
            task_type=REPLAY,
            queue=queue,
            priority=priority,
            payload=json.dumps({key: value for key, value in content.items() if value}),
            payload_form="STRUCT",
            request_id=request_id,
        )

    @classmethod
    def read(cls, payload: dict[str, Any]) -> "ReplayOrder":
        """From the payload of its task. Raises KeyError, TypeError or ValueError if it is none."""
        new_payload = payload.get("new_payload")
        return cls(
            Selection(tuple(map(UUID, payload.get("task_ids", ()))), payload.get("filter", "")),
            None if new_payload is None else _new_payload(**new_payload),
            float(payload.get("max_rate", 0)),
            str(payload.get("reason", "")),
        )


def _new_payload(text: str, form: Literal["STRUCT", "JSON"]) -> NewPayload:
    return NewPayload(text, form)


@dataclass(frozen=True)
class ReplayRun:
    """One attempt of a replay task, at a place in its work.

    `asked_at` is when the replay was asked for: what failed later, or again, is not its business. `replayed` of
    `total` counts all attempts; `place` is the last dead letter that this attempt has looked at.
    """

    tenant_id: str
    task_id: UUID
    attempt: int
    order: ReplayOrder = field(repr=False)
    actor: str
    asked_at: datetime
    replayed: int
    total: int
    place: tuple[datetime, UUID] | None = None
    finished: bool = False

    @property
    def skipped(self) -> int:
        """Those that somebody else replayed or discarded, or whose unique key is held."""
        return max(self.total - self.replayed, 0) if self.finished else 0


class DeadLetterReplay:
    """Carries out replays, on behalf of running tasks of type `taskflow.replay`."""

    def __init__(self, database: Database, announcer: Announcer, reader: DeadLetterReader) -> None:
        self._database = database
        self._announcer = announcer
        self._reader = reader

    async def begin(self, tenant_id: str, task_id: UUID, attempt: int, order: ReplayOrder) -> ReplayRun:
        """The run of an attempt, from where earlier attempts stopped. Raises ReplayStopped."""
        found = await self._database.pool.fetchrow(FIND_ORDER, task_id)
        if found is None:
            raise ReplayStopped(f"task {task_id} is gone")
        if found["progress"] is None:
            replayed, total = 0, await self._total(tenant_id, order.selection, found["created_at"])
        else:
            replayed, total = int(found["progress"]["current"]), int(found["progress"]["total"])
        run = ReplayRun(
            tenant_id, task_id, attempt, order, found["actor"], found["created_at"], replayed, total
        )
        return await self._move(run, [])

    async def next_batch(self, run: ReplayRun) -> ReplayRun:
        """Replay the next `batch_size` dead letters, and return where the run is then. Raises ReplayStopped."""
        size = run.order.batch_size
        found = await self._reader.oldest(
            run.tenant_id, run.order.selection, size + 1, dead_before=run.asked_at, after=run.place
        )
        batch = found[:size]
        run = await self._move(run, [task_id for _, task_id in batch])
        return replace(run, place=batch[-1] if batch else run.place, finished=len(found) <= size)

    async def _total(self, tenant_id: str, selection: Selection, asked_at: datetime) -> int:
        if selection.ids:
            return len(set(selection.ids))
        return await self._reader.count(tenant_id, selection, dead_before=asked_at)

    async def _move(self, run: ReplayRun, task_ids: Sequence[UUID]) -> ReplayRun:
        async def once() -> tuple[int, list[Row]]:
            async with self._database.pool.acquire() as connection, connection.transaction():
                held = await connection.fetchrow(HOLD, run.task_id, run.attempt)
                if held is None:
                    raise ReplayStopped(f"task {run.task_id} was cancelled or is run by another attempt")
                moved = await retry_dead_letters(
                    connection,
                    run.tenant_id,
                    task_ids,
                    run.actor,
                    run.order.reason,
                    dead_before=run.asked_at,
                    payload=run.order.payload,
                )
                # From the row, because a commit whose answer was lost has counted already.
                before = run.replayed if held["progress"] is None else int(held["progress"]["current"])
                replayed = before + len(moved)
                progress = Progress().followed_by(current=replayed, total=run.total, unit="tasks")
                await connection.execute(COUNT, run.task_id, asdict(progress))
                return replayed, moved

        replayed, moved = await until_answered(once, "replay dead letters")
        self._announcer.announce(Announcement(row["id"], hint_of(row)) for row in moved)
        self._announcer.announce([Announcement(run.task_id)])
        return replace(run, replayed=replayed)
