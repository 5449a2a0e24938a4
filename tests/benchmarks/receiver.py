"""A receiver of webhooks in a process of its own, which answers at once and is no part of what is measured.

Prints its port. `GET /count` answers with how many events came, `GET /arrivals` with when each came and when it had
happened, as JSON: seconds since 1970. `GET /forget` starts anew.
"""

import asyncio
import json
import re
import time
from datetime import datetime
from typing import cast

import uvloop

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
HAPPENED = re.compile(rb'"timestamp":"([^"]+)"')
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"

# When an event came, and its own timestamp as it was written.
arrivals: list[tuple[float, bytes]] = []


class Connection(asyncio.Protocol):
    """Takes requests of one connection, one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            length = LENGTH.search(head)
            size = int(length[1]) if length else 0
            if not end or len(rest) < size:
                return
            self._received = rest[size:]
            self._take(head, rest[:size])

    def _take(self, head: bytes, body: bytes) -> None:
        happened = HAPPENED.search(body)
        if happened:
            arrivals.append((time.time(), happened[1]))
            self._transport.write(NO_CONTENT)
        else:
            answer = _answer(head.split()[1])
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


def _answer(target: bytes) -> bytes:
    if target == b"/forget":
        arrivals.clear()
    if target == b"/arrivals":
        return json.dumps(
            [[came, datetime.fromisoformat(happened.decode()).timestamp()] for came, happened in arrivals]
        ).encode()
    return json.dumps(len(arrivals)).encode()


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - for who started it
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
