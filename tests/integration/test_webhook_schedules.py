"""Webhooks are told what became of every fire of a schedule, as it happens or by a recovery."""

import json
from datetime import UTC, datetime

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


async def test_a_recovery_tells_of_fires_and_their_work_what_was_told_then(app: App):
    clock = SetClock(datetime.now(UTC) - 6 * MINUTE)
    schedules = schedules_at(app, clock)
    live = await subscribe(app, "https://example.com", "*")
    skipping = await create(schedules, overlap_policy="SKIP")
    await create(schedules, catch_up_policy="NONE")
    clock.advance(MINUTE)
    await schedules.firing.fire_due()
    clock.advance(2 * MINUTE)
    await schedules.firing.fire_due()
    waiting = await create(schedules, overlap_policy="BUFFER_ONE")
    for _ in range(2):
        clock.advance(MINUTE)
        await schedules.firing.fire_due()
    await end_task(app, (await again(schedules, skipping))["last_task_id"])
    await schedules.firing.follow_up()
    late = await subscribe(app, "https://example.com", "*")
    recover, webhook_id = app.webhooks.redelivery.recover, late.row["id"]
    before = clock.now - 10 * MINUTE
    counted = await recover(TENANT, webhook_id, before, None, validate_only=True)
    recovered = await recover(TENANT, webhook_id, before, None, validate_only=False)
    again_recovered = await recover(TENANT, webhook_id, before, None, validate_only=False)

    async def bodies(webhook: Row) -> list[str]:
        rows = await deliveries(app, webhook)
        return sorted(json.dumps(app.webhooks.envelopes.event(row)) for row in rows)

    assert await bodies(late.row) == await bodies(live.row)
    told_types = {row["event_type"] for row in await deliveries(app, late.row)}
    assert {"schedule.fired", "schedule.skipped", "schedule.missed", "task.created"} <= told_types
    assert counted.created == recovered.created == len(await deliveries(app, live.row))
    assert again_recovered.created == 0
    # The fire that waits is told of when it has been decided on.
    waits = await app.database.pool.fetchval(
        "SELECT count(*) FROM schedule_fires WHERE schedule_id = $1 AND outcome = 'BUFFERED'", waiting["id"]
    )
    assert waits == 1
