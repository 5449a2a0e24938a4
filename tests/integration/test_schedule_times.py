"""Times that pass while nobody looks, or while somebody changes the schedule: each is told of once."""

import asyncio
from datetime import timedelta

import pytest

from support.schedules import (
    MINUTE,
    START,
    SetClock,
    again,
    create,
    end_task,
    fires_of,
    outcomes_of,
    schedules_at,
    timing,
)
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.errors import AlreadyExists, EtagMismatch, InvalidArgument, NotFound, WrongStatus
from taskflow_core.etags import etag_of
from taskflow_core.schedules.assembly import Schedules
from taskflow_core.tasks.read import get_task

HOUR = 60 * MINUTE


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def schedules(app: App, clock: SetClock) -> Schedules:
    return schedules_at(app, clock)


@pytest.mark.parametrize(
    ("policy", "window", "fired", "missed"),
    [
        ("ALL", 365 * 24 * HOUR, 301, 0),
        ("ALL", 2 * HOUR, 121, 180),
        ("LATEST", 365 * 24 * HOUR, 1, 300),
        ("NONE", 365 * 24 * HOUR, 0, 301),
    ],
)
async def test_after_downtime_each_time_is_caught_up_or_missed(
    schedules: Schedules, clock: SetClock, policy: str, window: timedelta, fired: int, missed: int
):
    schedule = await create(
        schedules,
        catch_up_policy=policy,
        catch_up_window=window.total_seconds(),
        overlap_policy="ALLOW_ALL",
    )
    # So that the last time is late, too.
    clock.advance(301 * MINUTE + timedelta(seconds=0 if window == 2 * HOUR else 30))
    await schedules.firing.fire_due()
    fires = await fires_of(schedules, schedule)
    assert [fire["fire_time"] for fire in fires] == [START + n * MINUTE for n in range(1, 302)]
    outcomes = [fire["outcome"] for fire in fires]
    # A time that is just as old as the window still fires.
    assert (outcomes.count("FIRED"), outcomes.count("MISSED")) == (fired, missed)
    assert outcomes == ["MISSED"] * missed + ["FIRED"] * fired
    counts = await again(schedules, schedule)
    late = fired - (window == 2 * HOUR)
    assert (counts["fired"], counts["caught_up"], counts["missed"]) == (fired, late, missed)
    assert counts["next_fire_at"] == START + 302 * MINUTE
    assert all(fire["reason"] for fire in fires if fire["outcome"] == "MISSED")


async def test_many_schedulers_at_once_fire_each_time_once(schedules: Schedules, clock: SetClock):
    made = [await create(schedules, overlap_policy="ALLOW_ALL") for _ in range(20)]
    clock.advance(5 * MINUTE)
    await asyncio.gather(*(schedules.firing.fire_due() for _ in range(6)))
    await schedules.firing.fire_due()
    for schedule in made:
        assert await outcomes_of(schedules, schedule) == ["FIRED"] * 5


async def test_a_schedule_is_completed_after_its_runs_or_its_end(schedules: Schedules, clock: SetClock):
    three = await create(schedules, max_runs=3, overlap_policy="ALLOW_ALL")
    ended = await create(
        schedules,
        timing=timing(cron_expression="* * * * *", end_time=(START + 2 * MINUTE).isoformat()),
        overlap_policy="ALLOW_ALL",
    )
    once = await create(schedules, timing=timing(run_time=(START + MINUTE).isoformat()))
    clock.advance(10 * MINUTE)
    await schedules.firing.fire_due()
    for schedule, runs in ((three, 3), (ended, 2), (once, 1)):
        done = await again(schedules, schedule)
        assert (done["status"], done["next_fire_at"], done["fired"]) == ("COMPLETED", None, runs)
    with pytest.raises(WrongStatus):
        await schedules.steering.pause(TENANT, three["id"], "")
    more = await schedules.steering.update(TENANT, three["id"], {"max_runs": 4})
    assert (more["status"], more["next_fire_at"]) == ("ACTIVE", clock.now + MINUTE)


async def test_a_single_time_that_has_passed_fires_at_once(schedules: Schedules, clock: SetClock):
    passed = timing(run_time=(START - HOUR).isoformat())
    schedule = await create(schedules, timing=passed, catch_up_policy="NONE")
    too_old = await create(schedules, timing=passed, catch_up_window=60)
    await schedules.firing.fire_due()
    assert await outcomes_of(schedules, schedule) == ["FIRED"]
    assert await outcomes_of(schedules, too_old) == ["MISSED"]
    # The same time again is not fired again.
    await schedules.steering.update(TENANT, schedule["id"], {"timing": {"time_zone": "Europe/Berlin"}})
    await schedules.firing.fire_due()
    assert await outcomes_of(schedules, schedule) == ["FIRED"]
    assert (await again(schedules, schedule))["status"] == "COMPLETED"


