"""Statistics are what one gets who counts every task, whatever happens while they are counted."""

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from support.histories import History, Truth, count_one_by_one
from support.schedules import SetClock, create, schedules_at, timing
from support.tasks import (
    TENANT,
    claim_by_hand,
    new_task,
    open_test_session,
    running_task,
    settlement,
    status_of,
)
from support.webhooks import subscribe
from taskflow_core.app import App, open_app
from taskflow_core.settings import Settings
from taskflow_core.states import QueueStatus
from taskflow_core.stats import now as now_module
from taskflow_core.stats.durations import GROWTH, ZERO
from taskflow_core.stats.figures import Figures, TaskGroup
from taskflow_core.stats.log import FAR, count_log
from taskflow_core.stats.overview import EXECUTIONS, PENDING_DELIVERIES
from taskflow_core.stats.rollup import RollupLimits, StatsRollup
from taskflow_core.stats.statistics import Closing, KeepAlive, Statistics
from taskflow_core.stats.tasks import TaskFilter
from taskflow_server import pack

EVERYTHING = TaskFilter()
SMALL = RollupLimits(events=7, rows=3)
MINUTE = timedelta(minutes=1)


async def kept(app: App) -> dict[tuple[str, datetime, TaskGroup], Figures]:
    """The figures that are in the tables."""
    found: defaultdict[tuple[str, datetime, TaskGroup], Figures] = defaultdict(Figures)
    for row in await app.database.pool.fetch("SELECT * FROM task_stats"):
        group = TaskGroup(row["queue"], row["priority"], row["task_type"])
        found[row["tenant_id"], row["starts_at"], group].add_row(row)
    return found


async def counted_states(app: App) -> Counter[tuple[TaskGroup, str]]:
    states: Counter[tuple[TaskGroup, str]] = Counter()
    for row in await app.database.pool.fetch("SELECT * FROM task_counts"):
        states[TaskGroup(row["queue"], row["priority"], row["task_type"]), row["state"]] += row["count"]
    return states


def check(figures: Figures, truth: Truth, minute: datetime, group: TaskGroup) -> None:
    """The figures of a slot are those of who counted one by one."""
    assert +figures.counts == Counter(
        {name: n for (at, of, name), n in truth.counts.items() if (at, of) == (minute, group)}
    )
    for measure, durations in figures.durations.items():
        values = truth.durations.get((minute, group, measure), [])
        assert (durations.count, durations.total) == (len(values), sum(values))
        assert durations.longest == max(values, default=0)
        for bucket, count in durations.buckets.items():
            low, high = (-1, 0) if bucket == ZERO else (GROWTH ** (bucket - 1), GROWTH**bucket)
            assert count == sum(low < value <= high * (1 + 1e-9) for value in values)


async def check_all(app: App, history: History) -> None:
    truth = await count_one_by_one(history)
    figures = await kept(app)
    assert {(minute, group) for minute, group, _ in truth.counts} <= {key[1:] for key in figures}
    for (_, minute, group), of_slot in figures.items():
        check(of_slot, truth, minute, group)
    assert await counted_states(app) == truth.states


@pytest.mark.parametrize("seed", ["a", "b", "c"])
async def test_random_histories_counted_in_pieces_are_those_counted_one_by_one(app: App, seed: str):
    history = await History.begin(app, seed)
    rollup = StatsRollup(app.database, SMALL)
    for number in range(400):
        await history.step()
        if history.rng.random() < 0.1:
            await rollup.run()
        if number % 100 == 0:
            # What a reader is told is exact at any moment, wherever the cursor is.
            truth = await count_one_by_one(history)
            overview = await app.stats.overview(TENANT)
            assert +Counter(overview.states) == _by_state(truth)
            stats = await app.stats.tasks(TENANT, EVERYTHING)
            assert +stats.total.counts == _by_name(truth)
    await rollup.run()
    await check_all(app, history)
    found = await app.stats.tasks(TENANT, TaskFilter(queue="mail", task_type="email"))
    truth = await count_one_by_one(history)
    assert found.by_queue.keys() == {"mail"}
    assert found.total.counts["submitted"] == sum(
        n
        for (_, group, name), n in truth.counts.items()
        if group.task_type == "email" and name == "submitted"
    )
    assert (
        sum(figures.counts["submitted"] for figures in found.throughput.values())
        == found.total.counts["submitted"]
    )


