"""The timer of schedules: it ticks when the next one is due, when something has changed, and each second."""

import asyncio
import math
from collections.abc import Sequence
from uuid import UUID

import structlog

from taskflow_core.db import CONFLICT_ERRORS, CONNECTION_ERRORS
from taskflow_core.listener import Listener
from taskflow_core.queue import EVENTS_CHANNEL, SCHEDULES_CHANNEL, Queue
from taskflow_core.schedules.fire import Firing
from taskflow_core.waiting import set_within

log = structlog.get_logger()

# Seconds between two looks at what was fired, and at the clock, which may have been set.
EACH = 1.0


class ScheduleTimer:
    """Fires schedules until it is cancelled. Run `tick_on()` and `listen()` side by side."""

    def __init__(self, firing: Firing, queue: Queue) -> None:
        self._firing = firing
        self._rung = asyncio.Event()
        self._changes = Listener(
            queue.redis,
            SCHEDULES_CHANNEL,
            on_message=lambda _: self._rung.set(),
            on_change=self._rung.set,
            otherwise="redis: schedules are looked at every second",
        )
        self._changes.want()
        self._ends = Listener(
            queue.redis,
            EVENTS_CHANNEL,
            on_message=self._hear,
            on_change=self._look_at_all,
            otherwise="redis: what was fired is looked at every second",
        )
        self._ended: list[UUID] = []
        self._follow_up_at = 0.0  # of the loop's time

    async def tick_on(self) -> None:
        """Tick for ever. A database that is away costs time, never a fire."""
        loop = asyncio.get_running_loop()
        may_be_due = True
        while True:
            wait = EACH
            try:
                if may_be_due:
                    await self._firing.fire_due()
                await self._follow_up_ended()
                look = await self._firing.look()
                if look.any_open and loop.time() >= self._follow_up_at:
                    self._follow_up_at = loop.time() + EACH
                    await self._firing.follow_up()
                self._ends.want(wanted=bool(self._firing.awaited))
                next_in = math.inf if look.seconds_to_next is None else look.seconds_to_next
                may_be_due = next_in <= EACH
                wait = min(max(next_in, 0.0), EACH)
            except (*CONNECTION_ERRORS, *CONFLICT_ERRORS) as error:
                log.warning("schedules wait for the next tick", error=repr(error))
            await set_within(self._rung, wait)
            self._rung.clear()

    async def listen(self) -> None:
        """Hear of changed schedules, and of tasks that ended while some are awaited, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._changes.listen())
            group.create_task(self._ends.listen())

    def _look_at_all(self) -> None:
        """Some may have ended unheard."""
        self._follow_up_at = 0.0
        self._rung.set()

    def _hear(self, task_ids: bytes) -> None:
        awaited = self._firing.awaited
        if not awaited:
            return
        ids = (UUID(bytes=task_ids[start : start + 16]) for start in range(0, len(task_ids), 16))
        heard = [task_id for task_id in ids if task_id in awaited]
        if heard:
            self._ended += heard
            self._rung.set()

    async def _follow_up_ended(self) -> None:
        ended: Sequence[UUID] = self._ended
        self._ended = []
        if ended:
            await self._firing.follow_up_tasks(ended)
