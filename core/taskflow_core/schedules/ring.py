"""Telling schedulers that the time of a schedule has changed, so that they do not find out a second later."""

import asyncio

import structlog

from taskflow_core.queue import REDIS_ERRORS, Queue

log = structlog.get_logger()


class ScheduleRing:
    """Rings after a commit, in the background. A ring that is lost costs a second."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._ringing: asyncio.Task[None] | None = None
        self._again = False

    def ring(self) -> None:
        """Say it soon; it never waits and never fails."""
        self._again = True
        if self._ringing is None:
            self._ringing = asyncio.create_task(self._ring())

    async def drain(self) -> None:
        """Wait until it was said, or tried."""
        while self._ringing is not None:
            await asyncio.wait([self._ringing])

    async def _ring(self) -> None:
        try:
            while self._again:
                self._again = False
                await self._queue.ring_schedulers()
        except REDIS_ERRORS as error:
            log.warning("redis: schedulers look again by themselves", error=repr(error))
        finally:
            self._ringing = None
