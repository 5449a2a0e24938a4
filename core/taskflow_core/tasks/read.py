"""Reading tasks, their events and attempts, and the task types."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, literal_column, select, text
from sqlalchemy.orm import InstrumentedAttribute, aliased

from taskflow_core.db import Database
from taskflow_core.errors import NotFound
from taskflow_core.filters import ENUM, INTEGER, TEXT, TEXT_LIST, TIMESTAMP, FilterField
from taskflow_core.filters import UUID as UUID_KIND
from taskflow_core.models import Task, TaskAttempt, TaskEvent, TaskResult, TaskType, WorkerSession
from taskflow_core.paging import Order, PageTokens, page_size, parse_order
from taskflow_core.states import EventKind, Priority, TaskStatus
from taskflow_core.tasks.rows import Row, columns
from taskflow_core.tasks.shown import shown_tasks

GET = f"""
SELECT {columns("t")}, r.result, r.result_url FROM tasks t LEFT JOIN task_results r ON r.task_id = t.id
WHERE t.id = $1 AND t.tenant_id = $2
"""  # noqa: S608 - the columns are our own

# Payload and result may be large: they are not read to learn that a task is there.
EXISTS = "SELECT 1 FROM tasks WHERE id = $1 AND tenant_id = $2"

# Everything but the payload, which a list has no use for.
BASIC_COLUMNS = [column for column in Task.__table__.columns if column.key != "payload"]

FILTER_FIELDS = {
    "id": FilterField(Task.id, UUID_KIND),
    "name": FilterField(Task.name, TEXT),
    "task_type": FilterField(Task.task_type, TEXT),
    "priority": FilterField(Task.priority, ENUM(Priority)),
    "queue": FilterField(Task.queue, TEXT),
    "status": FilterField(Task.status, ENUM(TaskStatus)),
    "tags": FilterField(Task.tags, TEXT_LIST),
    "attempt": FilterField(Task.attempt, INTEGER),
    "create_time": FilterField(Task.created_at, TIMESTAMP),
    "schedule_time": FilterField(Task.run_at, TIMESTAMP),
    "start_time": FilterField(Task.started_at, TIMESTAMP),
    "end_time": FilterField(Task.finished_at, TIMESTAMP),
    "schedule_id": FilterField(Task.schedule_id, UUID_KIND),
    "execution_id": FilterField(Task.execution_id, UUID_KIND),
}
DEFAULT_ORDER = "create_time desc"
ORDER_FIELDS = {"create_time": Task.created_at, "end_time": Task.finished_at, "id": Task.id}

# A list knows when a task was created by the first line of its log, in whose index the creations lie in order.
Creation = aliased(TaskEvent, name="creation")
LIST_FIELDS = FILTER_FIELDS | {"create_time": FilterField(Creation.created_at, TIMESTAMP)}
# Where creations lead the order, a page is one range of that index only if both columns are of the log.
BY_CREATION = ORDER_FIELDS | {"create_time": Creation.created_at, "id": Creation.task_id}


@dataclass(frozen=True)
class PageRequest:
    """Which page of a list, as the caller asked for it."""

    size: int = 0
    token: str = ""


@dataclass(frozen=True)
class Page:
    """Some rows of a list, and the token that leads to the next; empty on the last page."""

    rows: Sequence[Row]
    next_page_token: str


class TaskReader:
    """Lists, page by page. Every list is of one tenant, but that of the task types."""

    def __init__(self, database: Database, tokens: PageTokens) -> None:
        self._database = database
        self._tokens = tokens

    async def list_tasks(
        self,
        tenant_id: str,
        page: PageRequest,
        *,
        filter: str,
        order_by: str,
        full: bool,
    ) -> Page:
        """Tasks that match a filter, with payload and result if `full`.

        Raises InvalidArgument (INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_TOKEN).
        """
        order = parse_order(order_by, ORDER_FIELDS, DEFAULT_ORDER)
        if order.keys[0].name == "create_time":
            order = parse_order(order_by, BY_CREATION, DEFAULT_ORDER)
        if full:
            result = (TaskResult.result, TaskResult.result_url)
            query: Select[Any] = select(*Task.__table__.columns, *result, Creation.task_id).outerjoin(
                TaskResult, TaskResult.task_id == Task.id
            )
        else:
            query = select(*BASIC_COLUMNS, Creation.task_id)
        query = _of_tenant(query, tenant_id).where(*shown_tasks(filter, LIST_FIELDS))
        arguments = {"list": "tasks", "tenant": tenant_id, "filter": filter, "order": str(order)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def list_events(self, tenant_id: str, task_id: UUID, page: PageRequest) -> Page:
        """The log of a task, oldest first. Raises NotFound, InvalidArgument (INVALID_PAGE_TOKEN)."""
        return await self._list_of_task(TaskEvent, TaskEvent.sequence, tenant_id, task_id, page)

    async def list_attempts(self, tenant_id: str, task_id: UUID, page: PageRequest) -> Page:
        """The ended attempts of a task, oldest first. Raises NotFound, InvalidArgument (INVALID_PAGE_TOKEN)."""
        return await self._list_of_task(TaskAttempt, TaskAttempt.attempt, tenant_id, task_id, page)

    async def _list_of_task(
        self,
        model: type[TaskEvent | TaskAttempt],
        number: InstrumentedAttribute[int],
        tenant_id: str,
        task_id: UUID,
        page: PageRequest,
    ) -> Page:
        """What a task has in another table, by its number there."""
        if await self._database.pool.fetchval(EXISTS, task_id, tenant_id) is None:
            raise NotFound("task", str(task_id))
        order = parse_order("", {number.key: number}, number.key, tie_breaker=number.key)
        query = select(*model.__table__.columns).where(model.task_id == task_id)
        arguments = {"list": model.__tablename__, "task": str(task_id)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def list_types(self, page: PageRequest) -> Page:
        """The task types by name, with the live workers and the queues of each.

        Raises InvalidArgument (INVALID_PAGE_TOKEN).
        """
        order = parse_order("", {"name": TaskType.name}, "name", tie_breaker="name")
        serves = (
            (WorkerSession.task_types.any_() == TaskType.name)
            & WorkerSession.ended_at.is_(None)
            & (WorkerSession.lease_until > func.now())
        )
        workers = select(func.count()).where(serves).scalar_subquery()
        queue = func.unnest(WorkerSession.queues)
        queues = func.array(select(queue).where(serves).distinct().order_by(text("1")).scalar_subquery())
        query = select(*TaskType.__table__.columns, workers.label("workers"), queues.label("queues"))
        return await fetch_page(self._database, self._tokens, query, order, page, {"list": "task types"})

    async def find_ids(self, tenant_id: str, filter: str, statuses: Sequence[str], limit: int) -> list[UUID]:
        """Ids of at most `limit` tasks in one of these statuses that match a filter, oldest first.

        Raises InvalidArgument (INVALID_FILTER).
        """
        query = _of_tenant(select(Task.id), tenant_id).where(Task.status.in_(statuses))
        query = query.where(*shown_tasks(filter, LIST_FIELDS))
        query = query.order_by(Creation.created_at, Creation.task_id).limit(limit)
        async with self._database.engine.connect() as connection:
            return list(await connection.scalars(query))


def _of_tenant(query: Select[Any], tenant_id: str) -> Select[Any]:
    """A query of tasks, with their creations. The kind is no parameter: that would hide that the index fits."""
    is_creation = Creation.kind == literal_column(f"'{EventKind.CREATED}'")
    return query.join(Creation, Creation.task_id == Task.id).where(
        Task.tenant_id == tenant_id, Creation.tenant_id == tenant_id, is_creation
    )


async def fetch_page(
    database: Database,
    tokens: PageTokens,
    query: Select[Any],
    order: Order,
    page: PageRequest,
    arguments: dict[str, str],
) -> Page:
    """One page of a query. `arguments` are all that the list depends on; see PageTokens.

    Raises InvalidArgument (INVALID_PAGE_TOKEN).
    """
    size = page_size(page.size)
    if page.token:
        query = query.where(order.after(tokens.decode(page.token, arguments)))
    # One row more than asked for tells whether there is another page.
    query = query.order_by(*order.clauses()).limit(size + 1)
    async with database.engine.connect() as connection:
        rows = list((await connection.execute(query)).mappings())
    if len(rows) <= size:
        return Page(rows, "")
    return Page(rows[:size], tokens.encode(order.values(rows[size - 1]), arguments))


async def get_task(database: Database, tenant_id: str, task_id: UUID) -> Row:
    """One task, with its result. Raises NotFound."""
    row = await database.pool.fetchrow(GET, task_id, tenant_id)
    if row is None:
        raise NotFound("task", str(task_id))
    return row
