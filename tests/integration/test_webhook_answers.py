"""What becomes of a delivery by the answer: done, tried again, given up, or the webhook is disabled."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.http_site import Site, response, running_site
from support.tasks import new_task
from support.webhooks import (
    attempts_of,
    deliveries,
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


async def test_a_failed_delivery_is_repeated_with_the_same_id_and_body(
    app: App, settings: Settings, site: Site
):
    await subscribe(app, site.url(), "task.created", retry_policy=QUICK)
    answers = iter(
        [response(b"oops \x00", "500 Internal Server Error"), response(b"", "503 Busy"), response(b"ok")]
    )
    site.answer = lambda _: next(answers)
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "SUCCEEDED")
    assert len({(request.headers["webhook-id"], request.body) for request in site.requests}) == 1
    attempts = await attempts_of(app, delivery)
    assert [(a["attempt"], a["outcome"], a["response_status"]) for a in attempts] == [
        (1, "BAD_STATUS", 500),
        (2, "BAD_STATUS", 503),
        (3, "SUCCEEDED", 200),
    ]
    assert attempts[0]["response_body"] == "oops \ufffd"
    assert attempts[0]["response_headers"] == {"content-length": "6", "connection": "close"}
    for attempt, request in zip(attempts, site.requests, strict=True):
        kept = attempt["request_headers"]
        assert kept == {name: request.headers[name] for name in kept}
        assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= set(kept)
        assert 0 < attempt["latency"] < 15
    assert attempts[2]["remote_address"] == f"127.0.0.1:{site.port}"
    (webhook,) = await app.database.pool.fetch("SELECT * FROM webhooks")
    assert (webhook["consecutive_failures"], webhook["failing_since"]) == (0, None)
    assert webhook["last_success_at"] > delivery["created_at"]


async def test_after_the_last_attempt_a_delivery_has_failed(app: App, settings: Settings, site: Site):
    made = await subscribe(app, site.url(), "task.created", retry_policy=QUICK)
    site.answer = lambda _: response(b"", "500 Internal Server Error")
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "FAILED")
    assert (delivery["attempt"], delivery["response_status"], delivery["error"]) == (3, 500, "answered 500")
    webhook = await app.webhooks.reader.get("default", made.row["id"])
    assert (webhook["status"], webhook["consecutive_failures"]) == ("ENABLED", 3)
    assert webhook["failing_since"] is not None


async def test_what_failed_together_does_not_come_back_together(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created", retry_policy={"initial_backoff": 3600.0})
    site.answer = lambda _: response(b"", "503 Busy")
    await app.creation.create_all([new_task() for _ in range(10)])
    async with delivering(settings):
        await until_deliveries(app, *["RETRYING"] * 10)
    waits = await app.database.pool.fetch(
        "SELECT extract(epoch FROM d.due_at - a.started_at) AS wait"
        " FROM webhook_deliveries d JOIN webhook_attempts a ON a.delivery_id = d.id ORDER BY 1"
    )
    shortest, longest = float(waits[0]["wait"]), float(waits[-1]["wait"])
    assert 3600 * 0.9 <= shortest < longest - 60


async def test_retry_after_puts_the_next_attempt_off(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created", retry_policy=QUICK)
    site.answer = lambda _: response(b"", "429 Too Many Requests", "Retry-After: 3600")
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "RETRYING")
    wait = delivery["due_at"] - datetime.now(UTC)
    assert timedelta(minutes=58) < wait <= timedelta(hours=1)


async def test_a_receiver_that_is_gone_disables_its_webhook_and_others_hear_of_it(
    app: App, settings: Settings, site: Site
):
    made = await subscribe(app, site.url("/gone"), "task.created", max_concurrency=1)
    other = await subscribe(app, site.url("/other"), "webhook.disabled")
    site.answer = lambda request: response(b"", "410 Gone" if request.target == "/gone" else "200 OK")
    await app.creation.create_all([new_task(), new_task()])
    async with delivering(settings):
        await until_deliveries(app, "FAILED", "CANCELLED", webhook=made.row)
        await until_deliveries(app, "SUCCEEDED", webhook=other.row)
    webhook = await app.webhooks.reader.get("default", made.row["id"])
    assert (webhook["status"], webhook["note"]) == ("GONE", "the receiver answered 410 Gone")
    event = event_in(site.requests[-1])
    assert event["data"]["webhook"]["status"] == "GONE"
    assert not {"secret", "headers"} & set(event["data"]["webhook"])
    await app.creation.create(new_task())
    assert len(await deliveries(app, made.row)) == 2


async def test_a_webhook_that_fails_for_too_long_is_disabled_and_others_hear_of_it(
    app: App, settings: Settings, site: Site
):
    made = await subscribe(
        app, site.url("/bad"), "task.created", retry_policy={"max_attempts": 1}, disable_after=3 * 86_400.0
    )
    other = await subscribe(app, site.url("/other"), "webhook.disabled")
    site.answer = lambda request: response(b"", "500 No" if request.target == "/bad" else "200 OK")
    async with delivering(settings):
        for days, status in ((2, "ENABLED"), (4, "FAILING")):
            await app.database.pool.execute(
                "UPDATE webhooks SET failing_since = now() - make_interval(days => $1) WHERE id = $2",
                days,
                made.row["id"],
            )
            task = await app.creation.create(new_task())
            async with asyncio.timeout(20):
                while (await deliveries(app, made.row))[-1]["status"] != "FAILED":
                    await asyncio.sleep(0.02)
            webhook = await app.webhooks.reader.get("default", made.row["id"])
            assert webhook["status"] == status
            assert (await deliveries(app, made.row))[-1]["task_id"] == task["id"]
        await until_deliveries(app, "SUCCEEDED", webhook=other.row)
    assert webhook["note"] == "every attempt failed for 3 days"
    event = event_in(site.requests[-1])
    assert (event["type"], event["data"]["webhook"]["id"]) == ("webhook.disabled", str(made.row["id"]))
    assert event["data"]["webhook"]["status"] == "FAILING"


async def test_success_is_2xx_and_nothing_else(app: App, settings: Settings, site: Site):
    site.answer = lambda request: response(b"", f"{request.target[1:]} Says")
    once: dict[str, Any] = {"retry_policy": {"max_attempts": 1}}
    for status in (200, 202, 204, 300, 304, 400, 404, 429, 500, 502):
        await subscribe(app, site.url(f"/{status}"), "task.created", **once)
    await app.creation.create(new_task())
    async with delivering(settings):
        async with asyncio.timeout(20):
            while any(row["ended_at"] is None for row in await deliveries(app)):
                await asyncio.sleep(0.02)
    ended = {row["response_status"]: row["status"] for row in await deliveries(app)}
    assert [status for status, outcome in ended.items() if outcome == "SUCCEEDED"] == [200, 202, 204]
    assert len(ended) == 10


async def test_a_redirect_is_not_followed(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url("/old"), "task.created", retry_policy={"max_attempts": 1})
    site.answer = lambda _: response(b"", "301 Moved", f"Location: {site.url('/new')}")
    await app.creation.create(new_task())
    async with delivering(settings):
        (delivery,) = await until_deliveries(app, "FAILED")
    assert [request.target for request in site.requests] == ["/old"]
    assert delivery["error"] == "answered 301; redirects are not followed"


async def test_the_first_success_is_noted(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created")
    await app.creation.create(new_task())
    async with delivering(settings):
        await until_deliveries(app, "SUCCEEDED")
    assert await app.database.pool.fetchval("SELECT last_success_at FROM webhooks") is not None
