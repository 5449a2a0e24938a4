"""Webhooks are told of executions: each event once, as things were after it, also long afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf import json_format

from support.executions import definition, edge
from support.http_site import Site, running_site
from support.tasks import TENANT
from support.webhooks import deliveries, delivering, subscribe, until_deliveries, verified
from taskflow_core.app import App
from taskflow_core.executions.start import NewExecution
from taskflow_core.executions.steer import NewSignal
from taskflow_core.queue import lanes
from taskflow_core.settings import Settings
from taskflow_core.states import Priority
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.definitions import NewWorkflow
from taskflow_proto.v1 import webhook_pb2, workflow_pb2
from taskflow_worker import Fail, TaskContext
from taskflow_worker.engine import TaskWorker
from taskflow_worker.registry import Handler, Registry
from taskflow_worker.service_handlers import service_handlers

Json = dict[str, Any]
NOWHERE = "http://127.0.0.1:9/"
APPROVAL = {"id": "approval", "wait": {"signal": "approve"}}


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        webhook_allow_http=True,
        http_allow_private=True,
        heartbeat_seconds=0.05,
        worker_drain_grace=0.2,
    )


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


async def echo(context: TaskContext, payload: Json) -> Json:
    return payload


async def refuse(context: TaskContext, payload: Json) -> None:
    raise Fail("refused")


HANDLERS: dict[str, Callable[..., Any]] = {"echo": echo, "refuse": refuse}


@asynccontextmanager
async def working(app: App) -> AsyncIterator[None]:
    registry = Registry(
        [*(Handler(name, function) for name, function in HANDLERS.items()), *service_handlers(app)]
    )
    worker = TaskWorker(app, registry, lanes(["default"], tuple(Priority)))
    main = asyncio.create_task(worker.main())
    try:
        while not await app.database.pool.fetchval("SELECT count(*) FROM task_types"):
            await asyncio.sleep(0.01)
        yield
    finally:
        worker.drain()
        await main


def node(node_id: str, task_type: str) -> Json:
    return {"id": node_id, "task": {"task_type": task_type, "payload": {}, "payload_expressions": {}}}


async def start(app: App, *nodes: Json, edges: tuple[Json, ...] = ()) -> Row:
    content = definition(nodes, edges, name=f"w-{uuid4().hex[:8]}")
    workflow_id: UUID = (await app.workflows.create(NewWorkflow(TENANT, content)))["id"]
    new = NewExecution(tenant_id=TENANT, actor="tester", workflow_id=workflow_id, input='{"secret": 1}')
    return await app.executions.start.start(new)


async def ended(app: App, execution: Row) -> Row:
    row = await app.executions.watch.wait(TENANT, execution["id"], 20)
    assert row["finished_at"] is not None
    return row


async def logged(app: App, execution: Row) -> list[tuple[int, str]]:
    rows = await app.database.pool.fetch(
        "SELECT sequence, kind FROM execution_events WHERE execution_id = $1 ORDER BY sequence",
        execution["id"],
    )
    return [(row["sequence"], row["kind"]) for row in rows]


async def test_the_whole_life_of_an_execution_is_told_in_order(app: App, settings: Settings, site: Site):
    made = await subscribe(app, site.url(), "workflow.*", ordered=True)
    async with working(app):
        execution = await start(app, node("a", "echo"), APPROVAL, edges=(edge("a", "approval"),))
        async with asyncio.timeout(20):
            while "workflow.waiting" not in [row["event_type"] for row in await deliveries(app)]:
                await asyncio.sleep(0.02)
        await app.executions.steering.signal(
            TENANT, execution["id"], "tester", NewSignal(name="approve", payload="{}")
        )
        await ended(app, execution)
    async with delivering(settings):
        await until_deliveries(app, *["SUCCEEDED"] * 5)
    events = [verified(made.secret, request) for request in site.requests]
    types = [
        "workflow.started",
        "workflow.node_completed",
        "workflow.waiting",
        "workflow.node_completed",
        "workflow.success",
    ]
    assert [event["type"] for event in events] == types
    kinds = dict(await logged(app, execution))
    assert [kinds[event["sequence"]] for event in events] == [
        *("CREATED", "NODE_SUCCEEDED", "NODE_WAITING", "NODE_SUCCEEDED", "SUCCEEDED")
    ]
    bodies = [json_format.Parse(request.body, webhook_pb2.WebhookEvent()) for request in site.requests]
    told = [event.data.execution for event in bodies]
    assert [workflow_pb2.Execution.Status.Name(one.status) for one in told] == [*["RUNNING"] * 4, "SUCCEEDED"]
    assert [one.last_sequence for one in told] == [event.sequence for event in bodies]
    assert [one.HasField("end_time") for one in told] == [False] * 4 + [True]
    assert {one.id for one in told} == {str(execution["id"])}
    runs = [event.data.node_run for event in bodies]
    assert [run.node_id for run in runs] == ["", "a", "approval", "approval", ""]
    assert runs[2].signal == "approve"
    assert runs[1].execution_id == str(execution["id"])
    assert runs[1].task_id
    assert b"secret" not in site.requests[0].body


async def test_a_failed_execution_says_where_and_why(app: App):
    await subscribe(app, NOWHERE, "workflow.*")
    async with working(app):
        execution = await start(app, node("a", "refuse"))
        await ended(app, execution)
    rows = await deliveries(app)
    assert [row["event_type"] for row in rows] == [
        *("workflow.started", "workflow.node_completed", "workflow.failed")
    ]
    events = [app.webhooks.envelopes.event(row)["data"] for row in rows]
    assert events[1]["node_run"]["status"] == "FAILED"
    assert events[1]["node_run"]["error"]["message"] == "refused"
    assert events[2]["execution"]["failed_node_id"] == "a"
    assert events[2]["execution"]["error"]["message"]
    assert "error" not in events[0]["execution"]
    assert {row["execution_id"] for row in rows} == {execution["id"]}


async def test_a_cancelled_execution_is_told_of_only_to_those_who_want_it(app: App):
    wanted = await subscribe(app, NOWHERE, "workflow.cancelled")
    other = await subscribe(app, NOWHERE, "task.*", "schedule.*")
    elsewhere = await subscribe(app, NOWHERE, "*", tenant_id="elsewhere")
    async with working(app):
        execution = await start(app, APPROVAL)
        await app.executions.steering.cancel(
            TENANT, execution["id"], "tester", "enough", skip_compensation=False
        )
        await ended(app, execution)
    (row,) = await deliveries(app, wanted.row)
    assert app.webhooks.envelopes.event(row)["data"]["execution"]["status"] == "CANCELLED"
    assert not [row for row in await deliveries(app, other.row) if row["execution_id"]]
    assert await deliveries(app, elsewhere.row) == []


async def test_a_recovery_tells_of_executions_what_the_events_said(app: App):
    live = await subscribe(app, NOWHERE, "workflow.*")
    async with working(app):
        await ended(app, await start(app, node("a", "echo")))
        await ended(app, await start(app, node("a", "refuse")))
    late = await subscribe(app, NOWHERE, "workflow.*")
    recover, webhook_id = app.webhooks.redelivery.recover, late.row["id"]
    before = datetime.now(UTC) - timedelta(minutes=1)
    counted = await recover(TENANT, webhook_id, before, None, validate_only=True)
    recovered = await recover(TENANT, webhook_id, before, None, validate_only=False)
    again = await recover(TENANT, webhook_id, before, None, validate_only=False)
    assert (counted.created, recovered.created, again.created) == (6, 6, 0)

    async def bodies(webhook: Row) -> set[str]:
        return {json.dumps(app.webhooks.envelopes.event(row)) for row in await deliveries(app, webhook)}

    assert await bodies(late.row) == await bodies(live.row)


async def test_an_undone_event_of_an_execution_plans_nothing(app: App):
    await subscribe(app, NOWHERE, "workflow.*")
    execution = await start(app, APPROVAL)
    planned = await deliveries(app)
    async with app.database.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "INSERT INTO execution_events (execution_id, sequence, tenant_id, kind, status, actor)"
            " VALUES ($1, 99, 'default', 'CANCELLED', 'CANCELLED', '')",
            execution["id"],
        )
        await transaction.rollback()
    assert await deliveries(app) == planned


async def test_a_test_event_of_a_workflow_has_an_execution(app: App, settings: Settings, site: Site):
    made = await subscribe(app, site.url(), "workflow.failed")
    async with delivering(settings):
        delivery = await app.webhooks.trial.send(TENANT, made.row["id"], "")
    assert delivery["status"] == "SUCCEEDED"
    event = json_format.Parse(site.requests[0].body, webhook_pb2.WebhookEvent())
    assert event.data.test
    assert event.data.execution.workflow_name == "test"
