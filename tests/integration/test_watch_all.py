"""Following all tasks of a tenant: no gap and no duplicate, in whatever order transactions commit."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from support.tasks import (
    TENANT,
    claim_by_hand,
    new_task,
    open_test_session,
    running_task,
    settlement,
)
from taskflow_core.app import App
from taskflow_core.errors import InvalidArgument
from taskflow_core.tail import Tail
from taskflow_core.tail.log import Log
from taskflow_core.tasks.report import Report, Reports
from taskflow_core.tasks.rows import Row
from taskflow_core.tasks.watch_all import SnapshotEnd, TenantEvent, TenantMessage
from taskflow_core.watch import Closing, KeepAlive, Snapshot

Messages = AsyncGenerator[TenantMessage, None]
CREATE = """
WITH task AS (
  INSERT INTO tasks (id, tenant_id, name, task_type, queue, priority, payload, payload_form, status, run_at)
  VALUES ($1, $2, 'held', 'echo', 'default', 'NORMAL', '{}', 'JSON', 'QUEUED', now()) RETURNING id, tenant_id
) INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor)
  SELECT id, 1, tenant_id, 'CREATED', 'QUEUED', 0, 'tester' FROM task
"""
WRITE = """
WITH task AS (UPDATE tasks SET last_sequence = last_sequence + 1 WHERE id = $1 RETURNING *)
INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor)
SELECT id, last_sequence, tenant_id, 'LOG', status, attempt, 'tester' FROM task
"""


@asynccontextmanager
async def watching(app: App, token: str = "", **options: Any) -> AsyncIterator[Messages]:
    """A watch, past its snapshots."""
    async with aclosing(app.watch_all.watch(TENANT, resume_token=token, **options)) as messages:
        yield messages


async def past_snapshots(messages: Messages) -> str:
    async for message in messages:
        if isinstance(message, SnapshotEnd):
            return message.token
    raise AssertionError("a watch that starts has an end of its snapshots")


async def events(messages: Messages, count: int) -> list[TenantEvent]:
    """The next events."""
    found: list[TenantEvent] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            message = await anext(messages)
            if not isinstance(message, KeepAlive):
                assert isinstance(message, TenantEvent), message
                found.append(message)
    return found


def names(found: Sequence[TenantEvent]) -> list[tuple[UUID, int]]:
    return [(event.event["task_id"], event.event["sequence"]) for event in found]


@asynccontextmanager
async def open_transaction(app: App) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection in a transaction that has its number, and is committed at the end of the block."""
    connection = await asyncpg.connect(app.settings.database_url)
    try:
        async with connection.transaction():
            await connection.fetchval("SELECT pg_current_xact_id()")
            yield connection
    finally:
        await connection.close()


async def say(app: App, task: Row, session_id: int, lines: int = 1) -> None:
    report = tuple(Report("LOG", {"message": f"line {number}"}) for number in range(lines))
    await app.reporting.report(Reports(task["id"], task["attempt"], session_id, "host:1", report))


async def say_often(app: App, task: Row, session_id: int, times: int) -> None:
    for _ in range(times):
        await say(app, task, session_id)


async def test_a_watch_starts_with_the_tasks_as_they_are_and_goes_on_with_each_event(app: App):
    session_id = await open_test_session(app)
    before = await app.creation.create(new_task())
    async with watching(app) as messages:
        snapshot = await anext(messages)
        assert isinstance(snapshot, Snapshot)
        assert snapshot.subject["id"] == before["id"]
        end = await anext(messages)
        assert isinstance(end, SnapshotEnd)
        assert (end.count, end.reset) == (1, False)
        task = await running_task(app, session_id)
        await app.settlement.settle(settlement(task, session_id))
        found = await events(messages, 3)
    assert names(found) == [(task["id"], 1), (task["id"], 2), (task["id"], 3)]
    assert [event.event["kind"] for event in found] == ["CREATED", "STARTED", "SUCCEEDED"]


async def test_a_watch_resumed_after_any_message_goes_on_with_the_next(app: App):
    session_id = await open_test_session(app)
    async with watching(app) as messages:
        tokens = [await past_snapshots(messages)]
        for _ in range(3):
            task = await running_task(app, session_id)
            await say(app, task, session_id, lines=3)
            await app.settlement.settle(settlement(task, session_id))
        uncut = await events(messages, 18)
    tokens += [event.token for event in uncut]
    for seen, token in enumerate(tokens[:-1]):
        async with watching(app, token) as messages:
            assert names(await events(messages, 18 - seen)) == names(uncut)[seen:]


