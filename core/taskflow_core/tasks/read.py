"""Reading tasks, their results, events and attempts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, select, true

from taskflow_core.db import Database
from taskflow_core.errors import NoResult, NotFound
from taskflow_core.filters import FilterField, Kind, compile_filter
from taskflow_core.models import Task, TaskAttempt, TaskEvent, TaskResult, TaskType, WorkerSession
from taskflow_core.paging import Page, PageTokens, parse_order
from taskflow_core.states import Priority, TaskStatus
from taskflow_core.tasks.rows import Row, columns

GET = f"""
SELECT {columns("t")}, r.result FROM tasks t LEFT JOIN task_results r ON r.task_id = t.id
WHERE t.id = $1 AND t.tenant_id = $2
"""  # noqa: S608 - the columns are our own

GET_RESULT = """
SELECT t.status, r.result FROM tasks t LEFT JOIN task_results r ON r.task_id = t.id
WHERE t.id = $1 AND t.tenant_id = $2
"""

# Everything but the payload, which a list has no use for.
BASIC = [column for column in Task.__table__.columns if column.key != "payload"]

FILTER_FIELDS = {
    "id": FilterField(Task.id, Kind.UUID),
    "name": FilterField(Task.name, Kind.TEXT),
    "task_type": FilterField(Task.task_type, Kind.TEXT),
    "priority": FilterField(Task.priority, Kind.ENUM, tuple(Priority)),
    "queue": FilterField(Task.queue, Kind.TEXT),
    "status": FilterField(Task.status, Kind.ENUM, tuple(TaskStatus)),
    "tags": FilterField(Task.tags, Kind.TEXT_LIST),
    "attempt": FilterField(Task.attempt, Kind.INTEGER),
    "create_time": FilterField(Task.created_at, Kind.TIMESTAMP),
    "schedule_time": FilterField(Task.run_at, Kind.TIMESTAMP),
    "start_time": FilterField(Task.started_at, Kind.TIMESTAMP),
    "end_time": FilterField(Task.finished_at, Kind.TIMESTAMP),
    "schedule_id": FilterField(Task.schedule_id, Kind.UUID),
    "execution_id": FilterField(Task.execution_id, Kind.UUID),
}
ORDER_FIELDS = {"create_time": Task.created_at, "end_time": Task.finished_at}


async def get_task(database: Database, tenant_id: str, task_id: UUID) -> Row:
    """One task, with its result. Raises NotFound."""
    row = await database.pool.fetchrow(GET, task_id, tenant_id)
    if row is None:
        raise NotFound("task", str(task_id))
    return row


async def get_result(database: Database, tenant_id: str, task_id: UUID) -> str:
    """The result as JSON text. Raises NotFound, NoResult."""
    row = await database.pool.fetchrow(GET_RESULT, task_id, tenant_id)
    if row is None:
        raise NotFound("task", str(task_id))
    if row["status"] != TaskStatus.SUCCEEDED:
        raise NoResult(
            f"task {task_id} is {row['status']}; only a SUCCEEDED task has a result",
            task_id=str(task_id),
            status=row["status"],
        )
    result: str = row["result"]
    return result
