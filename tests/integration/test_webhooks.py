"""Webhooks as their owners make, change, disable and delete them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from support.http_site import Site, running_site
from support.tasks import TENANT, new_task
from support.waiting import until
from support.webhooks import deliveries, delivering, reaching_loopback, subscribe, until_deliveries
from taskflow_core.app import App
from taskflow_core.errors import (
    AlreadyExists,
    EtagMismatch,
    InvalidArgument,
    NotFound,
)
from taskflow_core.etags import etag_of
from taskflow_core.settings import Settings
from taskflow_core.tasks.read import PageRequest
from taskflow_core.webhooks.checks import check_webhook
from taskflow_core.webhooks.secrets import SecretBox, SecretUnreadable

NOWHERE = "http://127.0.0.1:9/"
TOUCH = "UPDATE webhook_deliveries SET attempt = attempt WHERE id = ANY($1::uuid[])"
IS_BLOCKED = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return reaching_loopback(database_url, redis_url)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


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


async def test_a_webhook_is_deleted_while_its_deliveries_are_written(app: App):
    made = await subscribe(app, NOWHERE, "task.created")
    await app.creation.create_all([new_task() for _ in range(50)])
    first, *others = [delivery["id"] for delivery in await deliveries(app)]
    async with app.database.pool.acquire() as connection, connection.transaction():
        await connection.execute(TOUCH, [first])
        deletion = asyncio.create_task(app.webhooks.steering.delete(TENANT, made.row["id"]))
        await until(lambda: app.database.pool.fetchval(IS_BLOCKED), 20, "the deletion waits")
        # The deletion has taken some of these, and waits for the first: PostgreSQL ends it.
        await connection.execute(TOUCH, others)
    await deletion
    assert await deliveries(app) == []


async def test_a_deleted_webhook_takes_its_deliveries_along(app: App):
    made = await subscribe(app, NOWHERE, "task.created")
    await app.creation.create(new_task())
    await app.webhooks.steering.delete("elsewhere", made.row["id"], allow_missing=True)
    assert len(await deliveries(app)) == 1
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
