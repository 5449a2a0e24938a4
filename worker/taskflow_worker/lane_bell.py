"""What ends the sleep of a worker, so that it does not find out a second later what is due."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from taskflow_core.queue import REDIS_ERRORS, Lane, Queue
from taskflow_worker.bell import Bell

log = structlog.get_logger()

# Seconds after which the lanes are looked at again although nobody rang: a lost wake-up costs no more.
FALLBACK = 1.0
# Seconds between attempts to reach a Redis that is away.
REDIS_PAUSE = 0.5


class LaneBell(Bell):
    """Is rung by wake-ups of the lanes, while `listen` runs, and by hand: a slot was freed, or the worker is to stop."""

    def __init__(self, queue: Queue, lanes: Sequence[Lane], has_room: Callable[[], bool]) -> None:
        super().__init__()
        self._queue = queue
        self._lanes = lanes
        self._has_room = has_room
        self._offered: tuple[Lane, str] | None = None

    async def offered_within(self, seconds: float) -> tuple[Lane, str] | None:
        """Wait until it rings, but not longer; the lane and the id of the hint that came with the ring, if any."""
        self._offered = None
        await self.rung_within(seconds)
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
