"""Each overlap policy meets each state of the earlier work, and each end of it."""

from uuid import UUID

import pytest

from support.schedules import (
    MINUTE,
    SetClock,
    again,
    create,
    end_task,
    fires_of,
    outcomes_of,
    schedules_at,
)
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.schedules.assembly import Schedules
from taskflow_core.tasks.read import get_task

# What three fires become while the first one's task runs on; what the third has become when that has ended, and
# when the task after it has, too.
POLICIES = {
    "SKIP": (["FIRED", "SKIPPED", "SKIPPED"], ["FIRED", "SKIPPED", "SKIPPED"]),
    "BUFFER_ONE": (["FIRED", "BUFFERED", "SKIPPED"], ["FIRED", "FIRED", "SKIPPED"]),
    "BUFFER_ALL": (["FIRED", "BUFFERED", "BUFFERED"], ["FIRED", "FIRED", "BUFFERED"]),
    "CANCEL_OTHER": (["FIRED", "FIRED", "FIRED"], ["FIRED", "FIRED", "FIRED"]),
    "ALLOW_ALL": (["FIRED", "FIRED", "FIRED"], ["FIRED", "FIRED", "FIRED"]),
}
ENDS = ["SUCCEEDED", "FAILED", "CANCELLED", "deleted"]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def schedules(app: App, clock: SetClock) -> Schedules:
    return schedules_at(app, clock)


async def tick(schedules: Schedules, clock: SetClock, times: int = 1) -> None:
    """Let so many minutes pass, and tick as a scheduler does."""
    for _ in range(times):
        clock.advance(MINUTE)
        await schedules.firing.fire_due()
        await schedules.firing.follow_up()


async def end(app: App, task_id: UUID, how: str) -> None:
    if how == "deleted":
        await app.database.pool.execute("DELETE FROM tasks WHERE id = $1", task_id)
    else:
        await end_task(app, task_id, how)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("policy", POLICIES)
async def test_what_becomes_of_fires_while_and_after_earlier_work(
    app: App, schedules: Schedules, clock: SetClock, policy: str, how: str
):
    while_running, after_end = POLICIES[policy]
    schedule = await create(schedules, overlap_policy=policy)
    await tick(schedules, clock, 3)
    assert await outcomes_of(schedules, schedule) == while_running
    first = (await fires_of(schedules, schedule))[0]
    await end(app, first["task_id"], how)
    await schedules.firing.follow_up()
    assert await outcomes_of(schedules, schedule) == after_end
    counts = await again(schedules, schedule)
    for counter, outcome in (("fired", "FIRED"), ("skipped", "SKIPPED"), ("buffered", "BUFFERED")):
        assert counts[counter] == after_end.count(outcome)
    # Under CANCEL_OTHER it was cancelled before it could fail.
    assert counts["failed"] == (how == "FAILED" and policy != "CANCEL_OTHER")


@pytest.mark.parametrize("how", ["SUCCEEDED", "FAILED", "CANCELLED"])
async def test_a_fire_after_the_end_of_the_earlier_work_starts_though_nobody_followed_up(
    app: App, schedules: Schedules, clock: SetClock, how: str
):
    schedule = await create(schedules)
    await tick(schedules, clock)
    await end(app, (await fires_of(schedules, schedule))[0]["task_id"], how)
    clock.advance(MINUTE)
    await schedules.firing.fire_due()
    assert await outcomes_of(schedules, schedule) == ["FIRED", "FIRED"]


async def test_what_waits_starts_one_after_another_in_the_order_of_its_times(
    app: App, schedules: Schedules, clock: SetClock
):
    schedule = await create(schedules, overlap_policy="BUFFER_ALL")
    await tick(schedules, clock, 4)
    for done in range(1, 5):
        fires = await fires_of(schedules, schedule)
        assert [fire["outcome"] for fire in fires] == ["FIRED"] * done + ["BUFFERED"] * (4 - done)
        assert [fire["run_number"] for fire in fires[:done]] == list(range(1, done + 1))
        await end_task(app, fires[done - 1]["task_id"])
        await schedules.firing.follow_up()
    counts = await again(schedules, schedule)
    assert (counts["fired"], counts["buffered"]) == (4, 0)


async def test_a_reason_names_the_task_in_the_way(schedules: Schedules, clock: SetClock):
    schedule = await create(schedules, overlap_policy="BUFFER_ONE")
    await tick(schedules, clock, 3)
    first, second, third = await fires_of(schedules, schedule)
    assert first["reason"] == ""
    assert second["reason"] == f"waits for task {first['task_id']} of the fire of 2026-03-02T09:01:00.000Z"
    assert third["reason"].startswith(f"task {first['task_id']} of the fire")


async def test_a_running_task_is_asked_to_stop_and_the_newest_fire_takes_its_place(
    app: App, schedules: Schedules, clock: SetClock
):
    schedule = await create(schedules, overlap_policy="CANCEL_OTHER")
    await tick(schedules, clock)
    first = (await fires_of(schedules, schedule))[0]
    # As a worker would have it, whose handler does not stop at once.
    await app.database.pool.execute(
        "UPDATE tasks SET status = 'RUNNING', session_id = 1, attempt = 1 WHERE id = $1", first["task_id"]
    )
    await tick(schedules, clock, 2)
    assert await outcomes_of(schedules, schedule) == ["FIRED", "SKIPPED", "BUFFERED"]
    task = await get_task(app.database, TENANT, first["task_id"])
    assert (task["status"], task["cancel_reason"]) == (
        "RUNNING",
        "a newer fire of its schedule takes its place",
    )
    await app.database.pool.execute(
        "UPDATE tasks SET session_id = NULL, status = 'CANCELLED', finished_at = now()"
    )
    await schedules.firing.follow_up()
    assert await outcomes_of(schedules, schedule) == ["FIRED", "SKIPPED", "FIRED"]


async def test_a_scheduler_that_dies_before_it_cancels_leaves_that_to_the_next(
    app: App, schedules: Schedules, clock: SetClock
):
    schedule = await create(schedules, overlap_policy="CANCEL_OTHER")
    await tick(schedules, clock)
    clock.advance(MINUTE)
    await schedules.firing._fire_some()  # noqa: SLF001 - what comes after the commit is not done
    assert await outcomes_of(schedules, schedule) == ["FIRED", "BUFFERED"]
    await schedules.firing.follow_up()
    await schedules.firing.follow_up()
    assert await outcomes_of(schedules, schedule) == ["FIRED", "FIRED"]


async def test_a_schedule_pauses_when_its_work_fails_for_good(
    app: App, schedules: Schedules, clock: SetClock
):
    schedule = await create(schedules, overlap_policy="BUFFER_ALL", pause_on_failure=True)
    await tick(schedules, clock, 2)
    first = (await fires_of(schedules, schedule))[0]
    await end_task(app, first["task_id"], "FAILED")
    await tick(schedules, clock, 3)
    paused = await again(schedules, schedule)
    assert (paused["status"], paused["next_fire_at"], paused["failed"]) == ("PAUSED", None, 1)
    assert paused["note"] == f"paused by the service: task {first['task_id']} FAILED"
    # What waits keeps waiting, and goes on when somebody has looked.
    assert await outcomes_of(schedules, schedule) == ["FIRED", "BUFFERED"]
    resumed = await schedules.steering.resume(TENANT, schedule["id"], "mended")
    assert (resumed["status"], resumed["next_fire_at"], resumed["note"]) == (
        "ACTIVE",
        clock.now + MINUTE,
        "mended",
    )
    assert await outcomes_of(schedules, schedule) == ["FIRED", "FIRED"]
