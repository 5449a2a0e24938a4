"""What is said after a commit: hints to the workers' lanes, and a ring to the servers that watch."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from taskflow_core.batching import Batcher
from taskflow_core.queue import REDIS_ERRORS, Hint, Queue

log = structlog.get_logger()


@dataclass(frozen=True)
class Announcement:
    """A task has a new event, and may be due."""

    task_id: UUID
    hint: Hint | None = None


class Announcer:
    """Sends announcements in the background, batched.

    Nothing is lost when Redis is away: the sweep puts missing hints back, and watchers read the log
    again at their next keep-alive. So failures are logged and otherwise left alone.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._batcher: Batcher[Announcement, None] = Batcher(self._send, writers=1)

    def announce(self, announcements: Iterable[Announcement]) -> None:
        """Say it soon. Call it after the commit; it never waits and never fails."""
        for announcement in announcements:
            self._batcher.put(announcement)

    async def drain(self) -> None:
        """Wait until all was said, or tried."""
        await self._batcher.drain()

    async def _send(self, batch: Sequence[Announcement]) -> list[None]:
        try:
            async with asyncio.timeout(5):
                await self._queue.enqueue(
                    (a.hint for a in batch if a.hint is not None), ring={a.task_id for a in batch}
                )
        except (*REDIS_ERRORS, TimeoutError) as error:
            log.warning("redis: hints wait for the sweep", tasks=len(batch), error=repr(error))
        return [None] * len(batch)
