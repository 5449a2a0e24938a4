"""Webhooks are told what became of every fire of a schedule."""

from support.schedules import MINUTE, SetClock, again, create, end_task, schedules_at
from support.tasks import TENANT
from support.webhooks import deliveries, subscribe
from taskflow_core.app import App
from taskflow_core.tasks.rows import Row


def told(app: App, rows: list[Row]) -> list[tuple[str, str]]:
    events = [app.webhooks.envelopes.event(row) for row in rows]
    return [(event["type"], event["data"]["fire"]["outcome"]) for event in events]


async def test_fires_that_start_work_and_fires_that_are_skipped_are_told(app: App):
    clock = SetClock()
    schedules = schedules_at(app, clock)
    await subscribe(app, "https://example.com", "schedule.*")
    schedule = await create(schedules, overlap_policy="SKIP")
    for _ in range(2):
        clock.advance(MINUTE)
        await schedules.firing.fire_due()
    rows = await deliveries(app)
    assert told(app, rows) == [("schedule.fired", "FIRED"), ("schedule.skipped", "SKIPPED")]
    assert {row["schedule_id"] for row in rows} == {schedule["id"]}
    fired = await again(schedules, schedule)
    assert rows[0]["task_id"] == fired["last_task_id"]


async def test_a_fire_that_waits_is_told_once_its_turn_has_come(app: App):
    clock = SetClock()
    schedules = schedules_at(app, clock)
    await subscribe(app, "https://example.com", "schedule.fired")
    schedule = await create(schedules, overlap_policy="BUFFER_ONE")
    for _ in range(2):
        clock.advance(MINUTE)
        await schedules.firing.fire_due()
    assert len(await deliveries(app)) == 1
    first = await again(schedules, schedule)
    await end_task(app, first["last_task_id"])
    await schedules.firing.follow_up()
    assert told(app, await deliveries(app)) == [("schedule.fired", "FIRED")] * 2


async def test_who_wants_other_events_or_belongs_to_another_tenant_is_told_nothing(app: App):
    clock = SetClock()
    schedules = schedules_at(app, clock)
    await subscribe(app, "https://example.com", "schedule.missed", "task.success")
    await subscribe(app, "https://example.com", "*", tenant_id=f"not-{TENANT}")
    await create(schedules)
    clock.advance(MINUTE)
    await schedules.firing.fire_due()
    assert await deliveries(app) == []
