"""What was left behind is swept up: lost workers, missing hints, timers and deadlines."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from support.tasks import (
    TENANT,
    claim_by_hand,
    kinds_of,
    new_task,
    open_test_session,
    running_task,
    settlement,
    status_of,
)
from taskflow_core.app import App
from taskflow_core.db import alone
from taskflow_core.ids import new_id
from taskflow_core.queue import EPOCH_KEY, HINTS_PER_SCRIPT, Hint, Lane
from taskflow_core.tasks.read import PageRequest, get_task
from taskflow_core.tasks.rows import Row
from taskflow_core.tasks.sweep import LOCK

LANE = Lane("default", "NORMAL").key


async def in_the_past(app: App, **columns: str) -> None:
    """Move times of all tasks into the past, as if they had been waited for."""
    for column, interval in columns.items():
        await app.database.pool.execute(f"UPDATE tasks SET {column} = {column} - interval '{interval}'")


async def waiting_since(app: App, interval: str) -> list[Row]:
    """Some tasks, whose hints the sweep has found in their places."""
    tasks = [await app.creation.create(new_task()) for _ in range(9)]
    await in_the_past(app, run_at=interval)
    await app.announcer.drain()
    assert await app.sweep.run() == {}
    return tasks


async def lose_lease(app: App, session_id: int) -> None:
    await app.database.pool.execute(
        "UPDATE worker_sessions SET lease_until = now() - interval '1 second' WHERE id = $1", session_id
    )


async def test_a_task_of_a_dead_worker_waits_for_another(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    await lose_lease(app, session_id)
    assert (await app.sweep.run())["lost"] == 1
    assert await kinds_of(app, task) == ["CREATED", "STARTED", "RELEASED"]
    row = await get_task(app.database, TENANT, task["id"])
    assert (row["status"], row["crashes"], row["failed_attempts"]) == ("QUEUED", 1, 0)
    assert not await app.settlement.settle(settlement(task, session_id)), "the dead worker is fenced off"
    assert await claim_by_hand(app, await open_test_session(app), row)


async def test_a_task_that_kills_its_workers_becomes_a_dead_letter(app: App):
    task = await app.creation.create(new_task())
    for _ in range(app.settings.max_crashes):
        session_id = await open_test_session(app)
        assert await claim_by_hand(app, session_id, await get_task(app.database, TENANT, task["id"]))
        await lose_lease(app, session_id)
        await app.sweep.run()
    row = await get_task(app.database, TENANT, task["id"])
    assert (row["status"], row["dead_letter_reason"], row["error"]["type"]) == (
        "FAILED",
        "CRASH_LOOP",
        "WorkerLost",
    )


async def test_a_live_worker_keeps_its_tasks(app: App):
    task = await running_task(app, await open_test_session(app))
    await app.sweep.run()
    assert await status_of(app, task) == "RUNNING"


async def test_all_hints_come_back_after_a_wipe(app: App):
    tasks = [await app.creation.create(new_task()) for _ in range(30)]
    await app.announcer.drain()
    await app.sweep.run()
    await in_the_past(app, run_at="10 seconds")
    await app.queue.redis.flushdb()
    assert (await app.sweep.run())["hinted"] == 30
    hints = {hint.decode() for hint in await app.queue.redis.zrange(LANE, 0, -1)}
    assert hints == {f"{task['id']}:0" for task in tasks}
    assert await app.sweep.run() == {}


async def test_all_hints_come_back_if_whoever_saw_the_wipe_has_died_over_it(
    app: App, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("taskflow_core.tasks.missing_hints.SLICE", 2)
    await waiting_since(app, "10 seconds")
    hints = await app.queue.redis.zrange(LANE, 0, -1)
    await app.queue.redis.flushdb()
    await app.queue.redis.set(EPOCH_KEY, "of another scheduler")
    await app.queue.redis.zadd(LANE, dict.fromkeys(hints[:4], 0))  # so far it came
    assert (await app.sweep.run())["hinted"] == 5


async def test_all_hints_come_back_if_the_walk_after_a_wipe_is_broken_off(
    app: App, monkeypatch: pytest.MonkeyPatch
):
    await waiting_since(app, "10 seconds")
    monkeypatch.setattr("taskflow_core.tasks.missing_hints.SLICE", 2)
    monkeypatch.setattr("taskflow_core.tasks.missing_hints.MOST", 2)
    look, looks = app.queue.missing, 0

    async def broken(hints: Sequence[Hint]) -> list[Hint]:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise ConnectionError("Redis is away")
        return await look(hints)

    monkeypatch.setattr(app.queue, "missing", broken)
    await app.queue.redis.flushdb()
    with pytest.raises(ConnectionError):
        await app.sweep.run()
    await app.sweep.run()
    assert await app.queue.redis.zcard(LANE) == 9


async def test_a_hint_that_was_never_sent_comes_back_at_once_however_many_others_wait(
    app: App, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("taskflow_core.tasks.missing_hints.SLICE", 2)
    await waiting_since(app, "1 hour")
    task = await app.creation.create(new_task())
    await in_the_past(app, run_at="10 seconds")
    await app.announcer.drain()
    await app.queue.redis.zrem(LANE, f"{task['id']}:0")
    assert (await app.sweep.run())["hinted"] == 1


async def test_hints_that_got_lost_later_come_back_in_rounds(app: App, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("taskflow_core.tasks.missing_hints.SLICE", 2)
    tasks = await waiting_since(app, "1 hour")
    await app.queue.redis.zrem(LANE, *(f"{task['id']}:0" for task in tasks[4:]))
    assert await app.sweep.run() == {}, "the next round looks at the third and the fourth"
    assert await app.sweep.run() == {"hinted": 5}, "where one is missing, more are looked at"
    assert await app.queue.redis.zcard(LANE) == len(tasks)


async def test_a_hint_that_was_dropped_while_the_sweep_looked_is_not_put_back(
    app: App, monkeypatch: pytest.MonkeyPatch
):
    task = await app.creation.create(new_task())
    await app.announcer.drain()
    await in_the_past(app, run_at="10 seconds")
    look = app.queue.missing

    async def started_meanwhile(hints: Sequence[Hint]) -> list[Hint]:
        assert await claim_by_hand(app, await open_test_session(app), task)
        await app.queue.redis.zrem(LANE, f"{task['id']}:0")
        return await look(hints)

    monkeypatch.setattr(app.queue, "missing", started_meanwhile)
    assert await app.sweep.run() == {}
    assert await app.queue.redis.zrange(LANE, 0, -1) == []


async def test_more_hints_than_one_script_takes_go_in_one_trip(app: App):
    many = [Hint(Lane("default", "HIGH"), new_id(), 0, 0) for _ in range(2 * HINTS_PER_SCRIPT + 1)]
    await app.queue.enqueue([*many, Hint(Lane("default", "LOW"), new_id(), 0, 0)])
    assert await app.queue.redis.zcard(Lane("default", "HIGH").key) == len(many)
    assert await app.queue.redis.zcard(Lane("default", "LOW").key) == 1


async def test_more_hints_than_one_command_takes_are_claimed_and_dropped_in_one_trip(app: App):
    lane = Lane("default", "HIGH")
    many = [Hint(lane, new_id(), 0, 1) for _ in range(2_001)]
    await app.queue.enqueue(many)
    claimed = await app.queue.claim([lane], len(many) + 1, 60_000)
    assert sorted(claimed.taken) == sorted((lane, hint.id) for hint in many)
    assert (await app.queue.claim([lane], 1, 60_000)).taken == []
    await app.queue.claim([lane], 1, 60_000, done=claimed.taken)
    assert await app.queue.redis.zcard(lane.key) == 0
    assert await app.queue.redis.keys("arq:job:*") == []


async def test_a_timer_that_nobody_saw_come_due_is_queued(app: App):
    later = datetime.now(UTC) + timedelta(hours=1)
    task = await app.creation.create(new_task(schedule_time=later))
    assert await app.sweep.run() == {}
    await in_the_past(app, run_at="2 hours")
    assert (await app.sweep.run())["due"] == 1
    assert await kinds_of(app, task) == ["CREATED", "QUEUED"]


async def test_a_waiting_task_that_expires_is_cancelled_and_a_running_one_asked_to_stop(app: App):
    soon = datetime.now(UTC) + timedelta(hours=1)
    waiting = await app.creation.create(new_task(expire_time=soon))
    running = await running_task(app, await open_test_session(app), expire_time=soon)
    await in_the_past(app, expire_at="2 hours")
    assert (await app.sweep.run())["expired"] == 2
    assert await status_of(app, waiting) == "CANCELLED"
    assert (await kinds_of(app, running))[-1] == "CANCEL_REQUESTED"


async def test_an_attempt_that_its_worker_does_not_end_in_time_is_failed(app: App):
    task = await running_task(app, await open_test_session(app))
    await in_the_past(app, attempt_deadline="1 hour")
    assert (await app.sweep.run())["overdue"] == 1
    row = await get_task(app.database, TENANT, task["id"])
    assert (row["status"], row["error"]["type"]) == ("RETRYING", "AttemptTimeout")


async def test_a_cancelled_task_whose_handler_does_not_stop_is_ended_all_the_same(app: App):
    task = await running_task(app, await open_test_session(app))
    await app.cancellation.cancel(TENANT, task["id"], "tester", "stop")
    await in_the_past(app, cancel_requested_at="1 hour")
    assert (await app.sweep.run())["stubborn"] == 1
    assert await status_of(app, task) == "CANCELLED"
    (attempt,) = (await app.reader.list_attempts(TENANT, task["id"], PageRequest())).rows
    assert attempt["outcome"] == "CANCELLED"


async def test_two_sweepers_do_not_disturb_each_other(app: App):
    async with alone(app.database, LOCK) as is_alone:  # stands in for another process
        assert is_alone
        assert await app.sweep.run() == {}