def _by_state(truth: Truth) -> Counter[str]:
    states: Counter[str] = Counter()
    for (_, state), count in truth.states.items():
        states[state] += count
    return states


def _by_name(truth: Truth) -> Counter[str]:
    names: Counter[str] = Counter()
    for (_, _, name), count in truth.counts.items():
        names[name] += count
    return names


async def test_two_schedulers_that_count_at_once_count_everything_once(app: App, settings: Settings):
    history = await History.begin(app, "two")

    async def live() -> None:
        for _ in range(150):
            await history.step()

    async def count(one: App) -> None:
        while not living.done():
            await StatsRollup(one.database, SMALL).run()

    async with open_app(settings, "another") as other:
        living = asyncio.create_task(live())
        await asyncio.gather(living, *(count(one) for one in (app, other, app, other)))
    await app.stats.rollup.run()
    await check_all(app, history)


@pytest.mark.parametrize("table", ["task_counts", "stats_cursor"])
async def test_a_scheduler_that_dies_between_two_statements_has_counted_nothing(app: App, table: str):
    history = await History.begin(app, "dies")
    for _ in range(60):
        await history.step()
    async with app.database.pool.acquire() as connection, connection.transaction():
        # What is locked here stops it there: after it has written figures, before it moves the cursor.
        mode = "SHARE" if table == "task_counts" else "SHARE ROW EXCLUSIVE"
        await connection.execute(f"LOCK TABLE {table} IN {mode} MODE")
        counting = asyncio.create_task(app.stats.rollup.run())
        async with asyncio.timeout(20):
            while not (
                waiting := await connection.fetchval(
                    "SELECT pid FROM pg_locks WHERE NOT granted AND relation = $1::regclass", table
                )
            ):
                pass
        await connection.execute("SELECT pg_terminate_backend($1)", waiting)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await counting
    assert await kept(app) == {}
    await app.stats.rollup.run()
    await check_all(app, history)


async def test_what_a_slow_transaction_wrote_is_counted_when_it_has_committed(app: App):
    slow = await app.database.pool.acquire()
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute("SELECT pg_current_xact_id()")
    session_id = await open_test_session(app)
    task = await app.creation.create(new_task())
    # It began first and sees what was committed meanwhile: its event is the second one of the task.
    await slow.execute(
        "UPDATE tasks SET status = 'RUNNING', attempt = 1, session_id = $2, attempt_started_at = clock_timestamp(),"
        " last_sequence = 2 WHERE id = $1",
        task["id"],
        session_id,
    )
    await slow.execute(
        "INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, created_at)"
        " VALUES ($1, 2, $2, 'STARTED', 'RUNNING', 1, 'host:1', clock_timestamp())",
        task["id"],
        TENANT,
    )
    await app.stats.rollup.run()
    assert await counted_states(app) == {}
    assert (await app.stats.overview(TENANT)).states == {"QUEUED": 1}
    await transaction.commit()
    await app.database.pool.release(slow)
    assert +Counter((await app.stats.overview(TENANT)).states) == {"RUNNING": 1}

    # Cut between the two, the later one first, as it is when yet another transaction is open between them.
    async with app.database.pool.acquire() as connection:
        bounds = await connection.fetch(
            "SELECT xid::text FROM task_events WHERE task_id = $1 ORDER BY xid", task["id"]
        )
        first = await count_log(connection, bounds[0]["xid"], bounds[1]["xid"])
        second = await count_log(connection, bounds[1]["xid"], FAR)
    assert {state.state: n for state, n in first.states.items()} == {"QUEUED": -1, "RUNNING": 1}
    assert {state.state: n for state, n in second.states.items()} == {"QUEUED": 1}
    await app.stats.rollup.run()
    assert +Counter(dict(await counted_states(app))) == {
        (TaskGroup("default", "NORMAL", "echo"), "RUNNING"): 1
    }


# What retention deletes


async def finished(app: App, **fields: Any) -> Any:
    session_id = await open_test_session(app)
    task = await running_task(app, session_id, **fields)
    assert await app.settlement.settle(settlement(task, session_id))
    await app.database.pool.execute(
        "UPDATE tasks SET finished_at = finished_at - interval '400 days' WHERE id = $1", task["id"]
    )
    return task


