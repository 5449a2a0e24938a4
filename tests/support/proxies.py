"""A TCP proxy that tests can cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

CHUNK = 16 * 1024


@dataclass
class CuttingProxy:
    """Passes on what it gets. Cuts a connection after `answer_bytes` of answers, and all of them at will."""

    target: str
    answer_bytes: int | None = None
    address: str = ""
    cuts: int = 0
    away: bool = False
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Cut every connection, with whatever is on the way."""
        for writer in self._open:
            writer.transport.abort()
        self.cuts += 1

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        if self.away:
            writer.transport.abort()
            return
        host, port = self.target.rsplit(":", 1)
        there_reader, there = await asyncio.open_connection(host, int(port))
        self._open |= {writer, there}
        try:
            asking = asyncio.create_task(self._pass(reader, there, None))
            await self._pass(there_reader, writer, self.answer_bytes)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        finally:
            self._open -= {writer, there}
            writer.transport.abort()
            there.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, allowed: int | None
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                passed = data if allowed is None else data[:allowed]
                writer.write(passed)
                await writer.drain()
                if allowed is not None:
                    allowed -= len(passed)
                    if not allowed:
                        self.cuts += 1
                        return


@contextlib.asynccontextmanager
async def cutting_proxy(target: str, answer_bytes: int | None = None) -> AsyncIterator[CuttingProxy]:
    """A proxy on a free port in front of `host:port`."""
    proxy = CuttingProxy(target, answer_bytes)
    server = await asyncio.start_server(proxy.connect, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    proxy.address = f"{host}:{port}"
    async with server:
        yield proxy
        proxy.cut()
