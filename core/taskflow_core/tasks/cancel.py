"""SCHEDULED | QUEUED | RETRYING -> CANCELLED, and asking a RUNNING task to stop."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import WrongStatus
from taskflow_core.queue import REDIS_ERRORS, Queue
from taskflow_core.states import TaskStatus
from taskflow_core.tasks.executions import Executions
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.rows import Row

log = structlog.get_logger()

# Seconds for Redis to pass a cancellation on, which the heartbeat brings anyhow.
PATIENCE = 2.0

# One UPDATE decides: its CASE sees the row as it is when the lock is held, so a task that was just
# claimed is asked to stop instead of being overtaken.
CANCEL = """
WITH moved AS (
  UPDATE tasks SET
    status = CASE WHEN status = 'RUNNING' THEN 'RUNNING' ELSE 'CANCELLED' END,
    finished_at = CASE WHEN status = 'RUNNING' THEN NULL ELSE now() END,
    cancel_requested_at = now(),
    cancel_reason = $4,
    last_sequence = last_sequence + 1
  WHERE id = ANY($1::uuid[]) AND ($2::text IS NULL OR tenant_id = $2)
    AND cancel_requested_at IS NULL
    AND (status IN ('SCHEDULED', 'QUEUED', 'RETRYING') OR (status = 'RUNNING' AND $5))
  RETURNING id, tenant_id, status, attempt, session_id, last_sequence
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
  SELECT id, last_sequence, tenant_id,
    CASE WHEN status = 'RUNNING' THEN 'CANCEL_REQUESTED' ELSE 'CANCELLED' END,
    status, attempt, $3, jsonb_build_object('message', $4::text, 'call', $6::text)
  FROM moved
)
SELECT id, status, attempt, session_id FROM moved
"""

# After a commit whose answer was lost, the log tells what the call has done.
FIND_DONE = """
SELECT e.kind, t.id, t.status, t.attempt, t.session_id
FROM task_events e JOIN tasks t ON t.id = e.task_id
WHERE e.task_id = ANY($1::uuid[]) AND t.id = ANY($1::uuid[])
  AND e.kind IN ('CANCELLED', 'CANCEL_REQUESTED') AND e.data ->> 'call' = $2
"""


# An execution is locked before its tasks are moved; which one a task belongs to never changes.
FIND_EXECUTIONS = (
    "SELECT DISTINCT execution_id FROM tasks WHERE id = ANY($1::uuid[]) AND execution_id IS NOT NULL"
)


@dataclass(frozen=True)
class Cancellations:
    """What became of tasks that were to be cancelled."""

    cancelled: int
    requested: int


class TaskCancellation:
    """Cancels tasks and tells the workers that run them."""

    def __init__(
        self, database: Database, queue: Queue, announcer: Announcer, executions: Executions
    ) -> None:
        self._database = database
        self._queue = queue
        self._announcer = announcer
        self._executions = executions

    async def cancel(self, tenant_id: str, task_id: UUID, actor: str, reason: str) -> Row:
        """Cancel one task and return its row; a running one is asked to stop.

        Repeating it changes nothing. Raises NotFound, and WrongStatus if the task SUCCEEDED or FAILED.
        """
        await self.cancel_all(tenant_id, [task_id], actor, reason)
        row = await get_task(self._database, tenant_id, task_id)
        if row["status"] in (TaskStatus.SUCCEEDED, TaskStatus.FAILED) and row["cancel_requested_at"] is None:
            raise WrongStatus(
                "task", str(task_id), row["status"], ["SCHEDULED", "QUEUED", "RUNNING", "RETRYING"]
            )
        return row

    async def cancel_all(
        self, tenant_id: str | None, task_ids: Sequence[UUID], actor: str, reason: str
    ) -> Cancellations:
        """Cancel those of the tasks that are not final. `tenant_id` is None for the service itself."""
        tries, call = 0, str(uuid4())

        async def once() -> tuple[Sequence[Row], Sequence[Row]]:
            nonlocal tries
            tries += 1
            before = await self._database.by_key.fetch(FIND_DONE, task_ids, call) if tries > 1 else []
            arguments = (task_ids, tenant_id, actor, reason, True, call)
            executions = await self._database.by_key.fetch(FIND_EXECUTIONS, task_ids)
            if not executions:
                return before, await self._database.by_key.fetch(CANCEL, *arguments)
            async with self._database.pool.acquire() as connection, connection.transaction():
                locked = await self._executions.lock(connection, (row["execution_id"] for row in executions))
                moved = list(await connection.fetch(CANCEL, *arguments))
                advanced = await self._executions.after_tasks(connection, locked, moved)
            await self._executions.say(advanced)
            return before, moved

        # Safe to repeat: a row that was cancelled, or asked, is not matched again.
        before, moved = await until_answered(once, "cancel tasks", give_up_after=5)
        self._announcer.announce(Announcement(row["id"]) for row in (*before, *moved))
        running = [row for row in (*before, *moved) if row["status"] == TaskStatus.RUNNING]
        await tell_workers(self._queue, running)
        kinds = Counter(row["kind"] for row in before)
        requested = sum(row["status"] == TaskStatus.RUNNING for row in moved)
        return Cancellations(
            cancelled=kinds["CANCELLED"] + len(moved) - requested,
            requested=kinds["CANCEL_REQUESTED"] + requested,
        )


async def tell_workers(queue: Queue, running: Sequence[Row]) -> None:
    """Tell the workers of these tasks to stop, at once; their next heartbeats would bring it too."""
    try:
        async with asyncio.timeout(PATIENCE):
            for row in running:
                await queue.tell_cancel(row["session_id"], row["id"], row["attempt"])
    except REDIS_ERRORS as error:
        log.warning("redis: cancellations wait for the heartbeat", error=repr(error))


async def cancel_waiting(connection: Connection, task_id: UUID, actor: str, *, reason: str) -> None:
    """Cancel one task if it still waits; do nothing otherwise."""
    await connection.fetch(CANCEL, [task_id], None, actor, reason, False, str(uuid4()))
