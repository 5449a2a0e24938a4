"""Seeing deliveries: the log of what was sent, and what came back."""

from uuid import UUID

from sqlalchemy import select

from taskflow_core.db import Database
from taskflow_core.errors import NotFound
from taskflow_core.filters import BOOLEAN, ENUM, INTEGER, TEXT, TIMESTAMP, FilterField, compile_filter
from taskflow_core.filters import UUID as UUID_KIND
from taskflow_core.models import WebhookDelivery
from taskflow_core.paging import PageTokens, parse_order
from taskflow_core.states import DeliveryStatus
from taskflow_core.tasks.read import Page, PageRequest, fetch_page
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.read import WebhookReader

FILTER_FIELDS = {
    "id": FilterField(WebhookDelivery.id, UUID_KIND),
    "event_type": FilterField(WebhookDelivery.event_type, TEXT),
    "event_time": FilterField(WebhookDelivery.event_time, TIMESTAMP),
    "status": FilterField(WebhookDelivery.status, ENUM(DeliveryStatus)),
    "attempt": FilterField(WebhookDelivery.attempt, INTEGER),
    "response_status": FilterField(WebhookDelivery.response_status, INTEGER),
    "task_id": FilterField(WebhookDelivery.task_id, UUID_KIND),
    "execution_id": FilterField(WebhookDelivery.execution_id, UUID_KIND),
    "schedule_id": FilterField(WebhookDelivery.schedule_id, UUID_KIND),
    "test": FilterField(WebhookDelivery.test, BOOLEAN),
    "create_time": FilterField(WebhookDelivery.created_at, TIMESTAMP),
    "end_time": FilterField(WebhookDelivery.ended_at, TIMESTAMP),
}
ORDER_FIELDS = {
    "create_time": WebhookDelivery.created_at,
    "end_time": WebhookDelivery.ended_at,
    "id": WebhookDelivery.id,
}

GET = "SELECT * FROM webhook_deliveries WHERE id = $1 AND tenant_id = $2"
ATTEMPTS = "SELECT * FROM webhook_attempts WHERE delivery_id = ANY($1::uuid[]) ORDER BY delivery_id, attempt"


class DeliveryReader:
    """The deliveries of each tenant's webhooks."""

    def __init__(self, database: Database, webhooks: WebhookReader, tokens: PageTokens) -> None:
        self._database = database
        self._webhooks = webhooks
        self._tokens = tokens

    async def get(self, tenant_id: str, delivery_id: UUID) -> Row:
        """One delivery. Raises NotFound."""
        row: Row | None = await self._database.pool.fetchrow(GET, delivery_id, tenant_id)
        if row is None:
            raise NotFound("delivery", str(delivery_id))
        return row

    async def attempts(self, delivery_ids: list[UUID]) -> dict[UUID, list[Row]]:
        """The attempts that have ended, oldest first, by delivery."""
        found: dict[UUID, list[Row]] = {delivery_id: [] for delivery_id in delivery_ids}
        for row in await self._database.pool.fetch(ATTEMPTS, delivery_ids):
            found[row["delivery_id"]].append(row)
        return found

    async def list(
        self, tenant_id: str, webhook_id: UUID, page: PageRequest, *, filter: str, order_by: str
    ) -> Page:
        """The deliveries of a webhook, newest first unless `order_by` says otherwise.

        Raises NotFound, InvalidArgument (INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_TOKEN).
        """
        await self._webhooks.get(tenant_id, webhook_id)
        order = parse_order(order_by, ORDER_FIELDS, default="create_time desc")
        query = select(*WebhookDelivery.__table__.columns).where(WebhookDelivery.webhook_id == webhook_id)
        condition = compile_filter(filter, FILTER_FIELDS)
        if condition is not None:
            query = query.where(condition)
        arguments = {
            "list": "deliveries",
            "tenant": tenant_id,
            "webhook": str(webhook_id),
            "filter": filter,
            "order": str(order),
        }
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)
