"""Deliveries to a receiver on this machine: how many a second, what each costs, and how long after the event it comes.

Needs a stack with TASKFLOW_WEBHOOK_ALLOW_HTTP and TASKFLOW_HTTP_ALLOW_PRIVATE, and one worker.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import httpx

from measure import new_task, submit_batches
from running import Measured
from taskflow_proto.v1 import (
    task_service_pb2_grpc,
    webhook_pb2,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)

RECEIVER = Path(__file__).with_name("receiver.py")
# No worker serves its queue: only the submission is told.
TASK = new_task("noop", queue="no-worker")


@dataclass(frozen=True)
class Receiver:
    """The receiver in its own process, asked for what came."""

    http: httpx.AsyncClient

    async def until(self, count: int) -> None:
        """Wait until so many events have come."""
        while await self._ask("/count") < count:
            await asyncio.sleep(0.05)

    async def arrivals(self) -> list[tuple[float, float]]:
        """When each event came, and when it had happened: seconds since 1970."""
        arrivals: list[tuple[float, float]] = await self._ask("/arrivals")
        return arrivals

    async def forget(self) -> None:
        """Start anew."""
        await self._ask("/forget")

    async def _ask(self, path: str) -> Any:
        return (await self.http.get(path)).json()


@asynccontextmanager
async def _receiver() -> AsyncIterator[Receiver]:
    process = await asyncio.create_subprocess_exec(sys.executable, str(RECEIVER), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            yield Receiver(http)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _subscribed(channel: grpc.aio.Channel) -> AsyncIterator[Receiver]:
    """A receiver that is told of every task that is created."""
    stub = webhook_service_pb2_grpc.WebhookServiceStub(channel)
    async with _receiver() as receiver:
        wanted = webhook_pb2.Webhook(
            url=str(receiver.http.base_url), event_types=["task.created"], max_concurrency=100
        )
        webhook = await stub.CreateWebhook(webhook_service_pb2.CreateWebhookRequest(webhook=wanted))
        try:
            yield receiver
        finally:
            await stub.DeleteWebhook(webhook_service_pb2.DeleteWebhookRequest(webhook_id=webhook.id))


async def delivery_throughput(stack: Measured, count: int) -> dict[str, float]:
    """Submit in batches of 1,000; from the first to the last event that comes, and what the worker spends on each."""
    async with grpc.aio.insecure_channel(stack.grpc) as channel, _subscribed(channel) as receiver:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        await stub.CreateTask(TASK)
        await receiver.until(1)
        await receiver.forget()
        before = _cpu_seconds(stack)
        await submit_batches(stub, count, TASK)
        await receiver.until(count)
        spent = _cpu_seconds(stack) - before
        came = [arrival for arrival, _ in await receiver.arrivals()]
    return {
        "deliveries/s": (len(came) - 1) / (came[-1] - came[0]),
        "worker CPU ms/delivery": 1000 * spent / len(came),
    }


async def delivery_lateness(stack: Measured, rate: float, count: int) -> dict[str, float]:
    """From the event to its arrival, at a steady rate: milliseconds."""
    async with grpc.aio.insecure_channel(stack.grpc) as channel, _subscribed(channel) as receiver:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        await stub.CreateTask(TASK)
        await receiver.until(1)
        await receiver.forget()
        started = asyncio.get_running_loop().time()
        calls = []
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / rate - asyncio.get_running_loop().time()))
            calls.append(stub.CreateTask(TASK))
        await asyncio.gather(*calls)
        await receiver.until(count)
        waits = sorted(1000 * (came - happened) for came, happened in await receiver.arrivals())
    return {"p50 ms": waits[len(waits) // 2], "p99 ms": waits[int(len(waits) * 0.99)]}


def _cpu_seconds(stack: Measured) -> float:
    """What the workers have spent so far."""
    workers = [process for name, process in stack.processes.items() if name.startswith("worker")]
    return sum(sum(process.cpu_times()[:2]) for process in workers)