async def test_jitter_puts_the_task_off_and_not_the_fire(app: App, schedules: Schedules, clock: SetClock):
    schedule = await create(
        schedules, timing=timing(cron_expression="* * * * *", jitter=30), overlap_policy="ALLOW_ALL"
    )
    clock.advance(3 * MINUTE)
    await schedules.firing.fire_due()
    fires = await fires_of(schedules, schedule)
    put_off = {fire["start_time"] - fire["fire_time"] for fire in fires}
    assert len(put_off) == 3
    assert all(timedelta() <= by <= timedelta(seconds=30) for by in put_off)


async def test_times_in_a_pause_do_not_fire_and_those_before_it_do(schedules: Schedules, clock: SetClock):
    schedule = await create(schedules, overlap_policy="ALLOW_ALL")
    clock.advance(3 * MINUTE)
    paused = await schedules.steering.pause(TENANT, schedule["id"], "holidays")
    assert (paused["status"], paused["note"], paused["fired"]) == ("PAUSED", "holidays", 3)
    clock.advance(3 * MINUTE)
    assert await schedules.firing.fire_due() == 0
    noted = await schedules.steering.pause(TENANT, schedule["id"], "longer holidays")
    assert noted["note"] == "longer holidays"
    resumed = await schedules.steering.resume(TENANT, schedule["id"], "back")
    assert (resumed["status"], resumed["next_fire_at"]) == ("ACTIVE", START + 7 * MINUTE)
    clock.advance(MINUTE)
    await schedules.firing.fire_due()
    assert [fire["fire_time"] for fire in await fires_of(schedules, schedule)] == [
        START + n * MINUTE for n in (1, 2, 3, 7)
    ]


async def test_a_change_of_times_counts_from_now_on_and_keeps_the_rest(schedules: Schedules, clock: SetClock):
    schedule = await create(schedules, overlap_policy="ALLOW_ALL")
    clock.advance(2 * MINUTE)
    changed = await schedules.steering.update(
        TENANT, schedule["id"], {"timing": {"cron_expression": "*/10 * * * *"}}, etag=etag_of(schedule)
    )
    assert (changed["fired"], changed["next_fire_at"]) == (2, START + 10 * MINUTE)
    with pytest.raises(EtagMismatch):
        await schedules.steering.update(TENANT, schedule["id"], {"name": "x"}, etag=etag_of(schedule))
    with pytest.raises(InvalidArgument, match="cron_expression"):
        await schedules.steering.update(TENANT, schedule["id"], {"timing": {"cron_expression": "x"}})
    tried = await schedules.steering.update(TENANT, schedule["id"], {"name": "tried"}, validate_only=True)
    assert (tried["name"], (await again(schedules, schedule))["name"]) == ("tried", "a schedule")
    clock.advance(8 * MINUTE)
    await schedules.firing.fire_due()
    assert len(await fires_of(schedules, schedule)) == 3


async def test_steering_and_firing_at_once_lose_and_double_nothing(schedules: Schedules, clock: SetClock):
    schedule = await create(schedules, overlap_policy="ALLOW_ALL")

    async def steer(number: int) -> None:
        await schedules.steering.update(TENANT, schedule["id"], {"description": f"change {number}"})

    for _ in range(10):
        clock.advance(MINUTE)
        await asyncio.gather(
            *(steer(number) for number in range(3)), *(schedules.firing.fire_due() for _ in range(3))
        )
    await schedules.firing.fire_due()
    assert await outcomes_of(schedules, schedule) == ["FIRED"] * 10
    clock.advance(MINUTE)
    await asyncio.gather(
        schedules.steering.delete(TENANT, schedule["id"]), *(schedules.firing.fire_due() for _ in range(3))
    )
    with pytest.raises(NotFound):
        await fires_of(schedules, schedule)
    with pytest.raises(NotFound):
        await schedules.steering.delete(TENANT, schedule["id"])
    await schedules.steering.delete(TENANT, schedule["id"], allow_missing=True)


