"""A mixed load for minutes: what grows in memory, and what is left behind."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import asyncpg
import redis.asyncio as redis

from running import Measured, until_all_final
from taskflow_client import ApiError, NewTask, RetryPolicy, TaskFlow

# Until caches are full and pools have grown, memory says nothing.
WARM_UP = 0.2
MEBIBYTE = 1024 * 1024
LEFT = {
    "open executions": "SELECT count(*) FROM workflow_executions WHERE finished_at IS NULL",
    "held tasks": "SELECT count(*) FROM tasks WHERE held",
    "crashes": "SELECT coalesce(sum(crashes), 0) FROM tasks",
}
CHAIN = {
    "name": "soak.chain",
    "nodes": [{"id": name, "task": {"task_type": "noop"}} for name in "abc"],
    "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "c"}],
}


async def soak(stack: Measured, seconds: float) -> dict[str, float]:
    """MiB that each process has grown by after its warm-up, and the rows, keys and errors that are left."""
    done: Counter[str] = Counter()
    async with TaskFlow(stack.grpc) as taskflow:
        workflow = await taskflow.workflows.create(CHAIN)
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "run": lambda: _run(taskflow),
            "batch": lambda: _batch(taskflow),
            "fail": lambda: _fail(taskflow),
            "watch and cancel": lambda: _watch_and_cancel(taskflow),
            "list": lambda: _list(taskflow),
            "execute": lambda: _execute(taskflow, workflow.id),
        }
        load = asyncio.gather(*(_repeat(name, work, seconds, done) for name, work in works.items()))
        await asyncio.sleep(seconds * WARM_UP)
        before = {name: process.memory_info().rss for name, process in stack.processes.items()}
        await load
        after = {name: process.memory_info().rss for name, process in stack.processes.items()}
    growth = {f"{name} MiB": (after[name] - before[name]) / MEBIBYTE for name in before}
    return dict(done) | growth | await _left(stack)


async def _repeat(
    name: str, work: Callable[[], Awaitable[object]], seconds: float, done: Counter[str]
) -> None:
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while clock() < end:
        try:
            await work()
            done[f"times {name}"] += 1
        except ApiError:
            done[f"errors of {name}"] += 1
        await asyncio.sleep(0.05)


async def _run(taskflow: TaskFlow) -> None:
    await taskflow.result(await taskflow.submit("noop", {"text": "x" * random.randrange(2000)}))


async def _batch(taskflow: TaskFlow) -> None:
    tasks = await taskflow.submit_many(
        NewTask("sleep", {"seconds": 0.01}, priority=random.choice(["LOW", "HIGH"])) for _ in range(50)
    )
    await taskflow.wait(tasks[-1])


async def _fail(taskflow: TaskFlow) -> None:
    policy = RetryPolicy(max_attempts=2, initial_backoff=timedelta(milliseconds=50))
    await taskflow.wait(await taskflow.submit("no.such.type", retry_policy=policy))


async def _watch_and_cancel(taskflow: TaskFlow) -> None:
    task = await taskflow.submit("say_when", {"lines": 1000, "seconds": 0.02})
    watched = 0
    async with contextlib.aclosing(taskflow.watch(task)) as updates:
        async for _ in updates:
            watched += 1
            if watched == 10:
                await taskflow.cancel(task)


async def _list(taskflow: TaskFlow) -> None:
    async with contextlib.aclosing(taskflow.list("status = FAILED", page_size=20)) as failed:
        async for _ in failed:
            break
    await taskflow.stats.overview()


async def _execute(taskflow: TaskFlow, workflow_id: str) -> None:
    await taskflow.executions.wait(await taskflow.executions.start(workflow_id))


async def _left(stack: Measured) -> dict[str, float]:
    connection = await asyncpg.connect(stack.database_url)
    await until_all_final(connection)
    left = {name: float(await connection.fetchval(query)) for name, query in LEFT.items()}
    await connection.close()
    async with redis.Redis.from_url(stack.redis_url) as client:
        keys = await client.keys("*")
    return left | {"keys in Redis": float(len(keys))}
