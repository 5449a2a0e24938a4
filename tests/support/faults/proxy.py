"""A line between a process and a server that can be made to fail.

Runs on a thread of its own, so that it goes on while a test waits for something else.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from support.faults.postgres_wire import Requests, is_idle
from taskflow_dev.ports import LOOPBACK, free_port

Result = TypeVar("Result")

CHUNK = 64 * 1024


@dataclass(eq=False)
class _Line:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    requests: Requests = field(default_factory=Requests)
    is_marked: bool = False  # to be cut once the transaction that runs is committed
    swallows: bool = False

    def cut(self) -> None:
        # Reset, not closed: neither side may send what it still holds.
        self.client.transport.abort()
        self.server.transport.abort()


class Proxy:
    """Listens on `port`, and passes everything on to `target` of this machine until told otherwise."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.cuts = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy:{self.port}", daemon=True)
        self._lines: set[_Line] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._refuses = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._marker = b""
        self._cuts_left = 0

    def start(self) -> None:
        self._thread.start()
        self._call(self._listen)

    def stop(self) -> None:
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def refuse(self) -> None:
        """The server is away: cut all lines and take no new ones."""
        self._refuses = True
        self._call(self._cut_all)

    def accept(self) -> None:
        """The server is back."""
        self._refuses = False

    def go_silent(self) -> None:
        """Pass nothing on and cut nothing: a network that swallows every packet."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def speak(self) -> None:
        """Pass on what has piled up, and all that follows."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def cut_after(self, marker: str, times: int) -> None:
        """Let the next `times` statements with this text be done, swallow their answers and cut the lines.

        Of a statement in a transaction that is the answer to its COMMIT. The client cannot know whether its commit
        took; it did. Only for lines to PostgreSQL.
        """
        self.cuts = 0
        self._marker, self._cuts_left = marker.encode(), times

    def _call(self, work: Callable[[], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def _close(self) -> None:
        self._server.close()
        await self._cut_all()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _cut_all(self) -> None:
        for line in self._lines:
            line.cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._connect(reader, writer)
        except OSError:
            pass  # either side went away: so does the line
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            return
        server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._target)
        line = _Line(writer, server_writer)
        self._lines.add(line)
        flows = [
            asyncio.create_task(self._pass_requests(reader, line)),
            asyncio.create_task(self._pass_answers(server_reader, line)),
        ]
        try:
            await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lines.discard(line)
            line.cut()
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)

    async def _pass_requests(self, reader: asyncio.StreamReader, line: _Line) -> None:
        while data := await reader.read(CHUNK):
            await self._flows.wait()
            statements = line.requests.statements(data)
            if self._cuts_left and any(self._marker in statement for statement in statements):
                line.is_marked = True
            if line.is_marked and not line.requests.in_transaction:
                line.is_marked = False
                line.swallows = self._cuts_left > 0
                self._cuts_left -= line.swallows
            line.server.write(data)
            await line.server.drain()

    async def _pass_answers(self, reader: asyncio.StreamReader, line: _Line) -> None:
        swallowed = b""
        while data := await reader.read(CHUNK):
            await self._flows.wait()
            if not line.swallows:
                line.client.write(data)
                await line.client.drain()
                continue
            swallowed += data
            if is_idle(swallowed):
                self.cuts += 1
                return
