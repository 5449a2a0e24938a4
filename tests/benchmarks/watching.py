"""What watching costs: many streams on one server process, and handlers that report without end."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import psutil

from running import Measured, until_all_final
from taskflow_proto.v1 import task_pb2
from taskflow_proto.v1.queue_service_pb2 import PauseQueueRequest, ResumeQueueRequest
from taskflow_proto.v1.queue_service_pb2_grpc import QueueServiceStub
from taskflow_proto.v1.task_service_pb2 import (
    BatchCreateTasksRequest,
    CancelTaskRequest,
    CreateTaskRequest,
    WatchTasksRequest,
)
from taskflow_proto.v1.task_service_pb2_grpc import TaskServiceStub
from watch_client import OWN_CONNECTION, Order

QUEUE = "default"
# Handler lines of a run; with STARTED and SUCCEEDED it has ten events.
LINES = 8
CHANNELS = 20
CLIENT = Path(__file__).with_name("watch_client.py")
BARE_SERVER = Path(__file__).with_name("bare_server.py")


async def watchers(stack: Measured, count: int = 5000, tasks: int = 50, clients: int = 4) -> dict[str, float]:
    """`count` streams from `clients` processes over `tasks` tasks, each with a run of ten events a second apart.

    Latency is from the handler's call to the line in the hands of the watcher, who shares the machine. The floor
    is a server of bare gRPC streams that does nothing but send as many messages, to the same clients.
    """
    server = stack.processes["server"]
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        queues = QueueServiceStub(channel)
        await queues.PauseQueue(PauseQueueRequest(queue_name=QUEUE))
        ids = await _create(channel, "say_when", tasks, {"lines": LINES, "seconds": 1.0})

        async def start() -> None:
            await queues.ResumeQueue(ResumeQueueRequest(queue_name=QUEUE))

        order = Order(stack.grpc, count // clients, LINES + 2, tuple(ids))
        figures = await _stream_costs(server, clients, order, start)
    async with _bare_server(tasks) as (bare, address, send):
        floor = await _stream_costs(bare, clients, Order(address, count // clients, LINES), send)
    return figures | {f"floor: {name}": value for name, value in floor.items()}


async def _stream_costs(
    server: psutil.Process, clients: int, order: Order, start: Callable[[], Awaitable[None]]
) -> dict[str, float]:
    """What the streams of so many clients cost the server, which sends once all are open and `start` was called."""
    before = server.memory_info().rss
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, str(CLIENT), json.dumps(asdict(order))),
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 26,
        )
        for _ in range(clients)
    ]
    outputs = [process.stdout for process in processes if process.stdout is not None]
    for output in outputs:
        assert await output.readline() == b"open\n"
    waiting = server.memory_info().rss
    cpu = sum(server.cpu_times()[:2])
    await start()
    waits = sorted([wait for output in outputs for wait in json.loads(await output.readline())])
    cpu = sum(server.cpu_times()[:2]) - cpu
    after = server.memory_info().rss
    for process in processes:
        await process.wait()
    streams = clients * order.streams
    return {
        "p50 ms": waits[len(waits) // 2],
        "p99 ms": waits[int(len(waits) * 0.99)],
        "KB a stream, waiting": (waiting - before) / streams / 1024,
        "KB a stream, after its run": (after - before) / streams / 1024,
        "CPU us a message": cpu * 1e6 / (streams * order.events),
    }


@contextlib.asynccontextmanager
async def _bare_server(
    groups: int,
) -> AsyncIterator[tuple[psutil.Process, str, Callable[[], Awaitable[None]]]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(BARE_SERVER), str(groups), str(LINES)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    line = process.stdin

    async def start() -> None:
        line.write(b"\n")
        await line.drain()

    try:
        yield psutil.Process(process.pid), f"127.0.0.1:{port}", start
    finally:
        line.close()
        await process.wait()


async def tenant_watchers(stack: Measured, count: int = 100, tasks: int = 500) -> dict[str, float]:
    """`count` streams over all tasks of the tenant, while `tasks` tasks run: from first to last event."""
    async with contextlib.AsyncExitStack() as exits:
        channels = [
            await exits.enter_async_context(grpc.aio.insecure_channel(stack.grpc, options=OWN_CONNECTION))
            for _ in range(CHANNELS)
        ]
        opened = asyncio.Semaphore(0)
        request = WatchTasksRequest(filter='status = SUCCEEDED AND name = "watched by all"')

        async def watch(stub: TaskServiceStub) -> None:
            ended = 0
            stream: Any = stub.WatchTasks(request)
            async for message in stream:
                if message.HasField("snapshot_end"):
                    opened.release()
                ended += message.HasField("event")
                if ended == tasks:
                    return

        streams = [asyncio.create_task(watch(TaskServiceStub(channels[n % CHANNELS]))) for n in range(count)]
        await _all_opened(opened, streams)
        started = time.perf_counter()
        await _create(channels[0], "noop", tasks, {}, name="watched by all")
        await asyncio.gather(*streams)
        seconds = time.perf_counter() - started
    return {"events/s to all": count * tasks / seconds, "seconds": seconds}


async def reporting(
    stack: Measured, tasks: int = 5000, reporters: int = 200, rate: int = 1000, rounds: int = 3
) -> dict[str, float]:
    """Throughput of no-op tasks beside handlers that report progress `rate` times a second each.

    Compared with the same handlers calling a function that does nothing as often: what so many calls cost by
    themselves is the handlers' own. The two take turns, and the best round of each counts.
    """
    connection = await asyncpg.connect(stack.database_url)
    figures = {"beside silent ones/s": 0.0, "beside reporting ones/s": 0.0}
    written = 0
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = TaskServiceStub(channel)
        await _throughput(channel, connection, tasks)  # warm up
        alone = await _throughput(channel, connection, tasks)
        for _ in range(rounds):
            for name, reports in zip(figures, (False, True), strict=True):
                payload = {"rate": rate, "reports": reports}
                ids = await _create(channel, "report_progress", reporters, payload)
                await _until_running(connection, ids)
                figures[name] = max(figures[name], await _throughput(channel, connection, tasks, but=ids))
                written += await connection.fetchval(
                    "SELECT count(*) FROM task_events WHERE task_id = ANY($1) AND kind = 'PROGRESS'", ids
                )
                await asyncio.gather(*(_cancel(stub, task_id) for task_id in ids))
                await until_all_final(connection)
    await connection.close()
    silent, loud = figures.values()
    return {"alone/s": alone, **figures, "slower by %": 100 * (1 - loud / silent), "progress events": written}


async def _create(
    channel: grpc.aio.Channel, task_type: str, count: int, payload: Any, name: str = "benchmark"
) -> Sequence[str]:
    task = task_pb2.Task(task_type=task_type, name=name, payload_json=json.dumps(payload))
    requests = [CreateTaskRequest(task=task)] * count
    answer = await TaskServiceStub(channel).BatchCreateTasks(BatchCreateTasksRequest(requests=requests))
    return [task.id for task in answer.tasks]


async def _all_opened(opened: asyncio.Semaphore, streams: Sequence["asyncio.Task[Any]"]) -> None:
    """Wait until each stream has said so; one that fails instead raises."""

    async def all_of_them() -> None:
        for _ in streams:
            await opened.acquire()

    waiting = asyncio.create_task(all_of_them())
    await asyncio.wait([waiting, *streams], return_when=asyncio.FIRST_COMPLETED)
    for stream in streams:
        if stream.done():
            stream.result()
    await waiting


async def _throughput(
    channel: grpc.aio.Channel,
    connection: "asyncpg.Connection[asyncpg.Record]",
    count: int,
    but: Sequence[str] = (),
) -> float:
    """No-op tasks completed in a second, while those of `but` go on."""
    unfinished = "SELECT count(*) FROM tasks WHERE finished_at IS NULL AND NOT id = ANY($1::uuid[])"
    started = time.perf_counter()
    await _create(channel, "noop", min(count, 1000), {})
    for _ in range(1, count // 1000):
        await _create(channel, "noop", 1000, {})
    while await connection.fetchval(unfinished, but):
        await asyncio.sleep(0.02)
    return count / (time.perf_counter() - started)


async def _until_running(connection: "asyncpg.Connection[asyncpg.Record]", ids: Sequence[str]) -> None:
    waiting = "SELECT count(*) FROM tasks WHERE id = ANY($1::uuid[]) AND status <> 'RUNNING'"
    while await connection.fetchval(waiting, ids):
        await asyncio.sleep(0.02)


async def _cancel(stub: Any, task_id: str) -> None:
    await stub.CancelTask(CancelTaskRequest(task_id=task_id))
