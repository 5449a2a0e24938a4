"""Reading schedules and their fires."""

from uuid import UUID

from sqlalchemy import select

from taskflow_core.db import Database
from taskflow_core.errors import NotFound
from taskflow_core.filters import ENUM, TEXT, TEXT_LIST, TIMESTAMP, FilterField, compile_filter
from taskflow_core.filters import UUID as UUID_KIND
from taskflow_core.models import Schedule, ScheduleFire
from taskflow_core.paging import PageTokens, parse_order
from taskflow_core.schedules.locked import GET
from taskflow_core.states import FireOutcome, FireTrigger, Priority, ScheduleStatus, ScheduleType
from taskflow_core.tasks.read import Page, PageRequest, fetch_page
from taskflow_core.tasks.rows import Row

FILTER_FIELDS = {
    "id": FilterField(Schedule.id, UUID_KIND),
    "name": FilterField(Schedule.name, TEXT),
    "task_type": FilterField(Schedule.task_type, TEXT),
    "workflow_id": FilterField(Schedule.workflow_id, UUID_KIND),
    "schedule_type": FilterField(Schedule.schedule_type, ENUM(ScheduleType)),
    "status": FilterField(Schedule.status, ENUM(ScheduleStatus)),
    "priority": FilterField(Schedule.priority, ENUM(Priority)),
    "queue": FilterField(Schedule.queue, TEXT),
    "tags": FilterField(Schedule.tags, TEXT_LIST),
    "create_time": FilterField(Schedule.created_at, TIMESTAMP),
    "update_time": FilterField(Schedule.updated_at, TIMESTAMP),
    "next_fire_time": FilterField(Schedule.next_fire_at, TIMESTAMP),
    "last_fire_time": FilterField(Schedule.last_fire_at, TIMESTAMP),
}
ORDER_FIELDS = {
    "create_time": Schedule.created_at,
    "name": Schedule.name,
    "next_fire_time": Schedule.next_fire_at,
    "id": Schedule.id,
}
FIRE_FILTER_FIELDS = {
    "outcome": FilterField(ScheduleFire.outcome, ENUM(FireOutcome)),
    "trigger": FilterField(ScheduleFire.trigger, ENUM(FireTrigger)),
    "fire_time": FilterField(ScheduleFire.fire_time, TIMESTAMP),
    "actual_time": FilterField(ScheduleFire.actual_time, TIMESTAMP),
    "task_id": FilterField(ScheduleFire.task_id, UUID_KIND),
    "execution_id": FilterField(ScheduleFire.execution_id, UUID_KIND),
}
FIRE_ORDER_FIELDS = {"fire_time": ScheduleFire.fire_time}


class ScheduleReader:
    """Gets and lists the schedules of one tenant at a time."""

    def __init__(self, database: Database, tokens: PageTokens) -> None:
        self._database = database
        self._tokens = tokens

    async def get(self, tenant_id: str, schedule_id: UUID) -> Row:
        """One schedule. Raises NotFound."""
        row: Row | None = await self._database.pool.fetchrow(GET, schedule_id, tenant_id)
        if row is None:
            raise NotFound("schedule", str(schedule_id))
        return row

    async def list(self, tenant_id: str, page: PageRequest, *, filter: str, order_by: str) -> Page:
        """Schedules that match a filter.

        Raises InvalidArgument (INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_TOKEN).
        """
        order = parse_order(order_by, ORDER_FIELDS, default="create_time desc")
        query = select(*Schedule.__table__.columns).where(Schedule.tenant_id == tenant_id)
        condition = compile_filter(filter, FILTER_FIELDS)
        if condition is not None:
            query = query.where(condition)
        arguments = {"list": "schedules", "tenant": tenant_id, "filter": filter, "order": str(order)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def list_fires(
        self, tenant_id: str, schedule_id: UUID, page: PageRequest, *, filter: str, order_by: str
    ) -> Page:
        """Fires of a schedule that match a filter.

        Raises NotFound, InvalidArgument (INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_TOKEN).
        """
        await self.get(tenant_id, schedule_id)
        order = parse_order(order_by, FIRE_ORDER_FIELDS, default="fire_time desc", tie_breaker="fire_time")
        query = select(*ScheduleFire.__table__.columns).where(ScheduleFire.schedule_id == schedule_id)
        condition = compile_filter(filter, FIRE_FILTER_FIELDS)
        if condition is not None:
            query = query.where(condition)
        arguments = {"list": "fires", "schedule": str(schedule_id), "filter": filter, "order": str(order)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)
