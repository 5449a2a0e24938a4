"""Queues that are paused or limited: the limits hold whoever claims, and nothing else waits for them.

No sweep runs here but where a test calls it: what starts, starts by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.tasks import TENANT, new_task, status_of
from taskflow_core.app import App, open_app
from taskflow_core.errors import EtagMismatch, InvalidArgument
from taskflow_core.etags import etag_of
from taskflow_core.queue import Lane, lanes
from taskflow_core.settings import Settings
from taskflow_core.states import Priority, QueueStatus
from taskflow_core.tasks.read import PageRequest, get_task
from taskflow_core.tasks.rows import Row
from taskflow_worker import TaskContext
from taskflow_worker.engine import TaskWorker
from taskflow_worker.registry import Handler, Registry

QUEUES = ("default", "mail", "other")
SECOND = timedelta(seconds=1)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, worker_drain_grace=0.05, cancel_grace=0.5)


@asynccontextmanager
async def working(
    settings: Settings, *handlers: Handler, slots: int = 100, priorities: Sequence[str] = tuple(Priority)
) -> AsyncIterator[TaskWorker]:
    """A worker with connections of its own, that serves all queues of these tests."""
    async with open_app(settings.model_copy(update={"worker_slots": slots}), "worker") as app:
        worker = TaskWorker(app, Registry(handlers), lanes(QUEUES, priorities))
        main = asyncio.create_task(worker.main())
        try:
            yield worker
        finally:
            worker.drain()
            await main


class Gate:
    """A handler whose runs wait until they are let go. It counts them."""

    def __init__(self) -> None:
        self.running = self.started = self.most = 0
        self._changed = asyncio.Condition()
        self._open = 0

    async def run(self, context: TaskContext, payload: Any) -> str:
        async with self._changed:
            self.started += 1
            self.running += 1
            self.most = max(self.most, self.running)
            self._changed.notify_all()
            try:
                await self._changed.wait_for(lambda: self._open > 0)
                self._open -= 1
            finally:
                self.running -= 1
        return "done"

    async def has_started(self, count: int) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: self.started >= count)

    async def let(self, count: int) -> None:
        async with self._changed:
            self._open += count
            self._changed.notify_all()


async def submit(
    app: App, count: int, task_type: str = "it", queue: str = "mail", **fields: Any
) -> list[Row]:
    tasks = [new_task(task_type=task_type, queue=queue, **fields) for _ in range(count)]
    return await app.creation.create_all(tasks)


async def all_done(app: App, tasks: Sequence[Row]) -> None:
    async with asyncio.timeout(30):
        ended = await asyncio.gather(*(app.watch.wait(task["tenant_id"], task["id"], 30) for task in tasks))
    assert {row["status"] for row in ended} == {"SUCCEEDED"}


async def limit(app: App, name: str = "mail", **limits: Any) -> None:
    await app.queues.set_limits(TENANT, name, limits, etag="")


async def pause(app: App, name: str = "mail", tenant_id: str = TENANT) -> None:
    await app.queues.set_status(tenant_id, name, QueueStatus.PAUSED, "maintenance")


async def resume(app: App, name: str = "mail") -> None:
    await app.queues.set_status(TENANT, name, QueueStatus.ACTIVE, "")


def of_type(max_concurrency: int | None = None, max_rate: float | None = None) -> dict[str, Any]:
    return {"max_concurrency": max_concurrency, "max_rate": max_rate}


async def held(app: App, count: int) -> None:
    """Wait until so many tasks are held."""
    async with asyncio.timeout(20):
        while await app.database.pool.fetchval("SELECT count(*) FROM tasks WHERE held") != count:
            pass


async def most_at_once(app: App, task_type: str) -> int:
    """Most attempts of a type that ran at the same time, by the database's own record."""
    most: int = await app.database.pool.fetchval(
        """
        WITH ended AS (
          SELECT a.started_at, a.ended_at FROM task_attempts a JOIN tasks t ON t.id = a.task_id
          WHERE t.task_type = $1
        ), steps AS (
          SELECT started_at AS at, 1 AS step FROM ended UNION ALL SELECT ended_at, -1 FROM ended
        )
        SELECT max(running) FROM (SELECT sum(step) OVER (ORDER BY at, step) AS running FROM steps) counts
        """,
        task_type,
    )
    return most


# Limits


