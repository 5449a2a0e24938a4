"""Webhooks in tests: a receiver that says what it should, a deliverer, and short ways to see what happened."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from standardwebhooks.webhooks import Webhook as Reference

from support.http_site import Request, Site
from support.tasks import TENANT
from taskflow_core.app import App, open_app
from taskflow_core.settings import Settings
from taskflow_core.tasks.rows import Row
from taskflow_worker.deliveries import Deliverer


def reaching_loopback(database_url: str, redis_url: str) -> Settings:
    """Settings under which webhooks may be receivers of tests."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        webhook_allow_http=True,
        http_allow_private=True,
        worker_drain_grace=0.2,
    )


@asynccontextmanager
async def delivering(settings: Settings) -> AsyncIterator[App]:
    """A worker's deliverer, with connections of its own."""
    async with open_app(settings, "worker") as app:
        deliverer = Deliverer(app)
        running = asyncio.create_task(deliverer.run())
        try:
            yield app
        finally:
            deliverer.drain()
            await running


async def subscribe(app: App, url: str, *event_types: str, tenant_id: str = TENANT, **fields: Any) -> Any:
    """A webhook, with its secret beside the row."""
    wanted = {"url": url, "event_types": list(event_types or ["task.*"]), **fields}
    scheme = wanted.pop("scheme", None)
    more = {"scheme": scheme} if scheme else {}
    return await app.webhooks.creation.create(tenant_id, wanted, **more)


async def until_requests(site: Site, count: int) -> list[Request]:
    """All requests, once so many have come."""
    async with asyncio.timeout(20):
        while len(site.requests) < count:
            await asyncio.sleep(0.01)
    return site.requests


def verified(secret: str, request: Request) -> dict[str, Any]:
    """The event in a request, as the reference library takes it. It raises if the signature is not right."""
    event: dict[str, Any] = Reference(secret).verify(request.body, request.headers)
    return event


def event_in(request: Request) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(request.body)
    return event


async def deliveries(app: App, webhook: Row | None = None) -> list[Row]:
    """All deliveries, oldest first."""
    rows = await app.database.pool.fetch("SELECT * FROM webhook_deliveries ORDER BY id")
    return [row for row in rows if webhook is None or row["webhook_id"] == webhook["id"]]


async def until_deliveries(app: App, *statuses: str, webhook: Row | None = None) -> list[Row]:
    """Wait until the deliveries have these statuses, in the order of their ids."""
    async with asyncio.timeout(30):
        while True:
            rows = await deliveries(app, webhook)
            if [row["status"] for row in rows] == list(statuses):
                return rows
            await asyncio.sleep(0.02)


async def attempts_of(app: App, delivery: Row) -> list[Row]:
    found = await app.webhooks.deliveries.attempts([delivery["id"]])
    return found[delivery["id"]]