async def test_what_retention_deletes_is_no_longer_there_but_has_happened(app: App):
    await finished(app)
    await app.creation.create(new_task())
    assert await app.retention.run() == {"tasks": 1}
    overview = await app.stats.overview(TENANT)
    assert +Counter(overview.states) == {"QUEUED": 1}
    stats = await app.stats.tasks(TENANT, EVERYTHING)
    assert (stats.total.counts["submitted"], stats.total.counts["succeeded"]) == (2, 1)
    assert stats.states["SUCCEEDED"] == 0


async def test_a_task_stays_until_it_is_counted(app: App):
    async with app.database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_current_xact_id()")
        task = await finished(app)
        assert await app.retention.run() == {}
        assert await status_of(app, task) == "SUCCEEDED"
    assert await app.retention.run() == {"tasks": 1}
    assert +Counter((await app.stats.overview(TENANT)).states) == {}


# Hours


async def test_minutes_of_the_past_become_hours_and_lose_nothing(app: App):
    history = await History.begin(app, "hours")
    for _ in range(120):
        await history.step()
    await app.stats.rollup.run()
    before = await app.stats.tasks(TENANT, EVERYTHING)
    # Three days ago, spread over four hours.
    moved = """
    WITH numbered AS (SELECT ctid, row_number() OVER () AS n FROM task_stats)
    UPDATE task_stats s SET starts_at = date_trunc('hour', now()) - interval '3 days' + n * interval '41 minutes'
    FROM numbered WHERE numbered.ctid = s.ctid
    """
    await app.database.pool.execute(moved)
    await StatsRollup(app.database, SMALL).run()
    spans = await app.database.pool.fetch(
        "SELECT DISTINCT seconds, extract(minute FROM starts_at) FROM task_stats"
    )
    assert [tuple(row) for row in spans] == [(3600, 0)]
    now = await app.database.pool.fetchval("SELECT now()")
    after = await app.stats.tasks(TENANT, EVERYTHING, start=now - timedelta(days=4))
    assert after.total == before.total
    assert after.by_priority == before.by_priority
    assert len(after.throughput) > 1
    part = await app.stats.tasks(
        TENANT, EVERYTHING, start=now - timedelta(days=3), end=now - timedelta(days=3) + timedelta(minutes=5)
    )
    assert part.period.end - part.period.start in (timedelta(hours=1), timedelta(hours=2))


async def test_figures_go_after_thirty_days(app: App):
    await app.creation.create(new_task())
    await app.stats.rollup.run()
    await app.database.pool.execute("UPDATE task_stats SET starts_at = starts_at - interval '31 days'")
    await app.stats.rollup.run()
    assert await kept(app) == {}
    assert (await app.stats.overview(TENANT)).states == {"QUEUED": 1}


# What is there now


async def test_an_overview_that_would_have_to_count_too_much_is_as_of_the_last_count(app: App):
    task = await app.creation.create(new_task())
    await app.stats.rollup.run()
    counted_at = await app.database.pool.fetchval("SELECT counted_at FROM stats_cursor")
    await app.creation.create(new_task())
    await app.database.pool.execute(
        "INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor)"
        " SELECT $1, n, $2, 'LOG', 'QUEUED', 0, 'x' FROM generate_series(2, $3::int + 2) AS n",
        task["id"],
        TENANT,
        now_module.TAIL,
    )
    overview = await app.stats.overview(TENANT)
    assert (overview.time, overview.states) == (counted_at, {"QUEUED": 1})
    await app.stats.rollup.run()
    overview = await app.stats.overview(TENANT)
    assert overview.time > counted_at
    assert overview.states == {"QUEUED": 2}


async def test_tenants_see_their_own_figures_only(app: App):
    await app.creation.create(new_task(tenant_id="theirs"))
    await app.stats.rollup.run()
    await app.creation.create(new_task(tenant_id="theirs"))
    assert (await app.stats.overview("mine")).states == {}
    assert (await app.stats.overview("theirs")).states == {"QUEUED": 2}
    assert (await app.stats.tasks("mine", EVERYTHING)).total == Figures()
    assert (await app.stats.queues("mine")).lanes == []


