"""What a large backlog costs those who submit, those who are urgent, those who list, and the sweep."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import grpc.aio
from sqlalchemy import event

from measure import latency, new_task, submit_batches
from running import Measured
from taskflow_core.app import App, open_app
from taskflow_core.queue import EPOCH_KEY, Lane
from taskflow_core.settings import Settings
from taskflow_core.tasks.missing_hints import BEGINNING, WAITING_QUEUED
from taskflow_core.tasks.read import PageRequest
from taskflow_core.tasks.sweep import LOOK
from taskflow_proto.v1 import task_service_pb2_grpc

# No worker serves it.
PARKED = "parked"

FILL = """
WITH created AS (
  INSERT INTO tasks (id, tenant_id, name, task_type, queue, priority, payload, payload_form, status, run_at)
  SELECT uuidv7(), 'default', 'backlog', 'noop', $1, 'LOW', '{}', 'JSON', 'QUEUED', now() FROM generate_series(1, $2::int)
  RETURNING id, tenant_id, status
)
INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor)
SELECT id, 1, tenant_id, 'CREATED', status, 0, 'bench' FROM created
"""


async def backlog(stack: Measured, size: int) -> dict[str, float]:
    """Everything twice: with no backlog, and with `size` tasks that wait in a queue nobody serves."""
    settings = Settings(database_url=stack.database_url, redis_url=stack.redis_url)
    figures: dict[str, float] = {}
    async with open_app(settings, "bench") as app:
        for when in ("empty", "full"):
            if when == "full":
                await _fill(stack, app, size)
            pickup = await latency(stack, 100, 1_000, "CRITICAL")
            figures |= {
                f"{when}: submit/s": await _submit_rate(stack, 10_000),
                f"{when}: CRITICAL p50 ms": pickup["p50 ms"],
                f"{when}: CRITICAL p99 ms": pickup["p99 ms"],
                f"{when}: sweep looks ms": await _milliseconds(lambda: _look(app)),
                f"{when}: list page ms": await _milliseconds(lambda: _list(app, "")),
                f"{when}: filtered page ms": await _milliseconds(lambda: _list(app, f'queue = "{PARKED}"')),
            }
    return figures


async def plans(stack: Measured) -> list[str]:
    """How PostgreSQL does what must stay flat: EXPLAIN of the look of the sweep, its walk, and a page of a list."""
    settings = Settings(database_url=stack.database_url, redis_url=stack.redis_url)
    lines: list[str] = []
    async with open_app(settings, "bench") as app, app.database.pool.acquire() as connection:

        async def explain(what: str, statement: str, *arguments: Any) -> None:
            rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}", *arguments)
            lines.extend([f"-- {what}", *(row[0] for row in rows), ""])

        await explain("the sweep looks whether there is anything to do", LOOK, 10.0, 15.0, 60.0)
        await explain("the sweep walks what waits", WAITING_QUEUED, *BEGINNING, 1000)
        statements: list[tuple[str, Any]] = []

        @event.listens_for(app.database.engine.sync_engine, "before_cursor_execute")
        def note(_: Any, __: Any, statement: str, arguments: Any, *___: Any) -> None:
            statements.append((statement, arguments))

        await _list(app, 'task_type = "noop"')
        for statement, arguments in statements:
            if statement.startswith("SELECT"):
                await explain("a page of ListTasks", statement, *arguments)
    return lines


async def _fill(stack: Measured, app: App, size: int) -> None:
    """Put the tasks there, and let the service come to rest: with their hints in Redis, and counted."""
    connection = await asyncpg.connect(stack.database_url)
    for start in range(0, size, 50_000):
        await connection.execute(FILL, PARKED, min(50_000, size - start))
    # What PostgreSQL does after so many rows it does now, and not while something is measured.
    await connection.execute("VACUUM ANALYZE tasks, task_events")
    await connection.execute("CHECKPOINT")
    await connection.close()
    filled_at = await app.database.pool.fetchval("SELECT now()")
    # As after a wipe: all hints at full speed.
    await app.queue.redis.delete(EPOCH_KEY)
    while await app.queue.redis.zcard(Lane(PARKED, "LOW").key) < size:
        await asyncio.sleep(0.5)
    while (await app.stats.overview("default")).time < filled_at:
        await asyncio.sleep(0.5)


async def _submit_rate(stack: Measured, count: int) -> float:
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        started = time.perf_counter()
        await submit_batches(stub, count, new_task("noop", queue=PARKED))
        return count / (time.perf_counter() - started)


async def _look(app: App) -> None:
    await app.database.pool.fetchrow(LOOK, 10.0, 15.0, 60.0)


async def _list(app: App, filter: str) -> None:
    await app.reader.list_tasks("default", PageRequest(50), filter=filter, order_by="", full=False)


async def _milliseconds(work: Callable[[], Awaitable[None]], times: int = 20) -> float:
    """The median of some runs."""
    runs = []
    for _ in range(times):
        started = time.perf_counter()
        await work()
        runs.append((time.perf_counter() - started) * 1000)
    return sorted(runs)[times // 2]
