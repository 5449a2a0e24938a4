"""One of the processes whose streams a server is measured by: argument one is an Order, as JSON.

It prints a line when all streams are open, reads them to their ends, and prints the latencies, as JSON.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc.aio

from taskflow_proto.v1.task_pb2 import TaskEvent
from taskflow_proto.v1.task_service_pb2 import WatchTaskRequest
from taskflow_proto.v1.task_service_pb2_grpc import TaskServiceStub

# A channel of its own for each, instead of one connection that all channels of the process share.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
STREAMS_A_CHANNEL = 250
# Of one process. A gRPC server refuses calls once a thousand wait to be accepted.
OPENING_AT_ONCE = 50
BARE = "/bench.Bare/Stream"


@dataclass(frozen=True)
class Order:
    """What to open: `streams` over the tasks, or over a server of bare streams. `events`: of each, if all is well."""

    address: str
    streams: int
    events: int
    task_ids: tuple[str, ...] = ()  # none: bare streams


class Client:
    """Counts streams as they open, and notes how long each message was on its way (ms)."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._to_open = order.streams
        self._may_open = asyncio.Semaphore(OPENING_AT_ONCE)
        self._waits: list[float] = []

    async def run(self) -> list[float]:
        """All latencies."""
        order = self._order
        async with AsyncExitStack() as exits:
            channels = [
                await exits.enter_async_context(
                    grpc.aio.insecure_channel(order.address, options=OWN_CONNECTION)
                )
                for _ in range(-(-order.streams // STREAMS_A_CHANNEL))
            ]
            follow = self._watch if order.task_ids else self._read_bare
            events = await asyncio.gather(
                *(follow(channels[number % len(channels)], number) for number in range(order.streams))
            )
        assert set(events) == {order.events}, set(events)
        return self._waits

    async def _watch(self, channel: grpc.aio.Channel, number: int) -> int:
        task_id = self._order.task_ids[number % len(self._order.task_ids)]
        await self._may_open.acquire()
        stream: Any = TaskServiceStub(channel).WatchTask(WatchTaskRequest(task_id=task_id))
        events = 0
        async for message in stream:
            if message.HasField("snapshot"):
                self._opened()
            if message.HasField("event"):
                events += 1
                if message.event.kind == TaskEvent.LOG:
                    self._arrived(message.event.message)
        return events

    async def _read_bare(self, channel: grpc.aio.Channel, _: int) -> int:
        method: Any = channel.unary_stream(BARE)
        events = 0
        await self._may_open.acquire()
        async for message in method(b""):
            if not message:
                self._opened()
                continue
            events += 1
            self._arrived(message)
        return events

    def _opened(self) -> None:
        self._may_open.release()
        self._to_open -= 1
        if not self._to_open:
            print("open", flush=True)  # noqa: T201 - it is read by who has started this

    def _arrived(self, sent_at: str | bytes) -> None:
        self._waits.append((time.monotonic_ns() - int(sent_at)) / 1e6)


if __name__ == "__main__":
    found = asyncio.run(Client(Order(**json.loads(sys.argv[1]))).run())
    print(json.dumps(found))  # noqa: T201
