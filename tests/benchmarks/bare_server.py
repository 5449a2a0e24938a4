"""A server whose streams do nothing but send the time: what gRPC itself costs. It prints its port.

Arguments: into how many groups to put the streams, as watchers of as many tasks, and how many messages to send
to each, a second apart. A line of input starts the sending.
"""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import grpc.aio

from watch_client import BARE


async def main(groups: int, messages: int) -> None:
    """Serve until the input ends."""
    numbers = count()
    rings = [asyncio.Event() for _ in range(groups)]
    said: list[list[bytes]] = [[] for _ in range(groups)]

    async def stream(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        group = next(numbers) % groups
        yield b""
        for number in range(messages):
            while len(said[group]) <= number:
                await rings[group].wait()
            yield said[group][number]

    async def ring(group: int) -> None:
        await asyncio.sleep(random.random())
        for _ in range(messages):
            await asyncio.sleep(1)
            said[group].append(str(time.monotonic_ns()).encode())
            rings[group].set()
            rings[group] = asyncio.Event()

    server = grpc.aio.server()
    service, _, method = BARE[1:].partition("/")
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        method: grpc.unary_stream_rpc_method_handler(stream)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)  # noqa: T201 - it is read by who has started this
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(ring(group) for group in range(groups)))
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
