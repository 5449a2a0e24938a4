"""Following one task: opened at any moment, by any number, by readers quick and slow."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import grpc.aio
import pytest

from integration.test_watch_all import CREATE, WRITE, events, open_transaction, past_snapshots
from support.tasks import TENANT, claim_by_hand, new_task, open_test_session, running_task, settlement
from taskflow_core.app import App
from taskflow_core.errors import NotFound
from taskflow_core.paging import PageTokens
from taskflow_core.settings import Settings
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.report import Report, Reports
from taskflow_core.tasks.rows import Row
from taskflow_core.tasks.watch import watched_tasks
from taskflow_core.watch import Closing, Event, Message, Snapshot, Watch, WatchTimes
from taskflow_proto.v1.task_service_pb2 import StreamClosing, WatchTaskRequest, WatchTaskResponse
from taskflow_proto.v1.task_service_pb2_grpc import TaskServiceStub
from taskflow_server import pack
from taskflow_server.drain import Drain
from taskflow_server.server import serving
from taskflow_server.task_service import TaskService

# More than flow control lets through to a client that does not read.
LINES, LINE = 1500, "x" * 4000
TIMES = WatchTimes(keep_alive=15, max_duration=1000, patience=30)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, grpc_port=0, drain_delay=0, drain_grace=5)


async def say(app: App, task: Row, session_id: int, lines: int = 1, text: str = "a line") -> None:
    report = tuple(Report("LOG", {"message": text}) for _ in range(lines))
    await app.reporting.report(Reports(task["id"], task["attempt"], session_id, "host:1", report))


async def to_the_end(app: App, task: Row, token: str = "") -> list[Message[Row]]:
    async with asyncio.timeout(20):
        return [message async for message in app.watch.watch(TENANT, task["id"], token)]


def kinds(messages: Iterable[object]) -> list[str]:
    return [type(message).__name__ for message in messages]


async def test_a_watch_opened_before_the_creation_commits_ends_and_one_of_all_tasks_sees_it_to_its_end(
    app: App,
):
    task_id = UUID(int=7)
    async with aclosing(app.watch_all.watch(TENANT)) as everything:
        await past_snapshots(everything)
        async with open_transaction(app) as connection:
            await connection.execute(CREATE, task_id, TENANT)
            with pytest.raises(NotFound):
                await anext(app.watch.watch(TENANT, task_id))
        session_id = await open_test_session(app)
        (claimed,) = await claim_by_hand(app, session_id, await get_task(app.database, TENANT, task_id))
        await app.settlement.settle(settlement(claimed, session_id))
        assert [event.event["kind"] for event in await events(everything, 3)] == [
            "CREATED",
            "STARTED",
            "SUCCEEDED",
        ]


async def test_a_watch_opened_while_the_end_is_being_committed_has_the_end(app: App):
    session_id = await open_test_session(app)
    for _ in range(20):
        task = await running_task(app, session_id)
        ending = asyncio.ensure_future(app.settlement.settle(settlement(task, session_id)))
        watches = [asyncio.ensure_future(to_the_end(app, task)) for _ in range(5)]
        await ending
        watches.append(asyncio.ensure_future(to_the_end(app, task)))
        for messages in await asyncio.gather(*watches):
            assert isinstance(messages[0], Snapshot)
            assert isinstance(messages[-1], Closing)
            assert messages[-1].reason == "FINISHED"
            assert messages[-1].subject is not None
            assert messages[-1].subject["status"] == "SUCCEEDED"


async def test_all_who_watch_a_task_share_one_read_and_one_packed_message(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    watches = [app.watch.watch(TENANT, task["id"]) for _ in range(5)]
    for watch in watches:
        assert isinstance(await anext(watch), Snapshot)
    waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
    await asyncio.sleep(0)
    await say(app, task, session_id)
    messages = await asyncio.gather(*waiting)
    assert all(isinstance(message, Event) for message in messages)
    first = pack.watch_bytes(messages[0])
    assert all(pack.watch_bytes(message) is first for message in messages)
    assert WatchTaskResponse.FromString(first).event.message == "a line"
    for watch in watches:
        await watch.aclose()


async def test_a_read_that_has_begun_is_not_taken_for_one_that_starts_now(app: App):
    task = await app.creation.create(new_task())
    async with aclosing(app.feed.follow(task["id"], 1, 15)) as first:
        reading = asyncio.ensure_future(anext(first))
        await asyncio.sleep(0)  # it asks for what is above 1
        await app.database.pool.execute(WRITE, task["id"])
        async with aclosing(app.feed.follow(task["id"], 1, 15)) as second:
            assert [row["sequence"] for row in await anext(second)] == [2]
        await app.queue.enqueue([], ring=[task["id"]])
        assert [row["sequence"] for row in await reading] == [2]


async def test_one_who_stops_watching_takes_nothing_from_the_others(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    watches = [app.watch.watch(TENANT, task["id"]) for _ in range(3)]
    for watch in watches:
        await anext(watch)
    waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await say(app, task, session_id)
    messages = await asyncio.gather(*waiting[1:])
    assert kinds(messages) == ["Event", "Event"]
    for watch in watches:
        await watch.aclose()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def watch_by(app: App, clock: Clock) -> Watch[Row]:
    """Watches whose readers may take 30 s for a message."""
    return Watch(watched_tasks(app.database, app.feed), app.feed, PageTokens.of(app.settings), TIMES, clock)


async def test_a_reader_that_is_too_slow_gets_the_task_as_it_is_and_is_sent_away(app: App):
    session_id, clock = await open_test_session(app), Clock()
    task = await running_task(app, session_id)
    watch = watch_by(app, clock).watch(TENANT, task["id"])
    assert isinstance(await anext(watch), Snapshot)
    await say(app, task, session_id, lines=300)
    clock.now += 31
    snapshot, closing = [message async for message in watch]
    assert isinstance(snapshot, Snapshot)
    assert snapshot.reset
    assert snapshot.subject["last_sequence"] == 302
    assert isinstance(closing, Closing)
    assert (closing.reason, closing.token) == ("SLOW_CONSUMER", snapshot.token)
    await app.settlement.settle(settlement(task, session_id))
    assert kinds(await to_the_end(app, task, closing.token)) == ["Event", "Closing"]


async def test_a_slow_reader_that_missed_nothing_is_sent_away_without_a_snapshot(app: App):
    session_id, clock = await open_test_session(app), Clock()
    task = await running_task(app, session_id)
    watch = watch_by(app, clock).watch(TENANT, task["id"])
    snapshot = await anext(watch)
    clock.now += 31
    (closing,) = [message async for message in watch]
    assert isinstance(closing, Closing)
    assert (closing.reason, closing.token) == ("SLOW_CONSUMER", snapshot.token)


async def test_a_slow_reader_of_a_task_that_ended_has_its_end(app: App):
    session_id, clock = await open_test_session(app), Clock()
    task = await running_task(app, session_id)
    watch = watch_by(app, clock).watch(TENANT, task["id"])
    await anext(watch)
    await app.settlement.settle(settlement(task, session_id))
    clock.now += 31
    messages = [message async for message in watch]
    assert kinds(messages) == ["Snapshot", "Closing"]
    assert isinstance(messages[-1], Closing)
    assert messages[-1].reason == "FINISHED"


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[TaskServiceStub]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield TaskServiceStub(channel)


async def messages_of(stream: Any) -> list[WatchTaskResponse]:
    return [message async for message in stream]


async def test_a_reader_that_does_not_read_changes_nothing_for_the_others(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    request = WatchTaskRequest(task_id=str(task["id"]))
    async with (
        serving(app, [TaskService(app)], Drain()) as port,
        connected(port) as stopped,
        connected(port) as others,
    ):
        silent: Any = stopped.WatchTask(request)
        await silent.initial_metadata()
        readers = [asyncio.create_task(messages_of(others.WatchTask(request))) for _ in range(3)]
        for _ in range(LINES // 20):
            await say(app, task, session_id, lines=20, text=LINE)
        await app.settlement.settle(settlement(task, session_id))
        for messages in await asyncio.gather(*readers):
            assert messages[-1].closing.task.last_sequence == LINES + 3
        # It has been let be, and when it reads at last, it misses nothing.
        late = await messages_of(silent)
    assert [message.event.sequence for message in late[1:-1]] == list(range(3, LINES + 4))


async def test_a_reader_that_stopped_for_long_reads_on_to_the_task_as_it_is_and_the_reason(app: App):
    session_id, clock = await open_test_session(app), Clock()
    app = replace(app, watch=watch_by(app, clock))
    task = await running_task(app, session_id)
    request = WatchTaskRequest(task_id=str(task["id"]))
    async with (
        serving(app, [TaskService(app)], Drain()) as port,
        connected(port) as stopped,
        connected(port) as others,
    ):
        silent: Any = stopped.WatchTask(request)
        reader = others.WatchTask(request)
        await silent.initial_metadata()
        reading = asyncio.create_task(read_until(reader, LINES + 2))
        for _ in range(LINES // 20):
            await say(app, task, session_id, lines=20, text=LINE)
        await reading
        clock.now += 31
        *before, snapshot, closing = await messages_of(silent)
    assert len(before) < LINES
    assert snapshot.snapshot.reset
    assert snapshot.snapshot.task.last_sequence == LINES + 2
    assert closing.closing.reason == StreamClosing.SLOW_CONSUMER
    await app.settlement.settle(settlement(task, session_id))
    assert kinds(await to_the_end(app, task, closing.resume_token)) == ["Event", "Closing"]


async def read_until(stream: Any, sequence: int) -> None:
    async for message in stream:
        if message.event.sequence == sequence:
            return
