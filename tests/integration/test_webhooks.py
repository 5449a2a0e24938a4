"""Webhooks as their owners handle them: made, changed, disabled, tried, repeated and recovered."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from support.http_site import Site, response, running_site
from support.tasks import TENANT, new_task, open_test_session, running_task, settlement
from support.webhooks import deliveries, delivering, event_in, subscribe, until_deliveries
from taskflow_core.app import App
from taskflow_core.errors import (
    AlreadyExists,
    EtagMismatch,
    EventsExpired,
    InvalidArgument,
    NotFound,
    WrongStatus,
)
from taskflow_core.settings import Settings
from taskflow_core.tasks.read import PageRequest
from taskflow_core.webhooks.checks import check_webhook
from taskflow_core.webhooks.definition import etag_of
from taskflow_core.webhooks.secrets import SecretBox, SecretUnreadable

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        webhook_allow_http=True,
        http_allow_private=True,
        worker_drain_grace=0.2,
    )


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


# Making and changing


async def test_a_webhook_has_defaults_and_a_secret_of_its_own(app: App):
    made = await subscribe(app, "http://hooks.example.com:8080/x")
    row = await app.webhooks.reader.get(TENANT, made.row["id"])
    assert made.secret.startswith("whsec_")
    assert (row["name"], row["status"], row["max_concurrency"]) == ("hooks.example.com", "ENABLED", 10)
    assert made.secret.encode() not in row["secret"]
    with pytest.raises(NotFound):
        await app.webhooks.reader.get("elsewhere", made.row["id"])


async def test_a_repeated_create_answers_with_the_same_webhook_without_its_secret(app: App):
    create = app.webhooks.creation.create
    fields = {"url": NOWHERE, "event_types": ["*"]}
    first = await create(TENANT, fields, request_id="r1")
    again = await create(TENANT, fields, request_id="r1")
    assert (again.row["id"], again.secret) == (first.row["id"], "")
    with pytest.raises(AlreadyExists) as raised:
        await create(TENANT, fields | {"url": "http://127.0.0.1:10/"}, request_id="r1")
    assert raised.value.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("webhook.url", {"url": ""}),
        ("webhook.url", {"url": "ftp://example.com/"}),
        ("webhook.url", {"url": "https://user:secret@example.com/"}),
        ("webhook.url", {"url": "https://example.com/#top"}),
        ("webhook.event_types", {"event_types": []}),
        ("webhook.event_types[1]", {"event_types": ["*", "task.sucess"]}),
        ("webhook.event_types[0]", {"event_types": ["tasks.*"]}),
        ("webhook.condition", {"condition": "event.type ="}),
        ("webhook.condition", {"condition": "[1].all(a, [1].all(b, [1].all(c, true)))"}),
        ('webhook.headers["Host"]', {"headers": {"Host": "x"}}),
        ('webhook.headers["content-length"]', {"headers": {"content-length": "1"}}),
        ('webhook.headers["Transfer-Encoding"]', {"headers": {"Transfer-Encoding": "chunked"}}),
        ('webhook.headers["Webhook-Id"]', {"headers": {"Webhook-Id": "x"}}),
        ('webhook.headers["WEBHOOK-SIGNATURE"]', {"headers": {"WEBHOOK-SIGNATURE": "v1,x"}}),
        ('webhook.headers["webhook-timestamp"]', {"headers": {"webhook-timestamp": "1"}}),
        ('webhook.headers["x"]', {"headers": {"x": "a\r\nb: c"}}),
        ("webhook.headers", {"headers": {"x": "***"}}),
    ],
)
async def test_what_a_webhook_cannot_be_is_refused_by_name(app: App, field: str, changes: dict[str, Any]):
    fields: dict[str, Any] = {"url": "https://example.com/", "event_types": ["*"]}
    with pytest.raises(InvalidArgument) as raised:
        await app.webhooks.creation.create(TENANT, fields | changes)
    assert [wrong.field for wrong in raised.value.fields] == [field]
    assert await app.database.pool.fetchval("SELECT count(*) FROM webhooks") == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/",
        "http://8.8.8.8/",
    ],
)
async def test_private_addresses_and_plain_http_need_a_setting(app: App, url: str):
    webhook = {"url": url, "event_types": ["*"], "condition": "", "headers": {}}
    with pytest.raises(InvalidArgument, match=r"webhook\.url"):
        check_webhook(webhook, Settings())
    check_webhook(webhook, Settings(http_allow_private=True, webhook_allow_http=True))


async def test_an_update_changes_what_is_named_and_keeps_masked_headers(
    app: App, settings: Settings, site: Site
):
    webhooks = app.webhooks
    made = await subscribe(app, NOWHERE, "task.created", headers={"Authorization": "one", "x-b": "two"})
    changed = await webhooks.steering.update(
        TENANT,
        made.row["id"],
        {"url": site.url(), "headers": {"authorization": "***", "x-c": "three"}},
        etag=etag_of(made.row),
    )
    assert (changed["url"], changed["header_names"]) == (site.url(), ["authorization", "x-c"])
    assert changed["event_types"] == ["task.created"]
    with pytest.raises(EtagMismatch):
        await webhooks.steering.update(TENANT, made.row["id"], {"ordered": True}, etag=etag_of(made.row))
    previewed = await webhooks.steering.update(TENANT, made.row["id"], {"ordered": True}, validate_only=True)
    assert previewed["ordered"]
    assert not (await webhooks.reader.get(TENANT, made.row["id"]))["ordered"]
    await app.creation.create(new_task())
    async with delivering(settings):
        await until_deliveries(app, "SUCCEEDED")
    headers = site.requests[0].headers
    assert (headers["authorization"], headers["x-c"], "x-b" in headers) == ("one", "three", False)


async def test_webhooks_are_listed_by_filter(app: App):
    for name, event_types in (("a", ["task.*"]), ("b", ["*"]), ("c", ["*"])):
        await subscribe(app, NOWHERE, *event_types, name=name)
    webhooks = app.webhooks

    async def names(**arguments: Any) -> list[str]:
        page = await webhooks.reader.list(
            TENANT, PageRequest(2), **({"filter": "", "order_by": ""} | arguments)
        )
        return [row["name"] for row in page.rows]

    assert await names() == ["c", "b"]
    assert await names(order_by="name") == ["a", "b"]
    assert await names(filter="status = ENABLED AND name = a") == ["a"]
    assert await names(filter=r'event_types:"task.\*"') == ["a"]


async def test_a_disabled_webhook_gets_nothing_and_what_waits_is_cancelled(app: App):
    made = await subscribe(app, NOWHERE, "task.created")
    await app.creation.create(new_task())
    row = await app.webhooks.steering.disable(TENANT, made.row["id"], "moving")
    assert (row["status"], row["note"]) == ("DISABLED", "moving")
    row = await app.webhooks.steering.disable(TENANT, made.row["id"], "moved")
    assert (row["status"], row["note"]) == ("DISABLED", "moved")
    await app.creation.create(new_task())
    assert [delivery["status"] for delivery in await deliveries(app)] == ["CANCELLED"]
    row = await app.webhooks.steering.enable(TENANT, made.row["id"])
    assert (row["status"], row["note"]) == ("ENABLED", "")
    await app.creation.create(new_task())
    assert [delivery["status"] for delivery in await deliveries(app)] == ["CANCELLED", "PENDING"]


async def test_a_deleted_webhook_takes_its_deliveries_along(app: App):
    made = await subscribe(app, NOWHERE, "task.created")
    await app.creation.create(new_task())
    with pytest.raises(EtagMismatch):
        await app.webhooks.steering.delete(TENANT, made.row["id"], etag="7")
    await app.webhooks.steering.delete(TENANT, made.row["id"], etag=etag_of(made.row))
    assert await deliveries(app) == []
    await app.webhooks.steering.delete(TENANT, made.row["id"], allow_missing=True)
    with pytest.raises(NotFound):
        await app.webhooks.steering.delete(TENANT, made.row["id"])


async def test_secrets_given_are_checked(app: App):
    create = app.webhooks.creation.create
    fields = {"url": NOWHERE, "event_types": ["*"]}
    given = "whsec_" + "A" * 32
    assert (await create(TENANT, fields, secret=given)).secret == given
    for wrong in ("whsk_" + "A" * 32, "whsec_" + "A" * 31, "whsec_AAAA"):
        with pytest.raises(InvalidArgument) as raised:
            await create(TENANT, fields, secret=wrong)
        assert raised.value.fields[0].field == "webhook.secret"


async def test_a_changed_key_makes_secrets_unreadable_and_says_so(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.created", retry_policy={"max_attempts": 1})
    await app.creation.create(new_task())
    async with delivering(settings.model_copy(update={"secret_key": "another"})):
        (delivery,) = await until_deliveries(app, "FAILED")
    assert "TASKFLOW_SECRET_KEY" in delivery["error"]
    assert site.requests == []
    box, webhook_id = SecretBox.of(settings), uuid4()
    with pytest.raises(SecretUnreadable):
        box.open(box.seal("x", webhook_id, "secret"), webhook_id, "headers")


# Trying, repeating, recovering


async def test_a_test_event_shows_the_answer_also_of_a_disabled_webhook(
    app: App, settings: Settings, site: Site
):
    made = await subscribe(app, site.url(), "task.*")
    await app.webhooks.steering.disable(TENANT, made.row["id"], "")
    site.answer = lambda _: response(b"no", "500 No")
    async with delivering(settings):
        delivery = await app.webhooks.trial.send(TENANT, made.row["id"], "task.success")
    assert (delivery["status"], delivery["attempt"], delivery["response_status"]) == ("FAILED", 1, 500)
    event = event_in(site.requests[0])
    assert (event["type"], event["data"]["test"], event["data"]["task"]["status"]) == (
        "task.success",
        True,
        "SUCCEEDED",
    )
    row = await app.webhooks.reader.get(TENANT, made.row["id"])
    assert (row["consecutive_failures"], row["failing_since"]) == (0, None)
    with pytest.raises(InvalidArgument):
        await app.webhooks.trial.send(TENANT, made.row["id"], "task.nonsense")


async def test_a_final_delivery_is_sent_again_under_its_id(app: App, settings: Settings, site: Site):
    made = await subscribe(app, site.url(), "task.created", retry_policy={"max_attempts": 1})
    site.answer = lambda _: response(b"", "500 No" if len(site.requests) < 2 else "200 OK")
    await app.creation.create(new_task())
    (waiting,) = await deliveries(app)
    with pytest.raises(WrongStatus):
        await app.webhooks.redelivery.redeliver(TENANT, waiting["id"])
    async with delivering(settings):
        await until_deliveries(app, "FAILED")
        await app.webhooks.redelivery.redeliver(TENANT, waiting["id"])
        (delivery,) = await until_deliveries(app, "SUCCEEDED")
    assert (delivery["id"], delivery["attempt"]) == (waiting["id"], 2)
    assert len({request.headers["webhook-id"] for request in site.requests}) == 1
    await app.webhooks.steering.disable(TENANT, made.row["id"], "")
    with pytest.raises(WrongStatus):
        await app.webhooks.redelivery.redeliver(TENANT, waiting["id"])
    with pytest.raises(NotFound):
        await app.webhooks.redelivery.redeliver("elsewhere", waiting["id"])


async def test_a_recovery_brings_what_failed_and_what_was_missed_once(
    app: App, settings: Settings, site: Site
):
    webhooks, recover = app.webhooks, app.webhooks.redelivery.recover
    made = await subscribe(app, site.url(), "task.created", "task.failed", retry_policy={"max_attempts": 1})
    webhook_id = made.row["id"]
    start = datetime.now(UTC) - timedelta(minutes=1)
    site.answer = lambda _: response(b"", "500 No")
    async with delivering(settings):
        await app.creation.create(new_task())
        await until_deliveries(app, "FAILED")
    await webhooks.steering.disable(TENANT, webhook_id, "")
    session = await open_test_session(app)
    task = await running_task(app, session)
    await app.settlement.settle(settlement(task, session, "FAILED"))
    await app.creation.create(new_task(tenant_id="elsewhere"))
    with pytest.raises(WrongStatus):
        await recover(TENANT, webhook_id, start, None, validate_only=False)
    await webhooks.steering.enable(TENANT, webhook_id)
    counted = await recover(TENANT, webhook_id, start, None, validate_only=True)
    assert (counted.redelivered, counted.created, counted.next_start) == (1, 2, None)
    assert len(await deliveries(app)) == 1
    site.answer = lambda _: response(b"")
    site.requests.clear()
    recovered = await recover(TENANT, webhook_id, start, None, validate_only=False)
    assert (recovered.redelivered, recovered.created) == (1, 2)
    again = await recover(TENANT, webhook_id, start, None, validate_only=False)
    assert (again.redelivered, again.created) == (0, 0)
    async with delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 3)
    told = {(event["type"], event["data"]["task"]["status"]) for event in map(event_in, site.requests)}
    assert told == {("task.created", "QUEUED"), ("task.failed", "FAILED")}


async def test_a_recovery_needs_a_range_that_is_kept(app: App):
    made = await subscribe(app, NOWHERE)
    recover, now = app.webhooks.redelivery.recover, datetime.now(UTC)
    with pytest.raises(InvalidArgument):
        await recover(TENANT, made.row["id"], now, now, validate_only=False)
    with pytest.raises(EventsExpired):
        await recover(TENANT, made.row["id"], now - timedelta(days=400), None, validate_only=False)
    nothing = await recover(TENANT, made.row["id"], now - timedelta(days=1), None, validate_only=False)
    assert (nothing.redelivered, nothing.created) == (0, 0)


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