async def test_a_transaction_that_is_held_open_delays_what_comes_after_it_and_loses_nothing(app: App):
    held_id, task_id = UUID(int=7), None
    async with watching(app) as messages:
        await past_snapshots(messages)
        async with open_transaction(app) as connection:
            await connection.execute(CREATE, held_id, TENANT)
            task_id = (await app.creation.create(new_task()))["id"]
            reading = asyncio.ensure_future(events(messages, 2))
            # A second watcher says when the first has had every chance to read too far.
            async with watching(app, kinds=["CREATED"]) as other:
                await past_snapshots(other)
            assert not reading.done()
        found = await reading
    assert names(found) == [(held_id, 1), (task_id, 1)]


async def test_events_of_a_task_keep_their_order_when_the_earlier_transaction_commits_last(app: App):
    task = await app.creation.create(new_task())
    async with watching(app) as messages:
        assert isinstance(await anext(messages), Snapshot)
        token = await past_snapshots(messages)
        async with open_transaction(app) as earlier, open_transaction(app) as between:
            assert between
            async with open_transaction(app) as later:
                await later.execute(WRITE, task["id"])
            # With a lower number, and after the other: it would have waited for the row.
            await earlier.execute(WRITE, task["id"])
            await earlier.execute("COMMIT")
            await earlier.execute("BEGIN")
        found = await events(messages, 2)
    assert names(found) == [(task["id"], 2), (task["id"], 3)]
    assert found[0].event["xid"] > found[1].event["xid"]
    async with watching(app, token) as messages:
        assert names(await events(messages, 2)) == names(found)
    async with watching(app, found[0].token) as messages:
        assert names(await events(messages, 1)) == names(found)[1:]


async def test_a_watch_that_starts_between_two_such_commits_has_the_later_event_once(app: App):
    task = await app.creation.create(new_task())
    async with open_transaction(app) as earlier, open_transaction(app) as between:
        await between.execute(CREATE, UUID(int=8), TENANT)
        async with open_transaction(app) as later:
            await later.execute(WRITE, task["id"])
        await earlier.execute(WRITE, task["id"])
        await earlier.execute("COMMIT")
        await earlier.execute("BEGIN")
        async with watching(app) as messages:
            snapshot = await anext(messages)
            assert isinstance(snapshot, Snapshot)
            # The snapshot has both events already.
            assert snapshot.subject["last_sequence"] == 3
            end = await anext(messages)
            assert isinstance(end, SnapshotEnd)
            await between.execute("COMMIT")
            await between.execute("BEGIN")
            await app.database.pool.execute(WRITE, task["id"])
            await app.queue.enqueue([], ring=[task["id"]])
            found = await events(messages, 2)
    assert names(found) == [(UUID(int=8), 1), (task["id"], 4)]


async def test_what_moved_while_the_snapshots_were_read_is_told_once(app: App):
    task = await app.creation.create(new_task())
    async with open_transaction(app) as connection:
        # Nothing later counts as settled, and yet the snapshot shows it.
        await connection.execute(CREATE, UUID(int=9), TENANT)
        await app.database.pool.execute(WRITE, task["id"])
        async with watching(app) as messages:
            snapshot = await anext(messages)
            assert isinstance(snapshot, Snapshot)
            assert snapshot.subject["last_sequence"] == 2
            end = await anext(messages)
            assert isinstance(end, SnapshotEnd)
            # No place in the log would say what the snapshot has told.
            assert end.token == ""
            await connection.execute("COMMIT")
            await connection.execute("BEGIN")
            await app.database.pool.execute(WRITE, task["id"])
            await app.queue.enqueue([], ring=[task["id"]])
            found = await events(messages, 2)
    assert names(found) == [(UUID(int=9), 1), (task["id"], 3)]


async def test_only_what_matches_by_filter_and_kind_is_told(app: App):
    session_id = await open_test_session(app)
    async with watching(app, filter="task_type = echo AND queue = default", kinds=["SUCCEEDED"]) as messages:
        await past_snapshots(messages)
        other = await app.creation.create(new_task(queue="other"))
        assert other["queue"] == "other"
        task = await running_task(app, session_id)
        await app.settlement.settle(settlement(task, session_id))
        assert names(await events(messages, 1)) == [(task["id"], 3)]


