"""What schedules cost while nothing is due, and how fast and how late they fire when all are due at once."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from running import Measured
from taskflow_core.app import open_app
from taskflow_core.settings import Settings

FILL = """
INSERT INTO schedules (
  id, tenant_id, name, description, task_type, task_name, payload, payload_form, payload_expressions, priority,
  queue, tags, schedule_type, timing, overlap_policy, catch_up_policy, catch_up_window, pause_on_failure, status,
  next_fire_at)
SELECT uuidv7(), 'bench', $1, '', 'noop', '', '{}', 'JSON', '{}', 'NORMAL', 'default', '{}', 'CRON',
  jsonb_build_object('cron_expression', $2::text), 'SKIP', 'ALL', 3600, false, 'ACTIVE', $3
FROM generate_series(1, $4::int)
"""
FIRED = """
SELECT count(*) AS fires,
  extract(epoch FROM max(actual_time) - min(actual_time))::float8 AS decided_within,
  1000 * extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY actual_time - fire_time))::float8 AS p50,
  1000 * extract(epoch FROM percentile_disc(0.99) WITHIN GROUP (ORDER BY actual_time - fire_time))::float8 AS p99
FROM schedule_fires f JOIN schedules s ON s.id = f.schedule_id WHERE s.name = $1 AND f.outcome = 'FIRED'
"""
# As the created tasks tell it: their rows are stored with the fires.
CREATED = """
SELECT extract(epoch FROM max(t.created_at) - min(f.fire_time))::float8
FROM schedule_fires f JOIN schedules s ON s.id = f.schedule_id JOIN tasks t ON t.id = f.task_id WHERE s.name = $1
"""


async def schedules(stack: Measured, idle: int = 100_000, due: int = 10_000) -> dict[str, float]:
    """Idle schedules, then a few that are due each second, then many in the same second, by the stack's scheduler."""
    connection = await asyncpg.connect(stack.database_url)
    figures = {"empty: tick ms": await _tick_ms(stack)}
    await _fill(connection, "idle", "0 0 1 1 *", "now() + interval '300 days'", idle)
    await connection.execute("ANALYZE schedules")
    figures |= {f"{idle} idle: tick ms": await _tick_ms(stack)}
    for name, count in (("few", 20), ("many", due)):
        await _fill(
            connection, name, "* * * * * *", "date_trunc('second', now()) + interval '3 seconds'", count
        )
        # One time of each: the time after it lies in the next year.
        await connection.execute(
            "UPDATE schedules SET timing = jsonb_build_object('run_time', next_fire_at), schedule_type = 'ONE_TIME'"
            " WHERE name = $1",
            name,
        )
        await _until(connection, name, count)
        row = await connection.fetchrow(FIRED, name)
        assert row is not None
        seconds = await connection.fetchval(CREATED, name)
        figures |= {f"{name}: fires": row["fires"], f"{name}: late p50 ms": row["p50"]}
        figures |= {f"{name}: late p99 ms": row["p99"], f"{name}: fires/s": row["fires"] / seconds}
    await connection.close()
    return figures


async def _fill(
    connection: "asyncpg.Connection[asyncpg.Record]", name: str, cron: str, when: str, count: int
) -> None:
    next_fire_at = await connection.fetchval(f"SELECT {when}")
    for start in range(0, count, 20_000):
        await connection.execute(FILL, name, cron, next_fire_at, min(20_000, count - start))


async def _until(connection: "asyncpg.Connection[asyncpg.Record]", name: str, count: int) -> None:
    while True:
        row = await connection.fetchrow(FIRED, name)
        if row is not None and row["fires"] >= count:
            return
        await asyncio.sleep(0.5)


async def _tick_ms(stack: Measured) -> float:
    """One tick when nothing is due: what each scheduler does once a second."""
    settings = Settings(database_url=stack.database_url, redis_url=stack.redis_url)
    async with open_app(settings, "bench") as app:
        firing = app.schedules.firing

        async def tick() -> None:
            await firing.fire_due()
            await firing.follow_up()
            await firing.seconds_to_next()

        return await _mean_ms(tick)


async def _mean_ms(work: Callable[[], Awaitable[None]]) -> float:
    await work()
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(20):
        await work()
    return (loop.time() - started) / 20 * 1000