async def test_an_overview_tells_rates_times_and_the_oldest(app: App):
    session_id = await open_test_session(app)
    oldest = await app.creation.create(new_task())
    for status in ("SUCCEEDED", "FAILED", "RETRYING", "SUCCEEDED"):
        task = await running_task(app, session_id)
        assert await app.settlement.settle(settlement(task, session_id, status, delay=60))
    await app.queues.set_status(TENANT, "mail", QueueStatus.PAUSED, "")
    for counted in (False, True):
        if counted:
            await app.stats.rollup.run()
        overview = await app.stats.overview(TENANT)
        assert 4 / 60 <= overview.submit_rate <= 5 / 60 + 1e-9
        assert 2.5 / 60 <= overview.finish_rate <= 3 / 60 + 1e-9
        assert overview.failed_attempt_ratio == 0.5
        assert (overview.wait.count, overview.run.count) == (4, 4)
        assert (overview.workers, overview.worker_slots, overview.paused_queues) == (1, 10, 1)
        now = await app.database.pool.fetchval("SELECT now()")
        waited = (now - oldest["run_at"]).total_seconds()
        assert overview.oldest_wait == pytest.approx(waited, abs=1)
    await app.cancellation.cancel(TENANT, oldest["id"], "tester", "")
    assert (await app.stats.overview(TENANT)).oldest_wait is None


async def test_lanes_tell_how_full_they_are_and_who_serves_them(app: App):
    session_id = await open_test_session(app)
    await running_task(app, session_id)
    for priority, queue in (("NORMAL", "default"), ("CRITICAL", "mail"), ("LOW", "mail")):
        await app.creation.create(new_task(priority=priority, queue=queue))
    now = await app.database.pool.fetchval("SELECT now()")
    await app.creation.create(new_task(queue="mail", schedule_time=now + timedelta(hours=1)))
    await app.queues.set_status(TENANT, "mail", QueueStatus.PAUSED, "")
    stats = await app.stats.queues(TENANT)
    assert [(lane.lane.queue, lane.lane.priority) for lane in stats.lanes] == [
        ("default", "NORMAL"),
        ("mail", "CRITICAL"),
        ("mail", "NORMAL"),
        ("mail", "LOW"),
    ]
    normal, critical, scheduled, _ = stats.lanes
    assert normal.standing.states == {"RUNNING": 1, "QUEUED": 1}
    assert (normal.workers, critical.workers) == (1, 0)
    assert (normal.paused, critical.paused) == (False, True)
    assert normal.start_rate == pytest.approx(1 / 60, rel=0.2)
    assert scheduled.standing.states == {"SCHEDULED": 1}
    assert scheduled.oldest_wait is None
    (worker,) = stats.workers
    assert (worker["worker"], worker["running"], worker["draining"]) == ("host:1", 1, False)
    assert [lane.lane.queue for lane in (await app.stats.queues(TENANT, "mail")).lanes] == ["mail"] * 3


async def test_the_oldest_of_a_lane_is_found_behind_a_backlog_of_others_and_when_held(app: App):
    for _ in range(3):
        await app.creation.create(new_task(priority="LOW"))
    wanted = await app.creation.create(new_task())
    await app.queues.set_limits(TENANT, "mail", {"max_concurrency": 1}, etag="")
    held = await app.creation.create(new_task(queue="mail"))
    await app.database.pool.execute("UPDATE tasks SET held = true WHERE id = $1", held["id"])

    def oldest(stats: Any) -> dict[Any, Any]:
        return {
            (lane.lane.queue, lane.lane.priority): stats.time - timedelta(seconds=lane.oldest_wait)
            for lane in stats.lanes
            if lane.oldest_wait is not None
        }

    found = oldest(await app.stats.queues(TENANT))
    assert found["default", "NORMAL"] == wanted["run_at"]
    assert found["mail", "NORMAL"] == held["run_at"]
    await claim_by_hand(app, await open_test_session(app), wanted)
    assert ("default", "NORMAL") not in oldest(await app.stats.queues(TENANT))


# Watching


@pytest.fixture
def quick(app: App) -> Statistics:
    return Statistics(app.database, lease_seconds=10, keep_alive=0.02, max_duration=60)


async def test_a_watch_sends_overviews_and_keep_alives_and_says_why_it_ends(app: App, quick: Statistics):
    stop = asyncio.Event()
    watch = quick.watch(TENANT, 0.5, stop)
    first = await anext(watch)
    assert getattr(first, "states", None) == {}
    keep_alives, second = await until_overview(watch)
    assert keep_alives
    assert second.states == {}
    await app.creation.create(new_task())
    # Had it been late, this one would come at once.
    *_, following = await until_overview(watch)
    assert following.states == {"QUEUED": 1}
    stop.set()
    assert [message async for message in watch] == [Closing("DRAINING")]