@pytest.mark.parametrize(
    "filter",
    [
        "id = {id}",
        'name = "a task"',
        "priority = NORMAL",
        "status = QUEUED",
        "NOT tags:x",
        "attempt = 0",
        'create_time > "2020-01-01T00:00:00Z"',
        'schedule_time > "2020-01-01T00:00:00Z"',
        "NOT start_time:*",
        "NOT end_time:*",
        "NOT schedule_id:*",
        "NOT execution_id:*",
    ],
)
async def test_a_watch_can_be_filtered_by_each_field_of_a_list(app: App, filter: str):
    async with watching(app, kinds=["CREATED"]) as all_messages:
        await past_snapshots(all_messages)
        task = await app.creation.create(new_task())
        (event,) = await events(all_messages, 1)
    async with watching(app, filter=filter.format(id=task["id"])) as messages:
        assert isinstance(await anext(messages), Snapshot)
        token = await past_snapshots(messages)
        assert token
        await app.database.pool.execute(WRITE, task["id"])
        await app.queue.enqueue([], ring=[task["id"]])
        assert names(await events(messages, 1)) == [(task["id"], 2)]
    assert event.event["task_id"] == task["id"]


async def test_one_tenant_hears_nothing_of_another(app: App):
    async with watching(app) as messages, aclosing(app.watch_all.watch("other")) as others:
        await past_snapshots(messages)
        await past_snapshots(others)
        mine = await app.creation.create(new_task())
        theirs = await app.creation.create(new_task(tenant_id="other"))
        assert names(await events(messages, 1)) == [(mine["id"], 1)]
        assert names(await events(others, 1)) == [(theirs["id"], 1)]


@pytest.mark.parametrize("make", [lambda _: "rubbish", lambda token: token[:-2], lambda token: token])
async def test_a_token_of_another_tenant_or_of_nobody_is_refused(app: App, make: Callable[[str], str]):
    async with aclosing(app.watch_all.watch("other")) as messages:
        token = make(await past_snapshots(messages))
    with pytest.raises(InvalidArgument) as caught:
        await anext(app.watch_all.watch(TENANT, resume_token=token))
    assert caught.value.reason == "INVALID_RESUME_TOKEN"


async def test_a_filter_that_says_nothing_is_refused_at_once(app: App):
    with pytest.raises(InvalidArgument):
        await anext(app.watch_all.watch(TENANT, filter="nonsense ="))


async def test_the_reader_of_all_logs_runs_only_while_somebody_watches(app: App):
    def readers() -> int:
        return sum("Tail._read_on" in repr(task) for task in asyncio.all_tasks())

    async with watching(app) as first, watching(app) as second:
        await past_snapshots(first)
        await past_snapshots(second)
        await app.creation.create(new_task())
        await events(first, 1)
        await events(second, 1)
        assert readers() == 1
    async with asyncio.timeout(10):
        while readers():
            await asyncio.sleep(0)


async def test_a_draining_server_tells_those_who_watch_all_tasks(app: App):
    async with watching(app) as messages:
        await past_snapshots(messages)
        task = await app.creation.create(new_task())
        await events(messages, 1)
        app.feed.drain()
        closing = await anext(messages)
    assert isinstance(closing, Closing)
    assert closing.reason == "DRAINING"
    assert task


async def test_a_watcher_that_falls_behind_goes_on_from_the_log(app: App, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("taskflow_core.tail.tail.KEPT", 2)
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    async with watching(app) as slow, watching(app) as quick:
        await past_snapshots(slow)
        await past_snapshots(quick)
        for _ in range(12):
            await say(app, task, session_id)
        expected = [(task["id"], number) for number in range(3, 15)]
        assert names(await events(quick, 12)) == expected
        assert names(await events(slow, 12)) == expected


async def test_events_that_come_in_the_moment_in_which_a_silence_is_told_are_told_too(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    log = Log(app.database)
    tail = Tail(log, app.feed)
    told: list[int] = []
    count = 200
    # So impatient that its waits end all the time, also when the reader has just read something.
    async with (
        aclosing(tail.follow(TENANT, await log.start(), quiet=0.0)) as batches,
        asyncio.TaskGroup() as group,
        asyncio.timeout(20),
    ):
        group.create_task(say_often(app, task, session_id, count))
        async for lines, _ in batches:
            told += [line.row["sequence"] for line in lines]
            if told and told[-1] == task["last_sequence"] + count:
                break
    assert told == [task["last_sequence"] + number for number in range(1, count + 1)]


async def test_claims_of_many_tasks_at_once_are_told_in_each_tasks_order(app: App):
    session_id = await open_test_session(app)
    async with watching(app) as messages:
        await past_snapshots(messages)
        created = await app.creation.create_all([new_task() for _ in range(300)])
        claimed = await claim_by_hand(app, session_id, *created)
        await asyncio.gather(*(app.settlement.settle(settlement(task, session_id)) for task in claimed))
        found = await events(messages, 900)
    by_task: dict[UUID, list[int]] = {}
    for task_id, sequence in names(found):
        by_task.setdefault(task_id, []).append(sequence)
    assert len(by_task) == 300
    assert all(numbers == [1, 2, 3] for numbers in by_task.values())
