"""Seeing webhooks."""

from uuid import UUID

from sqlalchemy import select

from taskflow_core.db import Database
from taskflow_core.errors import NotFound
from taskflow_core.filters import ENUM, TEXT, TEXT_LIST, TIMESTAMP, FilterField, compile_filter
from taskflow_core.filters import UUID as UUID_KIND
from taskflow_core.models import Webhook
from taskflow_core.paging import PageTokens, parse_order
from taskflow_core.states import WebhookStatus
from taskflow_core.tasks.read import Page, PageRequest, fetch_page
from taskflow_core.tasks.rows import Row

GET = "SELECT * FROM webhooks WHERE id = $1 AND tenant_id = $2"

FILTER_FIELDS = {
    "id": FilterField(Webhook.id, UUID_KIND),
    "name": FilterField(Webhook.name, TEXT),
    "url": FilterField(Webhook.url, TEXT),
    "event_types": FilterField(Webhook.event_types, TEXT_LIST),
    "status": FilterField(Webhook.status, ENUM(WebhookStatus)),
    "create_time": FilterField(Webhook.created_at, TIMESTAMP),
    "update_time": FilterField(Webhook.updated_at, TIMESTAMP),
}
ORDER_FIELDS = {"create_time": Webhook.created_at, "name": Webhook.name, "id": Webhook.id}


class WebhookReader:
    """The webhooks of each tenant."""

    def __init__(self, database: Database, tokens: PageTokens) -> None:
        self._database = database
        self._tokens = tokens

    async def get(self, tenant_id: str, webhook_id: UUID) -> Row:
        """One webhook. Raises NotFound."""
        return found(await self._database.pool.fetchrow(GET, webhook_id, tenant_id), webhook_id)

    async def list(self, tenant_id: str, page: PageRequest, *, filter: str, order_by: str) -> Page:
        """Webhooks, newest first unless `order_by` says otherwise.

        Raises InvalidArgument (INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_TOKEN).
        """
        order = parse_order(order_by, ORDER_FIELDS, default="create_time desc")
        query = select(*Webhook.__table__.columns).where(Webhook.tenant_id == tenant_id)
        condition = compile_filter(filter, FILTER_FIELDS)
        if condition is not None:
            query = query.where(condition)
        arguments = {"list": "webhooks", "tenant": tenant_id, "filter": filter, "order": str(order)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)


def found(row: Row | None, webhook_id: UUID) -> Row:
    """The row that a statement answered with. Raises NotFound."""
    if row is None:
        raise NotFound("webhook", str(webhook_id))
    return row
