"""Statistics of schedules count every outcome, and are those that the schedules count themselves."""

from datetime import timedelta

from support.schedules import MINUTE, START, SetClock, again, create, end_task, schedules_at
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.stats.schedules import read_schedule_stats


async def test_every_outcome_is_counted_by_the_schedule_and_over_a_period(app: App):
    clock = SetClock()
    schedules = schedules_at(app, clock)
    skips = await create(schedules, name="skips")
    drops = await create(schedules, name="drops", overlap_policy="BUFFER_ALL")
    misses = await create(schedules, name="misses", catch_up_policy="LATEST", overlap_policy="ALLOW_ALL")
    refuses = await create(
        schedules,
        name="refuses",
        payload_expressions={"x": "1 / (fire.run_number - 2)"},
        overlap_policy="ALLOW_ALL",
    )
    clock.advance(1002 * MINUTE)
    while await schedules.firing.fire_due():
        pass
    await end_task(app, (await again(schedules, skips))["last_task_id"])
    await end_task(app, (await again(schedules, misses))["last_task_id"], "FAILED")
    await schedules.firing.follow_up()

    figures = await read_schedule_stats(
        app.database, TENANT, None, start=START, end=START + 1002 * MINUTE + timedelta(seconds=1)
    )
    by_name = {row["name"]: row for row in figures.by_schedule}
    expected = {
        "skips": {"fired": 1, "skipped": 1001, "missed": 0, "dropped": 0, "refused": 0},
        "drops": {"fired": 1, "skipped": 0, "missed": 0, "dropped": 1, "refused": 0},
        "misses": {"fired": 1, "skipped": 0, "missed": 1001, "dropped": 0, "refused": 0},
        "refuses": {"fired": 1, "skipped": 0, "missed": 0, "dropped": 0, "refused": 1001},
    }
    for name, counts in expected.items():
        assert {counter: by_name[name][counter] for counter in counts} == counts
        assert by_name[name]["fires"] == 1002
    assert (by_name["skips"]["succeeded"], by_name["misses"]["failed"]) == (1, 1)
    assert figures.total["fires"] == 4 * 1002
    assert figures.current == {"ACTIVE": 4}
    for schedule in (skips, drops, misses, refuses):
        row = await again(schedules, schedule)
        for counter in ("fired", "skipped", "missed", "dropped"):
            assert row[counter] == expected[row["name"]][counter]
    assert (await again(schedules, drops))["buffered"] == 1000
