"""Deliveries are planned with the events of tasks, for those who want them, and say what happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

import pytest
from google.protobuf import json_format

from support.http_site import Site, running_site
from support.tasks import claim_by_hand, new_task, open_test_session, running_task, settlement
from support.webhooks import (
    deliveries,
    delivering,
    event_in,
    reaching_loopback,
    subscribe,
    until_deliveries,
    until_requests,
    verified,
)
from taskflow_core.app import App
from taskflow_core.settings import Settings
from taskflow_core.tasks.report import Report, Reports
from taskflow_core.tasks.watch_all import TenantEvent
from taskflow_core.watch import KeepAlive
from taskflow_proto.v1 import webhook_pb2


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return reaching_loopback(database_url, redis_url)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


async def test_the_whole_life_of_a_task_is_told_in_order(app: App, settings: Settings, site: Site):
    made = await subscribe(app, site.url("/hook"), ordered=True)
    session = await open_test_session(app)
    task = await running_task(app, session)
    await app.settlement.settle(settlement(task, session, "RETRYING", error={"type": "E", "message": "no"}))
    (row,) = await app.database.pool.fetch("SELECT * FROM tasks WHERE id = $1", task["id"])
    (again,) = await claim_by_hand(app, session, row)
    await app.settlement.settle(settlement(again, session, "FAILED"))
    async with delivering(settings):
        await until_requests(site, 6)
    events = [verified(made.secret, request) for request in site.requests]
    assert [(event["type"], event["sequence"]) for event in events] == [
        ("task.created", 1),
        ("task.started", 2),
        ("task.retrying", 3),
        ("task.started", 4),
        ("task.failed", 5),
        ("task.dead_lettered", 5),
    ]
    assert [event["data"]["task"]["status"] for event in events] == [
        *("QUEUED", "RUNNING", "RETRYING", "RUNNING", "FAILED", "FAILED")
    ]
    assert events[4]["data"]["task"]["error"]["type"] == "ValueError"
    assert "payload" not in events[0]["data"]["task"]


async def test_the_body_is_the_event_of_the_contract(app: App, settings: Settings, site: Site):
    await subscribe(app, site.url(), "task.success")
    session = await open_test_session(app)
    task = await running_task(
        app,
        session,
        tags=("a", "b"),
        attempt_timeout=2.5,
        retry_policy={"max_attempts": 2, "initial_backoff": 0.5},
    )
    await app.settlement.settle(settlement(task, session))
    async with delivering(settings):
        (request,) = await until_requests(site, 1)
    event = json_format.Parse(request.body, webhook_pb2.WebhookEvent())
    assert (event.type, event.version, event.tenant, event.sequence) == ("task.success", 1, "default", 3)
    assert event.resume_token
    told = event.data.task
    assert (told.id, list(told.tags), told.attempt) == (str(task["id"]), ["a", "b"], 1)
    assert (told.attempt_timeout.ToMilliseconds(), told.retry_policy.initial_backoff.ToMilliseconds()) == (
        2500,
        500,
    )
    assert abs(told.end_time.ToDatetime(UTC) - event.timestamp.ToDatetime(UTC)) < timedelta(seconds=1)


async def test_a_receiver_catches_up_by_watching_on_from_the_last_event_that_it_has(
    app: App, settings: Settings, site: Site
):
    await subscribe(app, site.url(), "task.created")
    session = await open_test_session(app)
    task = await running_task(app, session)
    async with delivering(settings):
        (request,) = await until_requests(site, 1)
    await app.settlement.settle(settlement(task, session))
    other = await app.creation.create(new_task())
    missed: list[tuple[UUID, int]] = []
    watch = app.watch_all.watch("default", resume_token=event_in(request)["resume_token"])
    async with aclosing(watch) as messages, asyncio.timeout(20):
        while len(missed) < 3:
            message = await anext(messages)
            if not isinstance(message, KeepAlive):
                assert isinstance(message, TenantEvent), "without a snapshot"
                missed.append((message.event["task_id"], message.event["sequence"]))
    assert missed == [(task["id"], 2), (task["id"], 3), (other["id"], 1)]


async def test_only_webhooks_that_want_an_event_get_it(app: App):
    everything = await subscribe(app, "http://127.0.0.1:9/", "*")
    tasks = await subscribe(app, "http://127.0.0.1:9/", "task.*", "task.created")
    ends = await subscribe(app, "http://127.0.0.1:9/", "task.success", "task.failed")
    workflows = await subscribe(app, "http://127.0.0.1:9/", "workflow.*")
    elsewhere = await subscribe(app, "http://127.0.0.1:9/", "*", tenant_id="elsewhere")
    disabled = await subscribe(app, "http://127.0.0.1:9/", "*")
    await app.webhooks.steering.disable("default", disabled.row["id"], "")
    session = await open_test_session(app)
    task = await running_task(app, session)
    await app.settlement.settle(settlement(task, session))

    async def types(made: Any) -> list[str]:
        return [row["event_type"] for row in await deliveries(app, made.row) if row["task_id"]]

    life = ["task.created", "task.started", "task.success"]
    assert await types(everything) == await types(tasks) == life
    assert await types(ends) == ["task.success"]
    assert await types(workflows) == await types(elsewhere) == await types(disabled) == []


async def test_progress_is_told_only_by_its_full_name_and_once_a_second(app: App):
    wildcard = await subscribe(app, "http://127.0.0.1:9/", "*")
    named = await subscribe(app, "http://127.0.0.1:9/", "task.progress")
    session = await open_test_session(app)
    task = await running_task(app, session)
    for percent in (10.0, 20.0, 30.0):
        progress = {"percent": percent, "message": "", "current": None, "total": None, "unit": ""}
        lines = tuple(Report("PROGRESS", {"progress": progress}) for _ in range(2))
        await app.reporting.report(Reports(task["id"], task["attempt"], session, "host:1", lines))
    assert [row["event_type"] for row in await deliveries(app, wildcard.row)] == [
        "task.created",
        "task.started",
    ]
    (told,) = await deliveries(app, named.row)
    assert (told["sequence"], told["data"]["task"]["progress"]["percent"]) == (4, 10.0)


async def test_a_transaction_that_is_undone_plans_nothing(app: App):
    await subscribe(app, "http://127.0.0.1:9/")
    async with app.database.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor)"
            " SELECT id, 9, tenant_id, 'CANCELLED', 'CANCELLED', 0, '' FROM tasks"
        )
        await transaction.rollback()
    assert await deliveries(app) == []


async def test_a_condition_leaves_events_out(app: App, settings: Settings, site: Site):
    condition = 'event.data.task.queue == "billing" && event.data.task.tags.exists(t, t == "vip")'
    await subscribe(app, site.url(), "task.created", condition=condition)
    await subscribe(app, site.url(), "task.created", condition="event.data.task.error.type == 'x'")
    for queue, tags in (("default", ("vip",)), ("billing", ()), ("billing", ("vip", "x"))):
        await app.creation.create(new_task(queue=queue, tags=tags))
    async with delivering(settings):
        (kept,) = await until_deliveries(app, "SUCCEEDED")
    (request,) = site.requests
    assert event_in(request)["data"]["task"]["tags"] == ["vip", "x"]
    assert request.headers["webhook-id"] == str(kept["id"])
