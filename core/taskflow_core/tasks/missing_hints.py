"""Putting back hints that Redis lacks: their sender died before it sent them, or Redis has lost them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from taskflow_core.db import Database
from taskflow_core.queue import EPOCH_KEY, Hint, Queue
from taskflow_core.tasks.rows import Row, hint_of

# Waiting rows in the order of their due time, from a cursor on.
WAITING_QUEUED = """
SELECT id, queue, priority, attempt, run_at FROM tasks
WHERE status = 'QUEUED' AND NOT held AND run_at < now() - interval '2 seconds' AND (run_at, id) > ($1, $2)
ORDER BY run_at, id LIMIT $3
"""
WAITING_TIMED = """
SELECT id, queue, priority, attempt, run_at FROM tasks
WHERE status IN ('RETRYING', 'SCHEDULED') AND run_at < now() + make_interval(secs => $4) AND (run_at, id) > ($1, $2)
ORDER BY run_at, id LIMIT $3
"""

# A task may have started, and its hint been dropped, between the look at its row and the look at Redis.
STILL_WAITING = """
SELECT id, attempt FROM tasks
WHERE id = ANY($1::uuid[]) AND status IN ('QUEUED', 'RETRYING', 'SCHEDULED')
"""

# Rows of one slice, and of all slices of one look.
SLICE = 1_000
MOST = 10_000

Cursor: TypeAlias = tuple[datetime, UUID]
BEGINNING: Cursor = (datetime.fromisoformat("1970-01-01T00:00:00+00:00"), UUID(int=0))


@dataclass
class _Walk:
    """How far the rows of a statement were looked at.

    `front` follows the time: what has come due since the last look is looked at once, at once. After a wipe it starts
    anew, and `is_urgent` until it has come to the end. `patrol` goes over all that waits, again and again and slowly,
    for what Redis has lost since.
    """

    statement: str
    arguments: Sequence[Any]
    front: Cursor = BEGINNING
    is_urgent: bool = False
    patrol: Cursor = BEGINNING


class MissingHints:
    """Looks at what waits in PostgreSQL, and gives it the hints that are not in Redis."""

    def __init__(self, database: Database, queue: Queue, *, horizon: float) -> None:
        """`horizon`: seconds before its time from which a timer has its hint."""
        self._database = database
        self._queue = queue
        self.horizon = horizon
        self._walks = (_Walk(WAITING_QUEUED, ()), _Walk(WAITING_TIMED, (horizon,)))
        self._epoch: bytes | None = None  # of Redis, at the last look

    async def look(self) -> int:
        """Put back what is missing of the next rows, and of all after a wipe of Redis; how many hints that were."""
        if await self._is_wiped():
            for walk in self._walks:
                walk.front, walk.is_urgent = BEGINNING, True
        restored = 0
        for walk in self._walks:
            restored += await self._advance_front(walk)
            restored += await self._patrol(walk)
        return restored

    async def _is_wiped(self) -> bool:
        """Whether Redis has lost everything since the last look here, whoever may have seen it before."""
        async with self._queue.redis.pipeline(transaction=False) as pipe:
            # A mark that is lost with all hints.
            pipe.set(EPOCH_KEY, uuid4().hex, nx=True)
            pipe.get(EPOCH_KEY)
            was_missing, epoch = await pipe.execute()
        known, self._epoch = self._epoch, epoch
        return bool(was_missing) or known not in (None, epoch)

    async def _advance_front(self, walk: _Walk) -> int:
        restored = seen = 0
        while walk.is_urgent or seen < MOST:
            rows, found = await self._look_from(walk, walk.front)
            restored += found
            seen += len(rows)
            if rows:
                walk.front = _after(rows)
            if len(rows) < SLICE:
                walk.is_urgent = False
                break
        return restored

    async def _patrol(self, walk: _Walk) -> int:
        """One slice, and on at full speed where one hint is missing: there may be more."""
        restored = seen = 0
        while seen < MOST:
            rows, found = await self._look_from(walk, walk.patrol)
            restored += found
            seen += len(rows)
            is_end = len(rows) < SLICE
            walk.patrol = BEGINNING if is_end else _after(rows)
            if is_end or not found:
                break
        return restored

    async def restore(self, hints: Sequence[Hint]) -> int:
        """Add those of the hints that Redis lacks and whose tasks still wait; how many that were."""
        missing: list[Hint] = []
        for _, group in groupby(sorted(hints, key=lambda h: h.lane), key=lambda h: h.lane):
            missing += await self._queue.missing(list(group))
        if not missing:
            return 0
        waiting = {
            (row["id"], row["attempt"])
            for row in await self._database.by_key.fetch(STILL_WAITING, [hint.task_id for hint in missing])
        }
        lost = [hint for hint in missing if (hint.task_id, hint.attempt) in waiting]
        await self._queue.enqueue(lost)
        return len(lost)

    async def _look_from(self, walk: _Walk, cursor: Cursor) -> tuple[list[Row], int]:
        """The rows of the next slice, and how many hints were put back for them."""
        rows: list[Row] = list(
            await self._database.pool.fetch(walk.statement, *cursor, SLICE, *walk.arguments)
        )
        return rows, await self.restore([hint_of(row) for row in rows])


def _after(rows: Sequence[Row]) -> Cursor:
    return rows[-1]["run_at"], rows[-1]["id"]
