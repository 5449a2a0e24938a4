"""What is measured, each as one function that returns figures by name."""

import asyncio
import json
import time

import asyncpg
import grpc.aio
import psutil
import redis.asyncio as redis

from running import Measured, until_all_final
from taskflow_proto.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc

BATCH = 1000


def new_task(
    task_type: str, priority: str = "NORMAL", payload: str = "{}", queue: str = "default"
) -> task_service_pb2.CreateTaskRequest:
    task = task_pb2.Task(task_type=task_type, priority=priority, payload_json=payload, queue=queue)
    return task_service_pb2.CreateTaskRequest(task=task)


async def batch_throughput(stack: Measured, count: int) -> dict[str, float]:
    """Submit in batches of 1,000 over 4 streams of calls; until the last task has its result stored."""
    connection = await asyncpg.connect(stack.database_url)
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        started = time.perf_counter()
        await submit_batches(stub, count, new_task("noop"))
        submitted = time.perf_counter() - started
        await until_all_final(connection)
        seconds = time.perf_counter() - started
    await connection.close()
    return {"submitted/s": count / submitted, "completed/s": count / seconds}


async def submit_batches(
    stub: "task_service_pb2_grpc.TaskServiceAsyncStub",
    count: int,
    request: task_service_pb2.CreateTaskRequest,
) -> None:
    """Submit in batches of 1,000, and one of what is left; four at a time."""
    batch = task_service_pb2.BatchCreateTasksRequest(requests=[request] * BATCH)
    rest = task_service_pb2.BatchCreateTasksRequest(requests=[request] * (count % BATCH))
    batches = iter([batch] * (count // BATCH) + [rest] * bool(rest.requests))

    async def submit() -> None:
        for one in batches:
            await stub.BatchCreateTasks(one)

    await asyncio.gather(*(submit() for _ in range(4)))


async def unary_throughput(stack: Measured, count: int, callers: int = 32) -> dict[str, float]:
    """Submit one by one from 32 callers; until the last task has its result stored."""
    connection = await asyncpg.connect(stack.database_url)
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        request = new_task("noop")
        calls = iter(range(count))

        async def submit() -> None:
            for _ in calls:
                await stub.CreateTask(request)

        started = time.perf_counter()
        await asyncio.gather(*(submit() for _ in range(callers)))
        submitted = time.perf_counter() - started
        await until_all_final(connection)
        seconds = time.perf_counter() - started
    await connection.close()
    return {"submitted/s": count / submitted, "completed/s": count / seconds}


async def latency(stack: Measured, rate: float, count: int, priority: str = "NORMAL") -> dict[str, float]:
    """From the call to the handler's first line, at a steady rate: milliseconds.

    The results, which tell when it was, are read afterwards: waiting for them would be work beside what is measured.
    """
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        request = new_task("started_at", priority)

        async def submit() -> tuple[int, str]:
            called = time.monotonic_ns()
            return called, (await stub.CreateTask(request)).id

        async def waited(called: int, task_id: str) -> float:
            done = await stub.WaitTask(task_service_pb2.WaitTaskRequest(task_id=task_id))
            return (int(json.loads(done.result_json)) - called) / 1e6

        await asyncio.gather(*(submit() for _ in range(20)))  # warm up
        started = asyncio.get_running_loop().time()
        submits = []
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / rate - asyncio.get_running_loop().time()))
            submits.append(asyncio.create_task(submit()))
        waits = sorted([await waited(*await submitted) for submitted in submits])
    return {"p50 ms": waits[len(waits) // 2], "p99 ms": waits[int(len(waits) * 0.99)]}


async def idle_cost(stack: Measured, seconds: float) -> dict[str, float]:
    """What the whole stack costs when nothing happens, and how large its processes are."""
    connection = await asyncpg.connect(stack.database_url)
    client = redis.Redis.from_url(stack.redis_url)
    everything = [process for parent in stack.processes.values() for process in _family(parent)]

    async def look() -> tuple[float, int, int]:
        cpu = sum(sum(process.cpu_times()[:2]) for process in everything)
        statements = await connection.fetchval(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        )
        commands = (await client.info("stats"))["total_commands_processed"]
        return cpu, statements, commands

    await asyncio.sleep(2)  # what has just started comes to rest first
    before = await look()
    await asyncio.sleep(seconds)
    after = await look()
    await client.aclose()
    await connection.close()
    figures = {
        "% of a core": 100 * (after[0] - before[0]) / seconds,
        "transactions/s": (after[1] - before[1]) / seconds,
        "redis commands/s": (after[2] - before[2]) / seconds,
    }
    for name, process in stack.processes.items():
        if name.startswith(("server", "worker", "scheduler")):
            figures[f"{name} RSS MB"] = process.memory_info().rss / 1e6
    return figures


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]
