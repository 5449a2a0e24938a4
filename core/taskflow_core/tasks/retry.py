"""FAILED | CANCELLED -> QUEUED: putting finished tasks back to work."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Database, until_answered
from taskflow_core.errors import AlreadyExists, WrongStatus
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.rows import Row, columns, hint_of

# A deadline that has passed is lifted: it would cancel the task at once.
RETRY = f"""
WITH moved AS (
  UPDATE tasks t SET
    status = 'QUEUED', run_at = now(), finished_at = NULL, failed_attempts = 0, crashes = 0, progress = NULL,
    cancel_requested_at = NULL, cancel_reason = NULL, dead_letter_reason = NULL,
    expire_at = CASE WHEN t.expire_at > now() THEN t.expire_at END,
    last_sequence = t.last_sequence + 1
  WHERE id = ANY($1::uuid[]) AND tenant_id = $2 AND status IN ('FAILED', 'CANCELLED')
  RETURNING {columns("t")}
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
  SELECT id, last_sequence, tenant_id, 'REPLAYED', status, attempt, $3, jsonb_build_object('message', $4::text)
  FROM moved
)
SELECT * FROM moved
"""  # noqa: S608 - the columns are our own


class TaskRetry:
    """Puts finished tasks back to QUEUED, with their attempts counted anew."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer

    async def retry(self, tenant_id: str, task_id: UUID, actor: str, reason: str) -> Row:
        """Put one task back and return its row.

        Raises NotFound, WrongStatus, and AlreadyExists if another task holds its unique key by now.
        """
        try:
            moved = await self.retry_all(tenant_id, [task_id], actor, reason)
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists(
                f"another task holds the unique key of task {task_id}",
                reason="UNIQUE_KEY_HELD",
                task_id=str(task_id),
            ) from error
        if moved:
            return moved[0]
        row = await get_task(self._database, tenant_id, task_id)
        raise WrongStatus("task", str(task_id), row["status"], ["FAILED", "CANCELLED"])

    async def retry_all(
        self, tenant_id: str, task_ids: Sequence[UUID], actor: str, reason: str
    ) -> Sequence[Row]:
        """Put back those of the tasks that are FAILED or CANCELLED, all or none, and return their rows."""

        async def once() -> list[Row]:
            return list(await self._database.pool.fetch(RETRY, task_ids, tenant_id, actor, reason))

        moved = await until_answered(once, "retry tasks", give_up_after=5)
        self._announcer.announce(Announcement(row["id"], hint_of(row)) for row in moved)
        return moved
