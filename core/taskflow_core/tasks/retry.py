"""FAILED | CANCELLED -> QUEUED: putting finished tasks back to work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import AlreadyExists, PartOfExecution, WrongStatus
from taskflow_core.models import DEAD_LETTER
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.rows import Row, columns, hint_of

# The task of a node is not put back: its execution has gone on, and RetryExecution runs the node again.
# A deadline that has passed is lifted: it would cancel the task at once. With $7 only dead letters of up to
# then are moved, so that one replay does not take a task twice.
RETRY = f"""
WITH found AS MATERIALIZED (
  SELECT id FROM tasks
  WHERE id = ANY($1::uuid[]) AND tenant_id = $2 AND status IN ('FAILED', 'CANCELLED') AND execution_id IS NULL
    AND ($7::timestamptz IS NULL OR ({DEAD_LETTER} AND finished_at <= $7))
  ORDER BY id FOR UPDATE
), moved AS (
  UPDATE tasks t SET
    status = 'QUEUED', run_at = now(), finished_at = NULL, failed_attempts = 0, crashes = 0, progress = NULL,
    cancel_requested_at = NULL, cancel_reason = NULL, dead_letter_reason = NULL, error_fingerprint = NULL,
    discarded_at = NULL, replays = t.replays + (t.status = 'FAILED')::int,
    payload = coalesce($5, t.payload), payload_form = coalesce($6, t.payload_form),
    expire_at = CASE WHEN t.expire_at > now() THEN t.expire_at END,
    last_sequence = t.last_sequence + 1
  FROM found WHERE t.id = found.id
  RETURNING {columns("t")}
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
  SELECT id, last_sequence, tenant_id, 'REPLAYED', status, attempt, $3, jsonb_build_object('message', $4::text)
  FROM moved
)
SELECT * FROM moved
"""  # noqa: S608 - the columns and the condition are our own

# The payloads of many tasks together could be too much to carry.
RETRY_ALL = RETRY.replace("SELECT * FROM moved", "SELECT id, queue, priority, attempt, run_at FROM moved")


@dataclass(frozen=True)
class NewPayload:
    """What replaces the payload of a task, and how it was written."""

    text: str
    form: Literal["STRUCT", "JSON"]


class TaskRetry:
    """Puts finished tasks back to QUEUED, with their attempts counted anew."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer

    async def retry(self, tenant_id: str, task_id: UUID, actor: str, reason: str) -> Row:
        """Put one task back and return its row.

        Raises NotFound, WrongStatus, PartOfExecution, and AlreadyExists if another task holds its unique key by now.
        """

        async def once() -> Row | None:
            return await self._database.pool.fetchrow(RETRY, *_arguments(tenant_id, [task_id], actor, reason))

        try:
            moved = await until_answered(once, "retry a task", give_up_after=5)
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists(
                f"another task holds the unique key of task {task_id}",
                reason="UNIQUE_KEY_HELD",
                task_id=str(task_id),
            ) from error
        if moved is not None:
            self._announcer.announce([Announcement(moved["id"], hint_of(moved))])
            return moved
        row = await get_task(self._database, tenant_id, task_id)
        if row["execution_id"] is not None:
            raise PartOfExecution(str(task_id), str(row["execution_id"]))
        raise WrongStatus("task", str(task_id), row["status"], ["FAILED", "CANCELLED"])

    async def retry_all(self, tenant_id: str, task_ids: Sequence[UUID], actor: str, reason: str) -> int:
        """Put back those of the tasks that are FAILED or CANCELLED, all or none, and return how many."""

        async def once() -> list[Row]:
            arguments = _arguments(tenant_id, task_ids, actor, reason)
            return list(await self._database.pool.fetch(RETRY_ALL, *arguments))

        moved = await until_answered(once, "retry tasks", give_up_after=5)
        self._announcer.announce(Announcement(row["id"], hint_of(row)) for row in moved)
        return len(moved)


async def retry_dead_letters(
    connection: Connection,
    tenant_id: str,
    task_ids: Sequence[UUID],
    actor: str,
    reason: str,
    *,
    dead_before: datetime,
    payload: NewPayload | None,
) -> list[Row]:
    """Put back those that were dead letters at a time and still are, inside the caller's transaction.

    One whose unique key another task holds by now stays where it is. The rows are good for `hint_of`; announce
    them after the commit.
    """
    arguments = _arguments(tenant_id, task_ids, actor, reason, payload, dead_before)
    try:
        async with connection.transaction():
            return list(await connection.fetch(RETRY_ALL, *arguments))
    except asyncpg.UniqueViolationError:
        if len(task_ids) == 1:
            return []
    # In halves until those at fault stand alone.
    middle = len(task_ids) // 2
    moved = []
    for half in (task_ids[:middle], task_ids[middle:]):
        moved += await retry_dead_letters(
            connection, tenant_id, half, actor, reason, dead_before=dead_before, payload=payload
        )
    return moved


def _arguments(
    tenant_id: str,
    task_ids: Sequence[UUID],
    actor: str,
    reason: str,
    payload: NewPayload | None = None,
    dead_before: datetime | None = None,
) -> tuple[Any, ...]:
    text, form = (None, None) if payload is None else (payload.text, payload.form)
    return task_ids, tenant_id, actor, reason, text, form, dead_before
