"""The log of deliveries, and what it adds up to."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from support.http_site import Site, response, running_site
from support.tasks import TENANT, new_task
from support.webhooks import delivering, event_in, reaching_loopback, subscribe, until_deliveries
from taskflow_core.app import App
from taskflow_core.errors import (
    InvalidArgument,
)
from taskflow_core.settings import Settings
from taskflow_core.tasks.read import PageRequest

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return reaching_loopback(database_url, redis_url)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


async def test_deliveries_are_listed_by_filter_and_old_ones_deleted(app: App, settings: Settings, site: Site):
    made = await subscribe(app, site.url(), "task.created")
    tasks = [await app.creation.create(new_task()) for _ in range(3)]
    async with delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 3)
    reader = app.webhooks.deliveries
    page = await reader.list(TENANT, made.row["id"], PageRequest(2), filter="", order_by="")
    assert [row["task_id"] for row in page.rows] == [tasks[2]["id"], tasks[1]["id"]]
    rest = await reader.list(
        TENANT, made.row["id"], PageRequest(2, page.next_page_token), filter="", order_by=""
    )
    assert [row["task_id"] for row in rest.rows] == [tasks[0]["id"]]
    wanted = f"status = SUCCEEDED AND response_status < 300 AND task_id = {tasks[0]['id']}"
    found = await reader.list(TENANT, made.row["id"], PageRequest(), filter=wanted, order_by="end_time")
    assert len(found.rows) == 1
    await app.database.pool.execute(
        "UPDATE webhook_deliveries SET ended_at = now() - interval '31 days' WHERE task_id = $1",
        tasks[0]["id"],
    )
    assert await app.webhooks.retention.run() == 1
    assert await app.database.pool.fetchval("SELECT count(*) FROM webhook_attempts") == 2


async def test_other_events_are_planned_by_a_function(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "webhook.*")
    other = await subscribe(app, NOWHERE, "task.*")
    for _ in range(2):  # the same event again plans nothing
        await app.database.pool.execute(
            "SELECT plan_webhooks('default', 'webhook.disabled', $1, 0, '2026-01-01', $2)",
            other.row["id"],
            {
                "webhook": dict.fromkeys(
                    ("id", "name", "description", "url", "event_types", "status", "note"), "x"
                )
                | dict.fromkeys(
                    ("last_success_at", "failing_since", "consecutive_failures", "created_at", "updated_at")
                )
            },
        )
    async with delivering(settings):
        await until_deliveries(app, "SUCCEEDED")
    assert event_in(site.requests[0])["data"] == {
        "webhook": dict.fromkeys(("id", "name", "description", "url", "event_types", "status", "note"), "x")
    }


async def test_statistics_count_deliveries_and_attempts_by_webhook(app: App, settings: Settings, site: Site):
    retried = {"max_attempts": 2, "initial_backoff": 0.0}
    good = await subscribe(app, site.url("/good"), "task.created")
    bad = await subscribe(app, site.url("/bad"), "task.created", retry_policy=retried)
    site.answer = lambda request: response(b"", "200 OK" if request.target == "/good" else "500 No")
    start = datetime.now(UTC) - timedelta(minutes=1)
    await app.creation.create_all([new_task() for _ in range(3)])
    async with delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 3, webhook=good.row)
        await until_deliveries(app, *["FAILED"] * 3, webhook=bad.row)
    end = datetime.now(UTC) + timedelta(minutes=1)
    figures = await app.webhooks.statistics.read(TENANT, start, end)
    names = ("planned", "succeeded", "failed", "cancelled", "pending", "attempts", "failed_attempts")
    assert [figures.total[name] for name in names] == [6, 3, 3, 0, 0, 9, 6]
    by_webhook = {row["webhook_id"]: [row[name] for name in names] for row in figures.by_webhook}
    assert by_webhook[good.row["id"]] == [3, 3, 0, 0, 0, 3, 0]
    assert by_webhook[bad.row["id"]] == [3, 0, 3, 0, 0, 6, 6]
    assert (figures.current["total"], figures.current["enabled"]) == (2, 2)
    assert 0 < figures.total["latency_percentiles"][0] <= figures.total["latency_max"] < 5
    one = await app.webhooks.statistics.read(TENANT, start, end, good.row["id"])
    assert (one.total["planned"], len(one.by_webhook)) == (3, 1)
    nothing = await app.webhooks.statistics.read("elsewhere", start, end)
    assert (nothing.total["planned"], nothing.total["attempts"], nothing.by_webhook) == (0, 0, [])


async def test_statistics_of_a_past_period_leave_out_what_came_later(
    app: App, settings: Settings, site: Site
):
    await subscribe(app, site.url(), "task.created")
    await app.creation.create_all([new_task() for _ in range(4)])
    async with delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 4)
    # One was planned before the period, one after it; one ended after it.
    for number, column, ago in (
        (0, "created_at", "3 hours"),
        (1, "created_at", "0 hours"),
        (2, "ended_at", "0 hours"),
    ):
        await app.database.pool.execute(
            "UPDATE webhook_deliveries SET created_at = now() - interval '90 minutes',"
            f" ended_at = now() - interval '90 minutes' WHERE id = (SELECT id FROM webhook_deliveries ORDER BY id OFFSET {number} LIMIT 1)"
        )
        await app.database.pool.execute(
            f"UPDATE webhook_deliveries SET {column} = now() - interval '{ago}'"
            f" WHERE id = (SELECT id FROM webhook_deliveries ORDER BY id OFFSET {number} LIMIT 1)"
        )
    end = datetime.now(UTC) - timedelta(hours=1)
    figures = await app.webhooks.statistics.read(TENANT, end - timedelta(hours=1), end)
    assert (figures.total["planned"], figures.total["succeeded"], figures.total["attempts"]) == (1, 1, 0)
    assert figures.period.start <= end - timedelta(hours=1)
    with pytest.raises(InvalidArgument):
        await app.webhooks.statistics.read(TENANT, datetime.now(UTC), end)
    day = await app.webhooks.statistics.read(TENANT, None, None)
    assert (day.total["planned"], day.total["attempts"]) == (4, 4)
