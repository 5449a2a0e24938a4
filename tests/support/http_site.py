"""A small HTTP server on loopback that answers as a test says."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What arrived: `headers` have lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Site:
    """Answers every request with what `answer` makes of it: the bytes of the response, head and all."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], bytes | Awaitable[bytes]] = lambda _: response(b"")
        self.port = 0
        self.keeps_open = False  # connections, for further requests
        self.accepted_at: list[str] = []  # the own address of each connection
        self._connections: set[asyncio.Task[None]] = set()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, or all that come."""
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        self.accepted_at.append(writer.get_extra_info("sockname")[0])
        # A caller that has read enough, or not at all, hangs up.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                while True:
                    request = await _read(reader)
                    self.requests.append(request)
                    answer = self.answer(request)
                    writer.write(answer if isinstance(answer, bytes) else await answer)
                    await writer.drain()
                    if not self.keeps_open:
                        break
            finally:
                writer.close()
                await writer.wait_closed()

    async def hang_up(self) -> None:
        """End the connections that are left, and those that came at the last moment."""
        while left := {connection for connection in self._connections if not connection.done()}:
            for connection in left:
                connection.cancel()
            await asyncio.gather(*left, return_exceptions=True)


@contextlib.asynccontextmanager
async def running_site(*, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """A site that serves until the end of the block."""
    site = Site()
    server = await asyncio.start_server(site.serve, host, 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield site
        finally:
            # Callers that are hung up on may call again at once.
            server.close()
            await site.hang_up()


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A response that says how long it is and closes the connection."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {}
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)
