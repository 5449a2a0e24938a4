"""The tasks by which executions go on are nobody's business: lists, streams, statistics and webhooks leave them out."""

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from support.executions import edge
from support.running import ended, make, run, start, task, until, working
from support.tasks import TENANT
from support.webhooks import deliveries, subscribe
from taskflow_core.app import App
from taskflow_core.settings import Settings
from taskflow_core.stats.tasks import TaskFilter
from taskflow_core.tasks.read import PageRequest
from taskflow_core.tasks.watch_all import SnapshotEnd, TenantEvent

OWN = ["taskflow.delay", "taskflow.step"]


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, worker_drain_grace=0.05)


async def make_with_own_tasks(app: App) -> UUID:
    """A workflow that needs one task of a handler, a delay, and one that tells of the end of its child."""
    await make(app, [task("x")], name="child")
    nodes = [
        {"id": "pause", "delay": {"duration": "0.02s"}},
        {"id": "sub", "subworkflow": {"workflow_name": "child"}},
    ]
    return await make(app, nodes, [edge("pause", "sub")])


async def listed(app: App, filter: str = "") -> list[str]:
    page = await app.reader.list_tasks(TENANT, PageRequest(), filter=filter, order_by="", full=False)
    return sorted(row["task_type"] for row in page.rows)


async def test_lists_streams_statistics_and_webhooks_leave_them_out(app: App):
    await subscribe(app, "https://example.com", "task.*")
    async with working(app), aclosing(app.watch_all.watch(TENANT)) as messages:
        assert isinstance(await anext(messages), SnapshotEnd)
        workflow_id = await make_with_own_tasks(app)
        row = await run(app, workflow_id)
        kinds: list[tuple[str, str]] = []
        while ("echo", "SUCCEEDED") not in kinds:
            message = await anext(messages)
            if isinstance(message, TenantEvent):
                kinds.append((message.event["task_type"], message.event["kind"]))
    assert row["status"] == "SUCCEEDED"
    assert {task_type for task_type, _ in kinds} == {"echo"}
    assert await listed(app) == ["echo"]
    assert await listed(app, f'execution_id = "{row["id"]}"') == []
    assert await listed(app, 'task_type = "taskflow.*"') == OWN
    stats = await app.stats.tasks(TENANT, TaskFilter())
    assert set(stats.by_task_type) == {"echo"}
    assert {delivery["data"]["task"]["task_type"] for delivery in await deliveries(app)} == {"echo"}


async def test_those_that_wait_are_not_cancelled_with_all_others(app: App):
    async with working(app):
        workflow_id = await make(app, [{"id": "pause", "delay": {"duration": "0.5s"}}])
        execution = await start(app, workflow_id)
        await until(app, execution, "pause", "WAITING")
        assert await app.reader.find_ids(TENANT, "", ["SCHEDULED", "QUEUED"], 10) == []
        assert (await ended(app, execution))["status"] == "SUCCEEDED"


async def test_a_recovery_of_webhooks_leaves_them_out_too(app: App):
    async with working(app):
        await run(app, await make_with_own_tasks(app))
    webhook = await subscribe(app, "https://example.com", "task.success")
    a_minute_ago = datetime.now(UTC) - timedelta(minutes=1)
    recovered = await app.webhooks.redelivery.recover(
        TENANT, webhook.row["id"], a_minute_ago, None, validate_only=False
    )
    assert recovered.created == 1
