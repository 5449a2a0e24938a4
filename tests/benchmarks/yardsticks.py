"""What this machine can do without TaskFlow: the other figures are to be held against these."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg
import grpc.aio
import redis.asyncio as redis
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func
from grpc_health.v1 import health_pb2, health_pb2_grpc

from running import Measured

PACE = 0.01  # seconds between two round trips


async def plain_python(calls: int) -> dict[str, float]:
    """Calls of a function that does nothing. An interpreter built without optimisations is slower by a third."""

    def nothing() -> None:
        pass

    async def call() -> None:
        for _ in range(calls):
            nothing()

    return {"million calls/s": calls / await _timed(call) / 1e6}


async def raw_redis(stack: Measured, count: int) -> dict[str, float]:
    """One LPUSH, then one BRPOP, at a time: the yardstick for what Redis can do here."""
    client = redis.Redis.from_url(stack.redis_url)

    async def push() -> None:
        for _ in range(count):
            await client.lpush("yardstick", b"x")

    async def pop() -> None:
        for _ in range(count):
            await client.brpop(["yardstick"])

    figures = {"LPUSH/s": count / await _timed(push), "BRPOP/s": count / await _timed(pop)}
    await client.aclose()
    return figures


async def stock_arq(stack: Measured, count: int) -> dict[str, float]:
    """arq as it comes (100 jobs at once, poll 0.01 s), without any durability: no-op jobs a second."""

    async def job(_: object) -> None:
        pass

    pool = await create_pool(RedisSettings.from_dsn(stack.redis_url))
    for _ in range(count):
        await pool.enqueue_job("job", _queue_name="yardstick:arq")
    worker = Worker(
        [func(job, name="job")],  # type: ignore[arg-type]
        queue_name="yardstick:arq",
        redis_pool=pool,
        burst=True,
        max_jobs=100,
        poll_delay=0.01,
        keep_result=0,
        handle_signals=False,
    )
    seconds = await _timed(worker.main)
    await worker.close()
    return {"completed/s": count / seconds}


async def round_trips(stack: Measured, count: int) -> dict[str, float]:
    """The parts of a task's way to its handler, each alone and at an easy pace: the median of each, in ms."""
    connection = await asyncpg.connect(stack.database_url)
    client = redis.Redis.from_url(stack.redis_url)
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        parts: dict[str, Callable[[], Awaitable[object]]] = {
            "empty gRPC call ms": lambda: health.Check(health_pb2.HealthCheckRequest()),  # type: ignore[attr-defined]
            "Redis PING ms": client.ping,
            "SELECT 1 ms": lambda: connection.fetchval("SELECT 1"),
            "durable commit ms": lambda: connection.execute("SELECT pg_logical_emit_message(true, '', '')"),
        }
        figures = {name: await _median(part, count) for name, part in parts.items()}
    await client.aclose()
    await connection.close()
    return figures


async def _median(part: Callable[[], Awaitable[object]], count: int) -> float:
    times = []
    for _ in range(count):
        await asyncio.sleep(PACE)
        times.append(await _timed(part))
    return sorted(times)[count // 2] * 1000


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started