async def test_pausing_and_firing_at_once_fire_what_came_before_the_pause_once(
    schedules: Schedules, clock: SetClock
):
    schedule = await create(schedules, overlap_policy="ALLOW_ALL")
    steering, firing = schedules.steering, schedules.firing
    for _ in range(10):
        clock.advance(MINUTE)
        await asyncio.gather(
            firing.fire_due(),
            steering.pause(TENANT, schedule["id"], "stop"),
            firing.fire_due(),
            steering.resume(TENANT, schedule["id"], "go"),
            firing.fire_due(),
        )
        await steering.resume(TENANT, schedule["id"], "go")
    times = [fire["fire_time"] for fire in await fires_of(schedules, schedule)]
    assert times == [START + n * MINUTE for n in range(1, 11)]
    assert await outcomes_of(schedules, schedule) == ["FIRED"] * 10


async def test_a_trigger_fires_in_any_status_and_counts_apart(
    app: App, schedules: Schedules, clock: SetClock
):
    schedule = await create(schedules, max_runs=1)
    await schedules.steering.pause(TENANT, schedule["id"], "")
    first = await schedules.requests.trigger(TENANT, schedule["id"], request_id="a")
    assert (first["outcome"], first["trigger"], first["run_number"]) == ("FIRED", "MANUAL", 1)
    same = await schedules.requests.trigger(TENANT, schedule["id"], request_id="a")
    assert same["task_id"] == first["task_id"]
    with pytest.raises(AlreadyExists):
        await schedules.requests.trigger(TENANT, schedule["id"], request_id="a", overlap_policy="ALLOW_ALL")
    skipped = await schedules.requests.trigger(TENANT, schedule["id"])
    assert skipped["outcome"] == "SKIPPED"
    beside = await schedules.requests.trigger(TENANT, schedule["id"], overlap_policy="ALLOW_ALL")
    assert (beside["outcome"], beside["run_number"]) == ("FIRED", 2)
    waits = await schedules.requests.trigger(TENANT, schedule["id"], overlap_policy="BUFFER_ONE")
    assert waits["outcome"] == "BUFFERED"
    for fire in (first, beside):
        await end_task(app, fire["task_id"])
    await schedules.firing.follow_up()
    counts = await again(schedules, schedule)
    assert (counts["triggered"], counts["fired"], counts["skipped"], counts["buffered"]) == (3, 0, 1, 0)


async def test_a_backfill_fires_what_did_not_fire_and_nothing_twice(
    app: App, schedules: Schedules, clock: SetClock
):
    schedule = await create(schedules, overlap_policy="SKIP")
    clock.advance(MINUTE)
    await schedules.firing.fire_due()
    clock.advance(MINUTE)
    await schedules.firing.fire_due()
    assert await outcomes_of(schedules, schedule) == ["FIRED", "SKIPPED"]
    arguments = (TENANT, schedule["id"], START - 3 * MINUTE, clock.now)
    tried = await schedules.requests.backfill(*arguments, validate_only=True)
    assert (tried.fired, tried.buffered, tried.existing) == (0, 4, 1)
    assert await outcomes_of(schedules, schedule) == ["FIRED", "SKIPPED"]
    done = await schedules.requests.backfill(*arguments[:3], clock.now + timedelta.resolution - MINUTE)
    assert (done.fired, done.buffered, done.existing) == (0, 4, 1)
    again_done = await schedules.requests.backfill(*arguments, overlap_policy="ALLOW_ALL")
    assert (again_done.fired, again_done.existing) == (0, 5)
    for _ in range(5):
        await app.database.pool.execute("UPDATE tasks SET status = 'SUCCEEDED', finished_at = now()")
        await schedules.firing.follow_up()
    fires = await fires_of(schedules, schedule)
    assert [fire["outcome"] for fire in fires] == ["FIRED"] * 5 + ["SKIPPED"]
    assert [fire["trigger"] for fire in fires] == ["BACKFILL"] * 4 + ["TIME"] * 2
    redone = (
        await schedules.requests.backfill(
            TENANT, schedule["id"], START + 2 * MINUTE, clock.now, overlap_policy="ALLOW_ALL"
        )
        if clock.advance(MINUTE)
        else None
    )
    assert redone is not None
    assert (redone.fired, await outcomes_of(schedules, schedule)) == (1, ["FIRED"] * 7)
    assert (await again(schedules, schedule))["backfilled"] == 5
    with pytest.raises(InvalidArgument, match="end_time"):
        await schedules.requests.backfill(TENANT, schedule["id"], START, clock.now + MINUTE)


async def test_a_payload_that_cannot_be_computed_refuses_the_fire_and_no_other(
    app: App, schedules: Schedules, clock: SetClock
):
    bad = await create(schedules, payload_expressions={"x": "1 / (fire.run_number - 2)"})
    good = await create(schedules)
    for _ in range(2):
        clock.advance(MINUTE)
        await schedules.firing.fire_due()
        await app.database.pool.execute("UPDATE tasks SET status = 'SUCCEEDED', finished_at = now()")
    assert await outcomes_of(schedules, good) == ["FIRED", "FIRED"]
    assert await outcomes_of(schedules, bad) == ["FIRED", "REFUSED"]
    fire = (await fires_of(schedules, bad))[1]
    assert "division by zero" in fire["reason"]


