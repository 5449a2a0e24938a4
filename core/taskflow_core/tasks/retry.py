"""FAILED | CANCELLED -> QUEUED: putting finished tasks back to work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import asyncpg

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import AlreadyExists, PartOfExecution, WrongStatus
from taskflow_core.models import DEAD_LETTER
from taskflow_core.states import TASK_FINAL, TaskStatus
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.rows import Row, columns, hint_of

# The task of a node is not put back: its execution has gone on, and RetryExecution runs the node again.
# A deadline that has passed is lifted: it would cancel the task at once. With $7 only dead letters of up to
# then are moved, so that one replay does not take a task twice. $8 names the call in the log.
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
  SELECT id, last_sequence, tenant_id, 'REPLAYED', status, attempt, $3,
    jsonb_build_object('message', $4::text, 'call', $8::text)
  FROM moved
)
SELECT * FROM moved
"""  # noqa: S608 - the columns and the condition are our own

# The payloads of many tasks together could be too much to carry.
RETRY_ALL = RETRY.replace("SELECT * FROM moved", "SELECT id, queue, priority, attempt, run_at FROM moved")

# After a commit whose answer was lost, the log tells which tasks the call has moved, wherever they are now.
FIND_MOVED = """
SELECT DISTINCT task_id FROM task_events
WHERE task_id = ANY($1::uuid[]) AND kind = 'REPLAYED' AND data ->> 'call' = $2
"""

WAS_PUT_BACK = "SELECT EXISTS (SELECT FROM task_events WHERE task_id = $1 AND kind = 'REPLAYED')"


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
        """Put one task back and return its row. Repeating it changes nothing while the task is not final again.

        Raises NotFound, WrongStatus, PartOfExecution, and AlreadyExists if another task holds its unique key by now.
        """
        tries, call = 0, str(uuid4())

        async def once() -> Row | None:
            nonlocal tries
            tries += 1
            if tries > 1 and await self._moved_before([task_id], call):
                return await get_task(self._database, tenant_id, task_id)
            return await self._database.pool.fetchrow(
                RETRY, [task_id], *_arguments(tenant_id, actor, reason, call)
            )

        try:
            moved = await until_answered(once, "retry a task", give_up_after=5)
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists(
                f"another task holds the unique key of task {task_id}",
                reason="UNIQUE_KEY_HELD",
                task_id=str(task_id),
            ) from error
        if moved is not None:
            if moved["status"] == TaskStatus.QUEUED:
                self._announcer.announce([Announcement(moved["id"], hint_of(moved))])
            return moved
        row = await get_task(self._database, tenant_id, task_id)
        if row["execution_id"] is not None:
            raise PartOfExecution(str(task_id), str(row["execution_id"]))
        if row["status"] not in TASK_FINAL and await self._database.pool.fetchval(WAS_PUT_BACK, task_id):
            return row
        raise WrongStatus("task", str(task_id), row["status"], ["FAILED", "CANCELLED"])

    async def retry_all(self, tenant_id: str, task_ids: Sequence[UUID], actor: str, reason: str) -> int:
        """Put back those of the tasks that are FAILED or CANCELLED, in one transaction, and return how many.

        One whose unique key another task holds by now stays where it is.
        """
        tries, call = 0, str(uuid4())

        async def once() -> tuple[int, list[Row]]:
            nonlocal tries
            tries += 1
            before = await self._moved_before(task_ids, call) if tries > 1 else set()
            left = [task_id for task_id in task_ids if task_id not in before]
            async with self._database.pool.acquire() as connection, connection.transaction():
                moved = await _put_back(connection, left, _arguments(tenant_id, actor, reason, call))
            return len(before) + len(moved), moved

        # What was moved by a commit whose answer was lost gets its hints from the sweep.
        count, moved = await until_answered(once, "retry tasks", give_up_after=5)
        self._announcer.announce(Announcement(row["id"], hint_of(row)) for row in moved)
        return count

    async def _moved_before(self, task_ids: Sequence[UUID], call: str) -> set[UUID]:
        rows = await self._database.pool.fetch(FIND_MOVED, task_ids, call)
        return {row["task_id"] for row in rows}


async def _put_back(
    connection: Connection, task_ids: Sequence[UUID], arguments: tuple[Any, ...]
) -> list[Row]:
    """Move those that can be, inside the caller's transaction, and return rows that are good for `hint_of`."""
    if not task_ids:
        return []
    try:
        async with connection.transaction():
            return list(await connection.fetch(RETRY_ALL, task_ids, *arguments))
    except asyncpg.UniqueViolationError:
        if len(task_ids) == 1:
            return []
    # In halves until those at fault stand alone.
    middle = len(task_ids) // 2
    return [
        *await _put_back(connection, task_ids[:middle], arguments),
        *await _put_back(connection, task_ids[middle:], arguments),
    ]


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
    arguments = _arguments(tenant_id, actor, reason, str(uuid4()), payload, dead_before)
    return await _put_back(connection, task_ids, arguments)


def _arguments(
    tenant_id: str,
    actor: str,
    reason: str,
    call: str,
    payload: NewPayload | None = None,
    dead_before: datetime | None = None,
) -> tuple[Any, ...]:
    """What the statements take after the tasks."""
    text, form = (None, None) if payload is None else (payload.text, payload.form)
    return tenant_id, actor, reason, text, form, dead_before, call