async def test_a_limit_holds_while_three_workers_race_for_the_tasks(app: App, settings: Settings):
    full = asyncio.Event()
    running = most = 0

    async def count(context: TaskContext, payload: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 5:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        running -= 1

    await limit(app, max_concurrency=5)
    async with AsyncExitStack() as workers:
        for _ in range(3):
            await workers.enter_async_context(working(settings, Handler("it", count)))
        tasks = [*await submit(app, 100), *await submit(app, 50, priority="HIGH")]
        tasks += await asyncio.gather(
            *(app.creation.create(new_task(task_type="it", queue="mail")) for _ in range(50))
        )
        await all_done(app, tasks)
    assert most == 5
    assert await most_at_once(app, "it") == 5


async def test_a_limit_of_one_type_leaves_the_others_alone(app: App, settings: Settings):
    slow, quick = Gate(), Gate()
    await quick.let(30)
    await limit(app, task_type_limits={"slow": of_type(2)})
    async with working(settings, Handler("slow", slow.run), Handler("quick", quick.run)):
        slow_tasks = await submit(app, 20, "slow")
        await all_done(app, await submit(app, 30, "quick"))
        await held(app, 18)
        assert slow.started == 2
        await slow.let(20)
        await all_done(app, slow_tasks)
    assert await most_at_once(app, "slow") == 2


async def test_a_raised_limit_starts_more_at_once_and_a_lifted_one_everything(app: App, settings: Settings):
    gate = Gate()
    await limit(app, max_concurrency=1)
    async with working(settings, Handler("it", gate.run)):
        tasks = await submit(app, 30)
        await held(app, 29)
        await limit(app, max_concurrency=4)
        await gate.has_started(4)
        assert await app.database.pool.fetchval("SELECT count(*) FROM tasks WHERE status = 'RUNNING'") == 4
        await limit(app, max_concurrency=None)
        await gate.has_started(30)
        await gate.let(30)
        await all_done(app, tasks)


async def test_the_most_urgent_of_the_held_tasks_starts_first(app: App, settings: Settings):
    gate = Gate()
    await limit(app, max_concurrency=1)
    async with working(settings, Handler("it", gate.run)):
        await submit(app, 1)
        await gate.has_started(1)
        await submit(app, 3, priority="LOW")
        await submit(app, 3, priority="NORMAL")
        (urgent,) = await submit(app, 1, priority="CRITICAL")
        await held(app, 7)
        await gate.let(1)
        await gate.has_started(2)
        assert await status_of(app, urgent) == "RUNNING"


async def test_no_more_attempts_start_in_a_second_than_a_queue_allows(app: App, settings: Settings):
    gate = Gate()
    await gate.let(25)
    await limit(app, max_rate=10.0)
    async with working(settings, Handler("it", gate.run)), working(settings, Handler("it", gate.run)):
        await all_done(app, await submit(app, 25))
    rows = await app.database.pool.fetch("SELECT started_at FROM task_attempts ORDER BY 1")
    starts = [row["started_at"] for row in rows]
    # Admitted are ten a second. On a busy machine those of one second may start late, right before those of the next.
    assert 10 <= max(sum(at <= other < at + SECOND for other in starts) for at in starts) <= 20
    assert starts[-1] - starts[0] < 10 * SECOND, "the rate is used"


async def test_a_limit_counts_what_ran_before_it_was_set(app: App, settings: Settings):
    gate = Gate()
    async with working(settings, Handler("it", gate.run)):
        await submit(app, 3)
        await gate.has_started(3)
        await limit(app, max_concurrency=3)
        await submit(app, 1)
        await held(app, 1)
        await gate.let(1)
        await gate.has_started(4)


# Pausing


async def test_a_paused_queue_lets_run_what_runs_and_starts_nothing(app: App, settings: Settings):
    gate = Gate()
    async with working(settings, Handler("it", gate.run)):
        running = await submit(app, 2)
        await gate.has_started(2)
        await pause(app)
        waiting = await submit(app, 700)
        await held(app, 700)
        await gate.let(2)
        await all_done(app, running)
        assert gate.started == 2
        await resume(app)
        await gate.let(700)
        await all_done(app, waiting)


async def test_a_queue_of_one_tenant_is_not_that_of_another(app: App, settings: Settings):
    await pause(app)
    async with working(settings, Handler("it", Gate().run)):
        (mine,) = await submit(app, 1)
        await held(app, 1)
        (theirs,) = await app.creation.create_all(
            [new_task(task_type="quick", queue="mail", tenant_id="elsewhere")]
        )
        async with working(settings, Handler("quick", lambda context, payload: None)):
            await app.watch.wait("elsewhere", theirs["id"], 20)
    assert await status_of(app, mine) == "QUEUED"


async def test_a_held_task_can_be_cancelled_and_is_not_in_the_way(app: App, settings: Settings):
    gate = Gate()
    await limit(app, max_concurrency=1)
    async with working(settings, Handler("it", gate.run)):
        await submit(app, 1)
        await gate.has_started(1)
        tasks = await submit(app, 3)
        await held(app, 3)
        for task in tasks[:2]:
            await app.cancellation.cancel(TENANT, task["id"], "tester", "not needed")
        await gate.let(2)
        await all_done(app, tasks[2:])
    assert await status_of(app, tasks[0]) == "CANCELLED"


async def test_a_task_that_failed_waits_for_room_like_any_other(app: App, settings: Settings):
    gate = Gate()

    async def fails_once(context: TaskContext, payload: Any) -> int:
        if context.attempt == 1:
            await pause(app)
            raise ValueError("once")
        return context.attempt

    async with working(settings, Handler("it", fails_once), Handler("other", gate.run)):
        task = await app.creation.create(
            new_task(task_type="it", queue="mail", retry_policy={"initial_backoff": 0.0})
        )
        await held(app, 1)
        await resume(app)
        row = await app.watch.wait(TENANT, task["id"], 20)
    assert row["result"] == "2"


# What a limited queue costs others


async def test_a_full_queue_does_not_delay_the_tasks_of_another(app: App, settings: Settings):
    gate = Gate()
    await limit(app, max_concurrency=1)
    async with working(
        settings, Handler("it", gate.run), Handler("quick", lambda context, payload: None), slots=3
    ):
        await submit(app, 500)
        await gate.has_started(1)
        await all_done(app, await submit(app, 20, "quick", queue="other"))
        assert gate.started == 1


async def test_a_locked_queue_does_not_delay_the_tasks_of_another(app: App, settings: Settings):
    await limit(app, max_concurrency=10)
    async with working(settings, Handler("it", lambda context, payload: None)):
        async with app.database.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT FROM queues FOR UPDATE")
            locked = await submit(app, 10)
            await all_done(app, await submit(app, 10, queue="other"))
        await all_done(app, locked)


async def test_a_low_lane_full_of_long_tasks_does_not_delay_critical_ones(app: App, settings: Settings):
    gate = Gate()
    quick = Handler("quick", lambda context, payload: None)
    async with (
        working(settings, Handler("it", gate.run), slots=5),
        working(settings, Handler("it", gate.run), quick, priorities=("CRITICAL",)),
    ):
        await submit(app, 50, priority="LOW")
        await gate.has_started(5)
        await all_done(app, await submit(app, 20, "quick", priority="CRITICAL"))
        assert gate.started == 5


async def test_short_tasks_start_on_another_worker_while_one_is_full_of_long_ones(
    app: App, settings: Settings
):
    gate = Gate()

    def say_who(context: TaskContext, payload: Any) -> None:
        """Who ran it is in the attempt."""

    handlers = Handler("it", gate.run), Handler("quick", say_who)
    async with working(settings, *handlers, slots=200) as first:
        await submit(app, 200)
        await gate.has_started(200)
        async with working(settings, *handlers, slots=200) as second:
            first.name, second.name = "first", "second"
            tasks = await submit(app, 50, "quick")
            await all_done(app, tasks)
        ran = await app.database.pool.fetch(
            "SELECT session_id, count(*) FROM task_attempts WHERE outcome = 'SUCCEEDED' GROUP BY 1"
        )
        assert [row["count"] for row in ran] == [50]
        assert gate.running == 200


async def test_held_tasks_cost_nothing_while_there_is_no_room(app: App, settings: Settings):
    gate = Gate()
    await limit(app, max_concurrency=1)
    async with working(settings, Handler("it", gate.run)):
        await submit(app, 1)
        await gate.has_started(1)
        await submit(app, 50)
        await held(app, 50)
        async with asyncio.timeout(20):
            while await app.queue.redis.zcard(Lane("mail", "NORMAL").key) > 1:
                pass
        await app.database.pool.execute("UPDATE tasks SET run_at = run_at - interval '1 hour' WHERE held")
        await app.sweep.run()
        assert await app.sweep.run() == {}, "no hint comes back while there is no room"
        assert await app.queue.redis.zcard(Lane("mail", "NORMAL").key) <= 1


# What the sweep makes good


async def test_the_sweep_finds_room_that_nobody_told_of(app: App, settings: Settings):
    gate = Gate()
    await gate.let(40)
    await pause(app)
    async with working(settings, Handler("it", gate.run)):
        tasks = await submit(app, 40)
        await held(app, 40)
    # As if the process that changed it had died before it could tell.
    await app.database.pool.execute("UPDATE queues SET status = 'ACTIVE', max_concurrency = 10")
    assert (await app.sweep.run())["held"] == 10
    async with working(settings, Handler("it", gate.run)):
        await all_done(app, tasks)


async def test_the_sweep_lets_everything_go_when_nothing_is_limited_any_more(app: App, settings: Settings):
    gate = Gate()
    await gate.let(600)
    await pause(app)
    async with working(settings, Handler("it", gate.run)):
        tasks = await submit(app, 600)
        await held(app, 600)
    await app.database.pool.execute("UPDATE queues SET status = 'ACTIVE'")
    assert (await app.sweep.run())["held"] == 600
    async with working(settings, Handler("it", gate.run)):
        await all_done(app, tasks)


async def test_held_tasks_outlive_a_wipe_of_redis(app: App, settings: Settings):
    gate = Gate()
    await pause(app)
    async with working(settings, Handler("it", gate.run)):
        tasks = await submit(app, 10)
        await held(app, 10)
        await app.queue.redis.flushdb()
        await app.sweep.run()
        assert gate.started == 0
        await resume(app)
        await gate.let(10)
        await all_done(app, tasks)


# Settings


async def test_a_queue_that_nobody_has_named_has_the_defaults(app: App):
    queue = await app.queues.get(TENANT, "new")
    assert (queue["status"], queue["max_concurrency"], queue["updated_at"]) == ("ACTIVE", None, None)
    assert await app.database.pool.fetchval("SELECT count(*) FROM queues") == 0


async def test_limits_that_are_not_named_stay(app: App):
    await limit(app, max_concurrency=3, max_rate=2.5)
    await limit(app, max_concurrency=None)
    queue = await app.queues.get(TENANT, "mail")
    assert (queue["max_concurrency"], queue["max_rate"]) == (None, 2.5)


async def test_a_change_to_a_queue_that_changed_meanwhile_is_refused(app: App):
    unset = await app.queues.get(TENANT, "mail")
    changed = await app.queues.set_limits(TENANT, "mail", {"max_concurrency": 1}, etag_of(unset))
    with pytest.raises(EtagMismatch) as refused:
        await app.queues.set_limits(TENANT, "mail", {"max_concurrency": 2}, etag_of(unset))
    assert refused.value.metadata["current"] == etag_of(changed)
    paused = await app.queues.set_status(TENANT, "mail", QueueStatus.PAUSED, "why not")
    assert (paused["max_concurrency"], paused["note"]) == (1, "why not")
    await app.queues.set_limits(TENANT, "mail", {"max_concurrency": 2}, etag_of(paused))


async def test_queues_are_listed_by_name_as_soon_as_anything_names_them(app: App):
    await pause(app, "settings")
    await pause(app, "theirs", tenant_id="elsewhere")
    await submit(app, 1, queue="waiting")
    await submit(app, 1, queue="later", schedule_time=datetime.now(UTC) + timedelta(hours=1))
    names, token = [], ""
    while True:
        page = await app.queues.list(TENANT, PageRequest(2, token), filter="")
        names += [row["name"] for row in page.rows]
        token = page.next_page_token
        if not token:
            break
    assert names == ["later", "settings", "waiting"]
    paused = await app.queues.list(TENANT, PageRequest(), filter="status = PAUSED")
    assert [(row["name"], row["note"]) for row in paused.rows] == [("settings", "maintenance")]
    with pytest.raises(InvalidArgument):
        await app.queues.list(TENANT, PageRequest(), filter="depth > 3")


async def test_the_queues_of_live_workers_are_listed(app: App, settings: Settings):
    async with working(settings, Handler("it", Gate().run)) as worker:
        task = await app.creation.create(new_task(task_type="none", retry_policy={"max_attempts": 1}))
        await app.watch.wait(TENANT, task["id"], 20)
        page = await app.queues.list(TENANT, PageRequest(), filter="")
        assert [row["name"] for row in page.rows] == sorted(QUEUES)
        assert worker.allow_pick_jobs
    assert (await get_task(app.database, TENANT, task["id"]))["status"] == "FAILED"