async def test_creating_twice_with_one_request_id_makes_one_schedule(schedules: Schedules):
    fields = {"name": "n", "task_type": "echo", "timing": timing()}
    first = await schedules.creation.create(TENANT, fields, request_id="r")
    second = await schedules.creation.create(TENANT, fields, request_id="r")
    assert first["id"] == second["id"]
    with pytest.raises(AlreadyExists):
        await schedules.creation.create(TENANT, fields | {"name": "m"}, request_id="r")
    tried = await schedules.creation.create(TENANT, fields, validate_only=True)
    assert (tried["id"], tried["status"]) == (None, "ACTIVE")


async def test_the_task_of_a_fire_has_what_the_schedule_says(app: App, schedules: Schedules, clock: SetClock):
    schedule = await create(
        schedules,
        name="Nightly",
        priority="HIGH",
        queue="reports",
        tags=["night"],
        retry_policy={"max_attempts": 7},
        attempt_timeout=12.0,
        expire_after=3600.0,
        payload='{"a": 1.0}',
        payload_form="JSON",
    )
    clock.advance(MINUTE)
    await schedules.firing.fire_due()
    task = await get_task(app.database, TENANT, (await fires_of(schedules, schedule))[0]["task_id"])
    assert (task["name"], task["priority"], task["queue"], task["tags"]) == (
        "Nightly",
        "HIGH",
        "reports",
        ["night"],
    )
    assert (task["retry_policy"], task["attempt_timeout"]) == ({"max_attempts": 7}, 12.0)
    assert (task["payload"], task["payload_form"]) == ('{"a": 1.0}', "JSON")
    assert task["expire_at"] == clock.now + HOUR


async def test_a_clock_that_is_set_on_and_back_by_an_hour_fires_each_time_once(
    schedules: Schedules, clock: SetClock
):
    schedule = await create(schedules, overlap_policy="ALLOW_ALL")
    clock.advance(MINUTE)
    await schedules.firing.fire_due()
    for shift in (HOUR, -HOUR, -HOUR, HOUR):
        clock.advance(shift)
        await schedules.firing.fire_due()
    while clock.now < START + 90 * MINUTE:
        clock.advance(MINUTE)
        await schedules.firing.fire_due()
    times = [fire["fire_time"] for fire in await fires_of(schedules, schedule)]
    assert times == [START + n * MINUTE for n in range(1, 91)]
    assert await outcomes_of(schedules, schedule) == ["FIRED"] * 90


async def test_what_a_backfill_lets_wait_goes_on_while_the_schedule_is_paused(
    app: App, schedules: Schedules, clock: SetClock
):
    schedule = await create(schedules, overlap_policy="BUFFER_ALL")
    clock.advance(2 * MINUTE)
    await schedules.firing.fire_due()
    await schedules.steering.pause(TENANT, schedule["id"], "")
    await schedules.requests.backfill(TENANT, schedule["id"], START - MINUTE, START)
    for _ in range(3):
        await app.database.pool.execute("UPDATE tasks SET status = 'SUCCEEDED', finished_at = now()")
        await schedules.firing.follow_up()
    fires = await fires_of(schedules, schedule)
    assert [(fire["trigger"], fire["outcome"]) for fire in fires] == [
        ("BACKFILL", "FIRED"),
        ("CATCH_UP", "FIRED"),
        ("TIME", "BUFFERED"),
    ]


async def test_at_most_a_thousand_fires_wait_and_the_next_is_dropped(schedules: Schedules, clock: SetClock):
    schedule = await create(schedules, overlap_policy="BUFFER_ALL")
    clock.advance(1003 * MINUTE)
    await schedules.firing.fire_due()
    counts = await again(schedules, schedule)
    assert (counts["fired"], counts["buffered"], counts["dropped"]) == (1, 1000, 2)


async def test_old_fires_are_deleted_and_open_ones_are_kept(app: App, schedules: Schedules, clock: SetClock):
    schedule = await create(schedules, overlap_policy="SKIP")
    clock.advance(3 * MINUTE)
    await schedules.firing.fire_due()
    assert await outcomes_of(schedules, schedule) == ["FIRED", "SKIPPED", "SKIPPED"]
    # As the database has it, the clock of this test is months behind.
    assert await app.retention.run() == {"fires": 2}
    assert await outcomes_of(schedules, schedule) == ["FIRED"]
