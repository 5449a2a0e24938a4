"""What webhooks are sent when their owners ask: test events, deliveries once more, and what they missed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf import json_format

from support.http_site import Site, response, running_site
from support.tasks import TENANT, new_task, open_test_session, running_task, settlement
from support.webhooks import deliveries, delivering, event_in, reaching_loopback, subscribe, until_deliveries
from taskflow_core.app import App
from taskflow_core.errors import (
    EventsExpired,
    InvalidArgument,
    NotFound,
    WrongStatus,
)
from taskflow_core.ids import new_id
from taskflow_core.settings import Settings
from taskflow_core.webhooks.checks import EVENT_TYPES
from taskflow_core.webhooks.envelope import body_of
from taskflow_core.webhooks.made_up import made_up
from taskflow_core.webhooks.trial import INSERT
from taskflow_proto.v1 import webhook_pb2

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return reaching_loopback(database_url, redis_url)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


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


@pytest.mark.parametrize("event_type", EVENT_TYPES)
async def test_a_test_event_of_every_type_has_what_an_event_has(app: App, event_type: str):
    made = await subscribe(app, NOWHERE, event_type)
    data = made_up(event_type, made.row)
    await app.database.pool.execute(INSERT, new_id(), TENANT, made.row["id"], event_type, data)
    (row,) = await deliveries(app)
    sent = body_of(app.webhooks.envelopes.event(row))
    event = json_format.Parse(sent, webhook_pb2.WebhookEvent())
    kinds = {"task": ["task"], "schedule": ["fire"], "workflow": ["execution"], "webhook": ["webhook"]}
    told = kinds[event_type.partition(".")[0]]
    if event_type in ("workflow.node_completed", "workflow.waiting"):
        told = [*told, "node_run"]
    assert {field.name for field, _ in event.data.ListFields()} == {*told, "test"}