async def until_overview(watch: Any) -> tuple[int, Any]:
    """How many keep-alives come before the next overview, and that."""
    keep_alives = 0
    async for message in watch:
        if not isinstance(message, KeepAlive):
            return keep_alives, message
        keep_alives += 1
    raise AssertionError("it ended")


async def test_an_old_watch_ends_and_so_does_one_opened_while_draining(app: App):
    old = Statistics(app.database, lease_seconds=10, keep_alive=15, max_duration=0.01)
    messages = [message async for message in old.watch(TENANT, 60, asyncio.Event())]
    assert messages[-1] == Closing("MAX_DURATION")
    stop = asyncio.Event()
    stop.set()
    messages = [message async for message in app.stats.watch(TENANT, 60, stop)]
    assert [type(message).__name__ for message in messages] == ["Overview", "Closing"]


async def test_many_readers_share_what_is_read(app: App):
    overviews = await asyncio.gather(*(app.stats.overview(TENANT) for _ in range(200)))
    assert len({id(overview) for overview in overviews}) <= 2


async def test_the_overview_counts_executions_and_webhooks_of_its_tenant(app: App):
    executions = ["RUNNING", "RUNNING", "COMPENSATING", "SUCCEEDED", "FAILED"]
    for status in executions:
        await add_execution(app, TENANT, status)
    await add_execution(app, "elsewhere", "RUNNING")
    webhooks = [await subscribe(app, "https://example.com/", "task.created") for _ in range(3)]
    await app.webhooks.steering.disable(TENANT, webhooks[0].row["id"], "")
    await app.creation.create_all([new_task(), new_task()])
    overview = await app.stats.overview(TENANT)
    assert {status: count for status, count in overview.executions.items() if count} == Counter(executions)
    assert overview.webhooks == {"ENABLED": 2, "DISABLED": 1}
    assert overview.pending_deliveries == 4
    elsewhere = await app.stats.overview("elsewhere")
    assert (sum(elsewhere.executions.values()), elsewhere.webhooks, elsewhere.pending_deliveries) == (
        1,
        {},
        0,
    )


async def test_the_overview_counts_schedules_and_tells_when_the_next_one_fires(app: App):
    empty = await app.stats.overview(TENANT)
    assert (empty.schedules, empty.next_fire_at) == ({}, None)
    clock = SetClock()
    schedules = schedules_at(app, clock)
    first, second, third = [
        await create(schedules, timing=timing(cron_expression=cron))
        for cron in ("0 10 * * *", "0 11 * * *", "0 12 * * *")
    ]
    both = await app.stats.overview(TENANT)
    assert (both.schedules, both.next_fire_at) == ({"ACTIVE": 3}, first["next_fire_at"])
    await schedules.steering.pause(TENANT, first["id"], "")
    overview = pack.overview(await app.stats.overview(TENANT))
    counts = overview.schedules
    assert (counts.total, counts.active, counts.paused, counts.completed) == (3, 2, 1, 0)
    assert overview.next_fire_time.ToDatetime(UTC) == second["next_fire_at"]
    for schedule in (second, third):
        await schedules.steering.pause(TENANT, schedule["id"], "")
    assert not pack.overview(await app.stats.overview(TENANT)).HasField("next_fire_time")
    assert (await app.stats.overview("elsewhere")).schedules == {}


async def add_execution(app: App, tenant_id: str, status: str) -> None:
    await app.database.pool.execute(
        "INSERT INTO workflow_executions (id, tenant_id, workflow_id, workflow_name, workflow_version, name, input,"
        " input_form, priority, queue, status, finished_at)"
        " VALUES (uuidv7(), $1, uuidv7(), 'w', 1, 'w', '{}', 'JSON', 'NORMAL', 'default', $2,"
        " CASE WHEN $2 IN ('SUCCEEDED', 'FAILED', 'CANCELLED') THEN now() END)",
        tenant_id,
        status,
    )


async def test_the_overview_counts_what_there_may_be_many_of_by_an_index(app: App):
    async with app.database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plans = [
            *await connection.fetch(f"EXPLAIN {EXECUTIONS}", TENANT, ["RUNNING"]),
            *await connection.fetch(f"EXPLAIN {PENDING_DELIVERIES}", TENANT),
        ]
    text = "\n".join(row[0] for row in plans)
    assert "workflow_executions_status" in text
    assert "webhook_deliveries_unfinished" in text
    assert "Seq Scan" not in text
