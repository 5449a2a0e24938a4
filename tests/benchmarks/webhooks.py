"""Deliveries to a receiver on this machine: how many a second, and how long after the event.

Needs a stack with TASKFLOW_WEBHOOK_ALLOW_HTTP and TASKFLOW_HTTP_ALLOW_PRIVATE.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import grpc.aio

from running import Measured
from taskflow_proto.v1 import (
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
    webhook_pb2,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)

BATCH = 1000
# No worker serves it: only the submission is told.
NO_QUEUE = "no-worker"
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receiver:
    """Answers every request at once, and keeps when each event came and how late that was."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.latenesses: list[float] = []
        self.port = 0
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.current_task()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                writer.write(OK)
                self.arrivals.append(time.perf_counter())
                happened = datetime.fromisoformat(json.loads(body)["timestamp"])
                self.latenesses.append(time.time() - happened.timestamp())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def hang_up(self) -> None:
        """End all connections, and wait until they have ended."""
        for writer in self._connections:
            writer.close()
        await asyncio.gather(*(task for task in self._connections.values() if task), return_exceptions=True)

    async def has(self, count: int) -> None:
        """Wait until so many events have come."""
        while len(self.arrivals) < count:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _subscribed(channel: grpc.aio.Channel) -> AsyncIterator[Receiver]:
    """A receiver that is told of every task that is created."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    stub = webhook_service_pb2_grpc.WebhookServiceStub(channel)
    wanted = webhook_pb2.Webhook(
        url=f"http://127.0.0.1:{receiver.port}/", event_types=["task.created"], max_concurrency=100
    )
    webhook = await stub.CreateWebhook(webhook_service_pb2.CreateWebhookRequest(webhook=wanted))
    async with server:
        try:
            yield receiver
        finally:
            await stub.DeleteWebhook(webhook_service_pb2.DeleteWebhookRequest(webhook_id=webhook.id))
            await receiver.hang_up()


def _create() -> task_service_pb2.CreateTaskRequest:
    task = task_pb2.Task(task_type="noop", queue=NO_QUEUE, payload_json="{}")
    return task_service_pb2.CreateTaskRequest(task=task)


async def delivery_throughput(stack: Measured, count: int) -> dict[str, float]:
    """Submit in batches of 1,000; from the first to the last event that comes."""
    async with grpc.aio.insecure_channel(stack.grpc) as channel, _subscribed(channel) as receiver:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        request = task_service_pb2.BatchCreateTasksRequest(requests=[_create()] * BATCH)
        for _ in range(count // BATCH):
            await stub.BatchCreateTasks(request)
        await receiver.has(count)
        arrivals = receiver.arrivals
    return {"deliveries/s": (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])}


async def delivery_lateness(stack: Measured, rate: float, count: int) -> dict[str, float]:
    """From the event to its arrival, at a steady rate: milliseconds."""
    async with grpc.aio.insecure_channel(stack.grpc) as channel, _subscribed(channel) as receiver:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        request = _create()
        await stub.CreateTask(request)
        await receiver.has(1)
        started = asyncio.get_running_loop().time()
        calls = []
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / rate - asyncio.get_running_loop().time()))
            calls.append(stub.CreateTask(request))
        await asyncio.gather(*calls)
        await receiver.has(count + 1)
        waits = sorted(1000 * late for late in receiver.latenesses[1:])
    return {"p50 ms": waits[len(waits) // 2], "p99 ms": waits[int(len(waits) * 0.99)]}
