"""What a running attempt says of itself: progress and log lines, written while it stays RUNNING."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.batching import Batcher
from taskflow_core.db import Database, until_answered


@dataclass(frozen=True)
class Report:
    """One line: the progress, or a message of the handler."""

    kind: Literal["PROGRESS", "LOG"]
    data: dict[str, Any]


@dataclass(frozen=True)
class Reports:
    """All that one attempt has to say in one go, in order."""

    task_id: UUID
    attempt: int
    session_id: int
    worker: str
    lines: tuple[Report, ...]
    execution_id: UUID | None = None  # of the task


# Several lines of one task take consecutive numbers, ending at its new last_sequence. Only a RUNNING task has
# a session.
REPORT = """
WITH lines AS (
  SELECT * FROM unnest(
    $1::uuid[], $2::int[], $3::bigint[], $4::text[], $5::int[], $6::text[], $7::text[]) AS lines (
    id, attempt, session_id, worker, place, kind, data)
), totals AS (
  SELECT id, attempt, session_id, count(*) AS count,
    (array_agg(data ORDER BY place DESC) FILTER (WHERE kind = 'PROGRESS'))[1] AS progress
  FROM lines GROUP BY id, attempt, session_id
), moved AS (
  UPDATE tasks t SET
    progress = coalesce(totals.progress::jsonb -> 'progress', t.progress),
    last_sequence = t.last_sequence + totals.count
  FROM totals
  WHERE t.id = ANY($1::uuid[]) AND t.id = totals.id AND t.attempt = totals.attempt AND t.session_id = totals.session_id
  RETURNING t.id, t.tenant_id, t.attempt, t.last_sequence - totals.count AS before
)
INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
SELECT moved.id, moved.before + lines.place, moved.tenant_id, lines.kind, 'RUNNING', moved.attempt, lines.worker,
  lines.data::jsonb
FROM moved JOIN lines ON lines.id = moved.id AND lines.attempt = moved.attempt
RETURNING task_id
"""


class NodeProgress(Protocol):
    """Tells executions how far their tasks have come."""

    def reported(self, execution_id: UUID, task_id: UUID, attempt: int, worker: str) -> None:
        """The progress of a task was written."""


class TaskReporting:
    """Writes progress and log lines of running attempts, batched over all tasks of the worker."""

    def __init__(self, database: Database, announcer: Announcer, node_progress: NodeProgress) -> None:
        self._database = database
        self._announcer = announcer
        self._node_progress = node_progress
        self._batcher: Batcher[Reports, None] = Batcher(self._write)

    async def report(self, reports: Reports) -> None:
        """Write the lines, unless the attempt has ended meanwhile."""
        await self.put(reports)

    def put(self, reports: Reports) -> "asyncio.Future[None]":
        """Hand them over without waiting; the future is done when they are written. One of an attempt at a time."""
        return self._batcher.put(reports)

    async def drain(self) -> None:
        """Wait until everything handed over is written."""
        await self._batcher.drain()

    async def _write(self, batch: Sequence[Reports]) -> list[None]:
        lines = [
            (r.task_id, r.attempt, r.session_id, r.worker, place, line.kind, json.dumps(line.data))
            for r in sorted(batch, key=lambda r: r.task_id)
            for place, line in enumerate(r.lines, start=1)
        ]

        async def once() -> set[UUID]:
            rows = await self._database.by_key.fetch(REPORT, *map(list, zip(*lines, strict=True)))
            return {row["task_id"] for row in rows}

        # A report may be written twice if its answer was lost: numbered anew, so no number is doubled.
        written = await until_answered(once, "report progress")
        self._announcer.announce(Announcement(task_id) for task_id in written)
        for r in batch:
            if r.execution_id is not None and r.task_id in written and r.lines[-1].kind == "PROGRESS":
                self._node_progress.reported(r.execution_id, r.task_id, r.attempt, r.worker)
        return [None] * len(batch)
