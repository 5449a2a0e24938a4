"""How workers send: over few connections, no more than allowed, in order, and again what was lost."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from support.http_site import Request, Site, response, running_site
from support.tasks import new_task
from support.webhooks import (
    attempts_of,
    delivering,
    event_in,
    reaching_loopback,
    subscribe,
    until_deliveries,
)
from taskflow_core.app import App
from taskflow_core.settings import Settings

QUICK = {"max_attempts": 3, "initial_backoff": 0.01, "max_backoff": 0.01}


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return reaching_loopback(database_url, redis_url)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


async def test_requests_to_one_webhook_share_connections(app: App, settings: Settings, site: Site):
    site.keeps_open = True
    site.answer = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    await subscribe(app, site.url(), "task.created", max_concurrency=2)
    await app.creation.create_all([new_task() for _ in range(20)])
    async with delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 20)
    assert (len(site.requests), len(site.accepted_at) <= 2) == (20, True)


async def test_no_more_requests_run_at_once_than_a_webhook_allows(app: App, settings: Settings, site: Site):
    running = most = 0

    async def count(_: Request) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return response(b"")

    site.answer = count
    await subscribe(app, site.url(), "task.created", max_concurrency=3)
    await app.creation.create_all([new_task() for _ in range(40)])
    async with delivering(settings), delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 40)
    assert most == 3
    assert len(site.requests) == 40


async def test_ordered_deliveries_wait_for_the_one_that_fails(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created", ordered=True, retry_policy=QUICK)
    failures = iter([True, True])
    site.answer = lambda _: response(b"", "500 No" if next(failures, False) else "200 OK")
    tasks = [await app.creation.create(new_task()) for _ in range(4)]
    async with delivering(settings), delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 4)
    told = [event_in(request)["data"]["task"]["id"] for request in site.requests]
    first = str(tasks[0]["id"])
    assert told == [first, first, *(str(task["id"]) for task in tasks)]


async def test_a_delivery_whose_worker_died_is_sent_again_under_its_id(
    app: App, settings: Settings, site: Site
):
    made = await subscribe(app, site.url(), "task.created")
    await app.creation.create(new_task())
    (claimed,) = await app.webhooks.claims.claim([made.row["id"]], 10)
    await app.database.pool.execute("UPDATE webhook_deliveries SET lease_until = now() - interval '1 second'")
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "SUCCEEDED")
    attempts = await attempts_of(app, delivery)
    assert [attempt["outcome"] for attempt in attempts] == ["LOST", "SUCCEEDED"]
    assert site.requests[0].headers["webhook-id"] == str(claimed["id"])


async def test_ten_failures_in_a_row_leave_one_request_at_a_time(app: App, settings: Settings, site: Site):
    running = most = 0

    async def fail(_: Request) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return response(b"", "500 No")

    site.answer = fail
    made = await subscribe(app, site.url(), "task.created", retry_policy={"max_attempts": 1})
    async with delivering(settings):
        await app.creation.create_all([new_task() for _ in range(10)])
        await until_deliveries(app, *["FAILED"] * 10)
        assert most > 1
        most = 0
        await app.creation.create_all([new_task() for _ in range(5)])
        await until_deliveries(app, *["FAILED"] * 15)
    assert most == 1
    webhook = await app.webhooks.reader.get("default", made.row["id"])
    assert webhook["circuit_open_until"] > datetime.now(UTC)


async def test_no_secret_is_in_rows_logs_or_attempts(app: App, settings: Settings, site: Site, capfd: Any):
    made = await subscribe(app, site.url(), "task.created", headers={"authorization": "Bearer hunter2"})
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "SUCCEEDED")
    (attempt,) = await attempts_of(app, delivery)
    assert attempt["request_headers"]["authorization"] == "***"
    stored = await app.database.pool.fetch("SELECT * FROM webhooks, webhook_attempts, webhook_deliveries")
    seen = json.dumps([dict(row) for row in stored], default=repr) + "".join(capfd.readouterr())
    assert "hunter2" not in seen
    assert made.secret.removeprefix("whsec_") not in seen


async def test_a_delivery_that_cannot_be_told_holds_up_no_other(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created", retry_policy={"max_attempts": 1})
    await app.creation.create_all([new_task(), new_task()])
    await app.database.pool.execute(
        "UPDATE webhook_deliveries SET data = '{\"task\": {}}' WHERE id = (SELECT min(id::text)::uuid FROM webhook_deliveries)"
    )
    async with delivering(settings):
        await until_deliveries(app, "SENDING", "SUCCEEDED")
        await app.database.pool.execute(
            "UPDATE webhook_deliveries SET lease_until = now() WHERE status = 'SENDING'"
        )
        await until_deliveries(app, "FAILED", "SUCCEEDED")
    assert len(site.requests) == 1
