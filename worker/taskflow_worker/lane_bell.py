"""What ends the sleep of a worker, so that it does not find out a second later what is due."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from taskflow_core.queue import REDIS_ERRORS, Lane, Queue

log = structlog.get_logger()

# Seconds after which the lanes are looked at again although nobody rang: a lost wake-up costs no more.
FALLBACK = 1.0
# Seconds between attempts to reach a Redis that is away.
REDIS_PAUSE = 0.5


class LaneBell:
    """Is rung by wake-ups of the lanes, while `listen` runs, and by hand: a slot was freed, or the worker is to stop."""

    def __init__(self, queue: Queue, lanes: Sequence[Lane], has_room: Callable[[], bool]) -> None:
        self._queue = queue
        self._lanes = lanes
        self._has_room = has_room
        self._rung = asyncio.Event()
        self._offered: tuple[Lane, str] | None = None

    def ring(self) -> None:
        """Say that there may be something to do."""
        self._rung.set()

    def silence(self) -> None:
        """Forget what rang: what is looked at from now on includes it."""
        self._rung.clear()

    async def rung_within(self, seconds: float | None) -> tuple[Lane, str] | None:
        """Wait until it rings, but not longer; the lane and the id of the hint that came with the ring, if any."""
        self._offered = None
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            pass  # time to look again
        return self._offered

    async def listen(self) -> None:
        """Ring with the wake-up tokens of the lanes, while there is room for more, until cancelled."""
        while True:
            if not self._has_room():
                # Leave the tokens to workers that have room.
                await asyncio.sleep(REDIS_PAUSE)
                continue
            try:
                woken = await self._queue.wait_for_wake(self._lanes, FALLBACK)
            except REDIS_ERRORS as error:
                log.warning("redis: looking at the lanes every second", error=repr(error))
                await asyncio.sleep(REDIS_PAUSE)
                continue
            if woken is not None:
                self._offered = woken if woken[1] else None
                self.ring()
