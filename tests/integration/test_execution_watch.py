"""Following one execution: by any number, by readers quick and slow, through gRPC and as Server-Sent Events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc.aio
import pytest

from integration.test_watch import TIMES, Clock, kinds
from support.running import make, start
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.executions.read import Whole
from taskflow_core.executions.steer import NewSignal
from taskflow_core.executions.watch import watched_executions
from taskflow_core.paging import PageTokens
from taskflow_core.settings import Settings
from taskflow_core.tasks.rows import Row
from taskflow_core.watch import Closing, Event, Snapshot, Watch
from taskflow_proto.v1.task_service_pb2 import StreamClosing
from taskflow_proto.v1.workflow_service_pb2 import (
    StreamExecutionEventsRequest,
    WatchExecutionRequest,
    WatchExecutionResponse,
)
from taskflow_proto.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from taskflow_server import pack
from taskflow_server.drain import Drain
from taskflow_server.server import serving
from taskflow_server.workflow_service import WorkflowService

# More than flow control lets through to a client that does not read.
LINES, LINE = 2000, "x" * 4000
WRITE = """
WITH moved AS (
  UPDATE workflow_executions SET last_sequence = last_sequence + $2 WHERE id = $1 RETURNING *
)
INSERT INTO execution_events (execution_id, sequence, tenant_id, kind, status, actor, data)
SELECT id, last_sequence - $2 + n, tenant_id, 'SIGNALLED', status, 'tester', jsonb_build_object('message', $3::text)
FROM moved, generate_series(1, $2::int) AS n
"""


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, grpc_port=0, drain_delay=0, drain_grace=5)


async def waiting_execution(app: App, clock: Clock) -> tuple[App, Row]:
    """An execution that waits for a signal, and watches of it whose readers may take 30 s for a message."""
    watched = watched_executions(app.executions.reader, app.feed)
    watch = Watch(watched, app.feed, PageTokens.of(app.settings), TIMES, clock)
    execution = await start(app, await make(app, [{"id": "go", "wait": {}}]))
    return replace(app, executions=replace(app.executions, watch=watch)), execution


async def send(app: App, execution: Row, *names: str) -> None:
    for name in names:
        signal = NewSignal(name=name, payload="{}")
        await app.executions.steering.signal(TENANT, execution["id"], "tester", signal)


async def test_a_reader_that_is_too_slow_gets_the_execution_as_it_is_and_is_sent_away(app: App):
    clock = Clock()
    app, execution = await waiting_execution(app, clock)
    watch = app.executions.watch.watch(TENANT, execution["id"])
    first = await anext(watch)
    assert isinstance(first, Snapshot)
    await send(app, execution, "a", "b", "c")
    clock.now += 31
    snapshot, closing = [message async for message in watch]
    assert isinstance(snapshot, Snapshot)
    assert snapshot.reset
    assert snapshot.subject.row["last_sequence"] == first.subject.row["last_sequence"] + 3
    assert isinstance(closing, Closing)
    assert (closing.reason, closing.token) == ("SLOW_CONSUMER", snapshot.token)
    await send(app, execution, "go")
    rest = [message async for message in app.executions.watch.watch(TENANT, execution["id"], closing.token)]
    assert set(kinds(rest[:-1])) == {"Event"}
    assert isinstance(rest[-1], Closing)
    assert rest[-1].reason == "FINISHED"


async def test_a_slow_reader_of_an_execution_that_ended_has_its_end(app: App):
    clock = Clock()
    app, execution = await waiting_execution(app, clock)
    watch = app.executions.watch.watch(TENANT, execution["id"])
    await anext(watch)
    await send(app, execution, "go")
    clock.now += 31
    messages = [message async for message in watch]
    assert kinds(messages) == ["Snapshot", "Closing"]
    assert isinstance(messages[-1], Closing)
    assert messages[-1].reason == "FINISHED"
    assert isinstance(messages[-1].subject, Whole)


async def test_all_who_watch_an_execution_share_one_packed_message(app: App):
    app, execution = await waiting_execution(app, Clock())
    watches = [app.executions.watch.watch(TENANT, execution["id"]) for _ in range(3)]
    for watch in watches:
        await anext(watch)
    await send(app, execution, "a")
    messages = [await anext(watch) for watch in watches]
    assert all(isinstance(message, Event) for message in messages)
    first = pack.execution_watch_bytes(messages[0])
    assert all(pack.execution_watch_bytes(message) is first for message in messages)
    assert WatchExecutionResponse.FromString(first).event.node_run.node_id == ""
    for watch in watches:
        await watch.aclose()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[WorkflowServiceStub]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield WorkflowServiceStub(channel)


async def test_slow_readers_of_an_execution_are_told_so_and_change_nothing_for_the_others(app: App):
    clock = Clock()
    app, execution = await waiting_execution(app, clock)
    request = WatchExecutionRequest(execution_id=str(execution["id"]))
    frames_request = StreamExecutionEventsRequest(execution_id=request.execution_id)
    last = execution["last_sequence"] + LINES
    async with (
        serving(app, [WorkflowService(app)], Drain()) as port,
        connected(port) as stopped,
        connected(port) as stopped_too,
        connected(port) as others,
    ):
        silent: Any = stopped.WatchExecution(request)
        silent_frames: Any = stopped_too.StreamExecutionEvents(frames_request)
        reader: Any = others.WatchExecution(request)
        for stream in (silent, silent_frames, reader):
            await stream.initial_metadata()
        await app.database.pool.execute(WRITE, execution["id"], LINES, LINE)
        await app.queue.enqueue([], ring=[execution["id"]])
        async for message in reader:
            if message.event.sequence == last:
                break
        clock.now += 31
        *before, snapshot, closing = [message async for message in silent]
        frames = [frame.data async for frame in silent_frames]
    assert len(before) < LINES
    assert snapshot.snapshot.reset
    assert snapshot.snapshot.execution.last_sequence == last
    assert closing.closing.reason == StreamClosing.SLOW_CONSUMER
    assert len(frames) < LINES
    assert b'"reset":true' in frames[-2]
    assert b'"reason":"SLOW_CONSUMER"' in frames[-1]
