"""What others use: the figures, read once or followed."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from taskflow_core.batching import Batcher
from taskflow_core.db import Database, until_answered
from taskflow_core.stats.overview import Overview, read_overview
from taskflow_core.stats.queues import QueueStats, read_queue_stats
from taskflow_core.stats.rollup import StatsRollup
from taskflow_core.stats.schedules import ScheduleStats, read_schedule_stats
from taskflow_core.stats.tasks import TaskFilter, TaskStats, read_task_stats
from taskflow_core.waiting import set_within

# Seconds that a reader outlives a database that is away; a watch has more of them.
PATIENCE = 5.0
PATIENCE_OF_WATCH = 30.0


@dataclass(frozen=True)
class KeepAlive:
    """No overview was sent for a while."""


@dataclass(frozen=True)
class Closing:
    """The last message."""

    reason: Literal["DRAINING", "MAX_DURATION"]


Message = Overview | KeepAlive | Closing


class Statistics:
    """Figures of tenants. `rollup` keeps them up with the log."""

    def __init__(
        self, database: Database, *, lease_seconds: float, keep_alive: float, max_duration: float
    ) -> None:
        self.rollup = StatsRollup(database)
        self._database = database
        self._lease_seconds = lease_seconds
        self._keep_alive = keep_alive
        self._max_duration = max_duration
        # Whoever asks while the same is being read shares the next reading.
        self._overviews: Batcher[str, Overview] = Batcher(self._read_overviews)

    async def overview(self, tenant_id: str) -> Overview:
        """The whole tenant at a glance."""
        return await self._overview(tenant_id, PATIENCE)

    async def tasks(
        self,
        tenant_id: str,
        wanted: TaskFilter,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        interval: timedelta | None = None,
    ) -> TaskStats:
        """Tasks over a period; by default over the last hour. Raises InvalidArgument."""
        return await until_answered(
            lambda: read_task_stats(
                self._database, tenant_id, wanted, start=start, end=end, interval=interval
            ),
            "read statistics of tasks",
            give_up_after=PATIENCE,
        )

    async def queues(self, tenant_id: str, queue: str = "") -> QueueStats:
        """How full the queues are now, or one of them, and which workers serve them."""
        return await until_answered(
            lambda: read_queue_stats(self._database, tenant_id, queue, lease_seconds=self._lease_seconds),
            "read statistics of queues",
            give_up_after=PATIENCE,
        )

    async def schedules(
        self,
        tenant_id: str,
        schedule_id: UUID | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> ScheduleStats:
        """Fires of all schedules, or of one, over a period; by default over the last day. Raises InvalidArgument."""
        return await until_answered(
            lambda: read_schedule_stats(self._database, tenant_id, schedule_id, start=start, end=end),
            "read statistics of schedules",
            give_up_after=PATIENCE,
        )

    async def watch(
        self, tenant_id: str, interval: float, stop: asyncio.Event
    ) -> AsyncGenerator[Message, None]:
        """Overviews, `interval` seconds apart, until `stop` is set or the watch is old; then a Closing."""
        clock = asyncio.get_running_loop().time
        # Spread, so that watches opened together do not end together.
        end = clock() + self._max_duration * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        while True:
            yield await self._overview(tenant_id, PATIENCE_OF_WATCH)
            next_at = clock() + interval
            while not stop.is_set() and (left := min(next_at, end) - clock()) > 0:
                if not await set_within(stop, min(left, self._keep_alive)) and left > self._keep_alive:
                    yield KeepAlive()
            if stop.is_set() or clock() >= end:
                yield Closing("DRAINING" if stop.is_set() else "MAX_DURATION")
                return

    async def _overview(self, tenant_id: str, patience: float) -> Overview:
        return await until_answered(
            lambda: self._overviews.submit(tenant_id), "read the overview", give_up_after=patience
        )

    async def _read_overviews(self, tenants: Sequence[str]) -> list[Overview | Exception]:
        found: dict[str, Overview | Exception] = {}
        for tenant_id in tenants:
            if tenant_id not in found:
                found[tenant_id] = await read_overview(self._database, tenant_id)
        return [found[tenant_id] for tenant_id in tenants]
