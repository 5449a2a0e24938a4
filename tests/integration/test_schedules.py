"""Schedules fire: each time once, with a task, and with a word about what became of it."""

import pytest

from support.schedules import (
    MINUTE,
    START,
    SetClock,
    again,
    create,
    fires_of,
    schedules_at,
)
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.schedules.assembly import Schedules
from taskflow_core.tasks.read import get_task


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def schedules(app: App, clock: SetClock) -> Schedules:
    return schedules_at(app, clock)


async def test_a_time_that_comes_becomes_a_fire_and_a_task(app: App, schedules: Schedules, clock: SetClock):
    schedule = await create(
        schedules,
        task_name="report",
        payload='{"to": "all"}',
        payload_expressions={"number": "fire.run_number", "day": "fire.time.getDate(schedule.time_zone)"},
        tags=["daily"],
    )
    assert (schedule["status"], schedule["next_fire_at"]) == ("ACTIVE", START + MINUTE)
    assert await schedules.firing.fire_due() == 0
    clock.advance(MINUTE)
    assert await schedules.firing.fire_due() == 1
    assert await schedules.firing.fire_due() == 0
    [fire] = await fires_of(schedules, schedule)
    assert (fire["fire_time"], fire["outcome"], fire["trigger"], fire["run_number"]) == (
        START + MINUTE,
        "FIRED",
        "TIME",
        1,
    )
    task = await get_task(app.database, TENANT, fire["task_id"])
    assert (task["name"], task["schedule_id"], task["status"]) == ("report", schedule["id"], "QUEUED")
    assert (task["payload"], task["tags"]) == ('{"to":"all","day":2,"number":1}', ["daily"])
    after = await again(schedules, schedule)
    assert (after["next_fire_at"], after["last_fire_at"]) == (START + 2 * MINUTE, START + MINUTE)
    assert (after["last_task_id"], after["fired"]) == (task["id"], 1)
