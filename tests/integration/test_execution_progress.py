"""The progress of node runs in the log of their execution: coalesced, in its place, and never in the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from support.executions import definition
from support.running import kinds, make, run, start, task, until, working
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.executions.read import Whole
from taskflow_core.settings import Settings
from taskflow_core.tasks.read import PageRequest
from taskflow_core.tasks.rows import Row
from taskflow_core.watch import Event, Message
from taskflow_server import pack
from taskflow_worker import TaskContext

REPORTED = "SELECT count(*) FROM task_events WHERE kind = 'PROGRESS'"
# Progress of these node runs, all at once.
TELL = """
WITH moved AS (
  UPDATE workflow_executions SET last_sequence = last_sequence + cardinality($2::text[]) WHERE id = $1 RETURNING *
)
INSERT INTO execution_events (execution_id, sequence, tenant_id, kind, status, actor, data)
SELECT id, last_sequence - cardinality($2) + n, tenant_id, 'NODE_PROGRESS', status, 'tester',
  jsonb_build_object('node_run', jsonb_build_object('id', run))
FROM moved, unnest($2) WITH ORDINALITY AS told (run, n)
"""


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, heartbeat_seconds=0.05)


class Copying:
    """A handler that reports what it is told to, until it is told to end."""

    def __init__(self) -> None:
        self._reports: asyncio.Queue[int | None] = asyncio.Queue()

    def report(self, count: int) -> None:
        self._reports.put_nowait(count)

    def end(self) -> None:
        self._reports.put_nowait(None)

    async def run(self, context: TaskContext, payload: Any) -> None:
        while (count := await self._reports.get()) is not None:
            context.progress(message="copying", current=count, total=10, unit="files")


async def progress_events(messages: AsyncIterator[Message[Whole]], count: int) -> list[Row]:
    """The next that a watch sees."""
    found: list[Row] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            message = await anext(messages)
            if isinstance(message, Event) and message.event["kind"] == "NODE_PROGRESS":
                found.append(message.event)
    return found


async def test_who_watches_an_execution_sees_how_far_its_tasks_have_come(app: App):
    copying = Copying()
    async with working(app, copy=copying.run):
        execution = await start(app, await make(app, [task("a", "copy")]))
        await until(app, execution, "a", "RUNNING")
        messages = app.executions.watch.watch(TENANT, execution["id"])
        watching = asyncio.create_task(progress_events(messages, 2))
        copying.report(3)
        while not watching.done():
            # The first is told at once; of the others the latest, an interval later.
            copying.report(7)
            await asyncio.sleep(0.05)
        events = [pack.execution_event(row) for row in await watching]
        await messages.aclose()
        copying.end()
        ended = await app.executions.watch.wait(TENANT, execution["id"], 20)
        so_far = await kinds(app, ended)
    assert [(event.node_run.node_id, event.node_run.attempt) for event in events] == [("a", 1), ("a", 1)]
    assert events[-1].node_run.progress.percent == 70
    assert events[-1].node_run.progress.unit == "files"
    assert events[-1].node_run.HasField("start_time")
    assert so_far[:3] == ["CREATED", "NODE_STARTED", "NODE_PROGRESS"]
    assert so_far[-2:] == ["NODE_SUCCEEDED", "SUCCEEDED"]
    # Twenty reports a second became one event a second.
    assert so_far.count("NODE_PROGRESS") <= 4


async def test_progress_waits_while_its_execution_is_being_moved(app: App):
    copying = Copying()
    async with working(app, copy=copying.run):
        execution = await start(app, await make(app, [task("a", "copy")]))
        await until(app, execution, "a", "RUNNING")
        async with aclosing(app.executions.watch.watch(TENANT, execution["id"])) as messages:
            async with app.database.pool.acquire() as connection, connection.transaction():
                await app.executions.advancement.lock(connection, [execution["id"]])
                copying.report(5)
                while not await app.database.pool.fetchval(REPORTED):
                    await asyncio.sleep(0.01)
                await anext(messages)
                assert await kinds(app, execution) == ["CREATED", "NODE_STARTED"]
            (event,) = await progress_events(messages, 1)
        copying.end()
    assert event["data"]["node_run"]["progress"]["percent"] == 50


async def test_a_watcher_gets_progress_as_seldom_as_it_likes(app: App):
    execution = await start(app, await make(app, [{"id": "go", "wait": {}}]))
    messages = app.executions.watch.watch(TENANT, execution["id"], "", 3600)
    async with aclosing(messages):
        await anext(messages)
        await app.database.pool.execute(TELL, execution["id"], ["a", "b", "a", "b", "c", "a"])
        await app.queue.enqueue([], ring=[execution["id"]])
        events = await progress_events(messages, 3)
    assert [event["data"]["node_run"]["id"] for event in events] == ["a", "b", "c"]


async def test_a_map_tells_of_whole_percents_only(app: App):
    async with working(app):
        each = {"id": "each", "parallel": {"map": {"items": "input.all", "graph": definition([task("x")])}}}
        row = await run(app, await make(app, [each]), {"all": list(range(250))})
        assert row["status"] == "SUCCEEDED"
        found = await app.executions.reader.list_events(TENANT, row["id"], PageRequest(1000))
    percents = [
        pack.execution_event(line).node_run.progress.percent
        for line in found.rows
        if line["kind"] == "NODE_PROGRESS"
    ]
    assert percents == sorted(percents)
    assert 90 <= len(percents) < 100
