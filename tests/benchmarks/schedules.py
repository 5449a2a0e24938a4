"""What schedules cost while nothing is due, and how late and how fast they fire when some are, and when all are."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from measure import idle_cost
from running import Measured
from taskflow_core.app import open_app
from taskflow_core.settings import Settings

FILL = """
INSERT INTO schedules (
  id, tenant_id, name, description, task_type, task_name, payload, payload_form, payload_expressions, priority,
  queue, tags, schedule_type, timing, overlap_policy, catch_up_policy, catch_up_window, pause_on_failure, status,
  next_fire_at)
SELECT uuidv7(), 'bench', $1, '', 'noop', '', '{}', 'JSON', '{}', 'NORMAL', 'default', '{}', $2, $3::jsonb,
  'ALLOW_ALL', 'ALL', 3600, false, 'ACTIVE', $4
FROM generate_series(1, $5::int)
"""
FIRED = """
SELECT count(*) AS fires,
  1000 * extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY actual_time - fire_time))::float8 AS p50,
  1000 * extract(epoch FROM percentile_disc(0.99) WITHIN GROUP (ORDER BY actual_time - fire_time))::float8 AS p99
FROM schedule_fires f JOIN schedules s ON s.id = f.schedule_id WHERE s.name = $1 AND f.outcome = 'FIRED'
"""
# As the created tasks tell it: their rows are stored with the fires.
CREATED = """
SELECT extract(epoch FROM max(t.created_at) - min(f.fire_time))::float8
FROM schedule_fires f JOIN schedules s ON s.id = f.schedule_id JOIN tasks t ON t.id = f.task_id WHERE s.name = $1
"""
SCHEDULES_IN_ONE_INSERT = 20_000
IDLE_SECONDS = 5
# Of the normal load: schedules that are due each second, and for how long.
EACH_SECOND = 20
SECONDS = 15

Connection = Any


async def schedules(stack: Measured, idle: int, due: int) -> dict[str, float]:
    """Idle schedules, then a few that are due each second, then many in the same second, by the stack's scheduler."""
    connection = await asyncpg.connect(stack.database_url)
    figures = await _idle(stack, "no schedules")
    next_year = await connection.fetchval("SELECT now() + interval '300 days'")
    await _fill(connection, "idle", "CRON", {"cron_expression": "0 0 1 1 *"}, next_year, idle)
    await connection.execute("VACUUM ANALYZE schedules")
    figures |= await _idle(stack, f"{idle:,} idle")

    start, end = await _soon(connection), await _soon(connection, SECONDS - 1)
    each_second = {"cron_expression": "* * * * * *", "end_time": end.isoformat()}
    await _fill(connection, "each second", "CRON", each_second, start, EACH_SECOND)
    figures |= await _fired(
        connection, f"{EACH_SECOND} due each second", "each second", EACH_SECOND * SECONDS
    )

    time = await _soon(connection)
    await _fill(connection, "at once", "ONE_TIME", {"run_time": time.isoformat()}, time, due)
    figures |= await _fired(connection, f"{due:,} due at once", "at once", due)
    figures["fires/s"] = due / await connection.fetchval(CREATED, "at once")
    await connection.close()
    return figures


async def _fill(
    connection: Connection, name: str, kind: str, timing: dict[str, str], next_fire_at: datetime, count: int
) -> None:
    for start in range(0, count, SCHEDULES_IN_ONE_INSERT):
        some = min(SCHEDULES_IN_ONE_INSERT, count - start)
        await connection.execute(FILL, name, kind, json.dumps(timing), next_fire_at, some)


async def _soon(connection: Connection, seconds: int = 0) -> datetime:
    """A second that begins soon, or so many later."""
    now: datetime = await connection.fetchval("SELECT date_trunc('second', now())")
    return now + timedelta(seconds=3 + seconds)


async def _fired(connection: Connection, what: str, name: str, count: int) -> dict[str, float]:
    """How late so many fires were, once all of them have come."""
    while (row := await connection.fetchrow(FIRED, name))["fires"] < count:
        await asyncio.sleep(0.5)
    assert row["fires"] == count, f"{row['fires']} fires instead of {count}"
    return {f"{what}: late p50 ms": row["p50"], f"{what}: late p99 ms": row["p99"]}


async def _idle(stack: Measured, what: str) -> dict[str, float]:
    """What one tick takes when nothing is due, and all processes together while nothing happens."""
    cost = await idle_cost(stack, IDLE_SECONDS)
    return {f"{what}: tick ms": await _tick_ms(stack), f"{what}: % of a core": cost["% of a core"]}


async def _tick_ms(stack: Measured) -> float:
    """One tick when nothing is due: what each scheduler does once a second."""
    settings = Settings(database_url=stack.database_url, redis_url=stack.redis_url)
    async with open_app(settings, "bench") as app:
        return await _mean_ms(app.schedules.firing.look)


async def _mean_ms(work: Callable[[], Awaitable[object]]) -> float:
    await work()
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(20):
        await work()
    return (loop.time() - started) / 20 * 1000
