"""What is said after a commit: hints to the workers' lanes, and a ring to the servers that watch."""

import asyncio
import time
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

import structlog

from taskflow_core.batching import linger
from taskflow_core.queue import REDIS_ERRORS, Hint, Queue

log = structlog.get_logger()

# Announcements in one trip. A trip takes several turns of the event loop, and in a process with much to do
# these take long: were it for a few hundred only, hints would fall behind their commits by seconds.
LIMIT = 5_000
# Seconds for Redis to take them.
PATIENCE = 5.0


class Announcement(NamedTuple):
    """A task has a new event, and may be due."""

    task_id: UUID
    hint: Hint | None = None


class Announcer:
    """Sends announcements in the background, those that come together in one trip.

    Nothing is lost when Redis is away: the sweep puts missing hints back, and watchers read the log
    again at their next keep-alive. So failures are logged and otherwise left alone.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: list[Announcement] = []
        self._sending: asyncio.Task[None] | None = None

    def announce(self, announcements: Iterable[Announcement]) -> None:
        """Say it soon. Call it after the commit; it never waits and never fails."""
        self._waiting.extend(announcements)
        if self._waiting and self._sending is None:
            self._sending = asyncio.create_task(self._send_waiting())

    async def drain(self) -> None:
        """Wait until all was said, or tried."""
        while self._sending is not None:
            await asyncio.wait([self._sending])

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                began = time.monotonic()
                batch = self._waiting[:LIMIT]
                del self._waiting[:LIMIT]
                await self._send(batch)
                await linger(len(batch), since=began)
        finally:
            # In the same step that saw nothing waiting: what comes next starts anew.
            self._sending = None

    async def _send(self, batch: list[Announcement]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._queue.enqueue(
                    [a.hint for a in batch if a.hint is not None], ring={a.task_id for a in batch}
                )
        except (*REDIS_ERRORS, TimeoutError) as error:
            log.warning("redis: hints wait for the sweep", tasks=len(batch), error=repr(error))
