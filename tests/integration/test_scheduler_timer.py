"""The scheduler process fires on time, hears of changes, and starts what waits as soon as it may."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from support.schedules import again, create, fires_of, timing
from support.tasks import TENANT, claim_by_hand, open_test_session, settlement
from taskflow_core.app import App
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.rows import Row
from taskflow_worker.firing import ScheduleTimer


@pytest.fixture
async def timer(app: App) -> AsyncIterator[None]:
    timer = ScheduleTimer(app.schedules.firing, app.queue)
    tasks = [asyncio.create_task(timer.tick_on()), asyncio.create_task(timer.listen())]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def fired(app: App, schedule: Row, count: int) -> list[Row]:
    """The fires that started work, once there are so many."""
    async with asyncio.timeout(20):
        while True:
            fires = [fire for fire in await fires_of(app.schedules, schedule) if fire["task_id"]]
            if len(fires) >= count:
                return fires


async def test_it_fires_when_the_time_comes_and_not_a_second_later(
    app: App, timer: None, monkeypatch: pytest.MonkeyPatch
):
    due = datetime.now(UTC) + timedelta(seconds=1.2)
    schedule = await create(app.schedules, timing=timing(run_time=due.isoformat()))
    # From its next look on it looks by itself only once a minute: it must know when the time comes.
    monkeypatch.setattr("taskflow_worker.firing.EACH", 60.0)
    [fire] = await fired(app, schedule, 1)
    assert timedelta() <= fire["actual_time"] - due < timedelta(seconds=10)
    assert (await again(app.schedules, schedule))["status"] == "COMPLETED"


async def test_what_waits_starts_when_the_task_before_it_has_ended(app: App, timer: None):
    far = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    schedule = await create(app.schedules, timing=timing(run_time=far), overlap_policy="BUFFER_ALL")
    for _ in range(3):
        await app.schedules.requests.trigger(TENANT, schedule["id"])
    session = await open_test_session(app)
    for number in range(1, 4):
        fires = await fired(app, schedule, number)
        row = await get_task(app.database, TENANT, fires[-1]["task_id"])
        [task] = await claim_by_hand(app, session, row)
        await app.settlement.settle(settlement(task, session))
    assert [fire["run_number"] for fire in await fires_of(app.schedules, schedule)] == [1, 2, 3]
