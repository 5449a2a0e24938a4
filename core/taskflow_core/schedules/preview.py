"""The times that lie ahead of a schedule, also of one that is not created yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.schedules.definition import anchored
from taskflow_core.schedules.fire import Firing
from taskflow_core.schedules.read import ScheduleReader
from taskflow_core.schedules.timing import EARLIEST, Timing, jittered, parse_timing

# Until when times are looked for if the caller does not say.
FOR_EVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class PreviewedFire:
    """A time at which a schedule would fire; `local_time` is in its zone, `start_time` has its jitter."""

    fire_time: datetime
    local_time: datetime
    start_time: datetime
    clock_change: bool


@dataclass(frozen=True)
class Preview:
    """Times, earliest first, and the zone of the schedule."""

    fires: list[PreviewedFire]
    time_zone: str


class SchedulePreview:
    """Computes times and stores nothing."""

    def __init__(self, database: Database, firing: Firing, reader: ScheduleReader) -> None:
        self._database = database
        self._firing = firing
        self._reader = reader

    async def of_schedule(
        self, tenant_id: str, schedule_id: UUID, count: int, start: datetime | None, end: datetime | None
    ) -> Preview:
        """The next times of a schedule, from `start` (default: now) up to `end`. Raises NotFound."""
        row = await self._reader.get(tenant_id, schedule_id)
        start = start or await self._firing.clock(self._database.pool)
        return _preview(parse_timing(row["timing"]), row["timing"], count, start, end, schedule_id)

    async def of_description(
        self, description: Mapping[str, Any], count: int, start: datetime | None, end: datetime | None
    ) -> Preview:
        """The next times of a schedule as it would be created. Raises InvalidArgument from `schedule` on."""
        now = await self._firing.clock(self._database.pool)
        described = anchored(description, now)
        return _preview(parse_timing(described, "schedule"), described, count, start or now, end)


def _preview(
    timing: Timing,
    description: Mapping[str, Any],
    count: int,
    start: datetime,
    end: datetime | None,
    schedule_id: UUID | None = None,
) -> Preview:
    times = timing.between(max(start, EARLIEST) - timedelta.resolution, end or FOR_EVER, count)
    fires = [
        PreviewedFire(
            fire_time=time,
            local_time=timing.local(time),
            start_time=time if schedule_id is None else jittered(time, schedule_id, timing.jitter),
            clock_change=timing.changes_clock(time),
        )
        for time in times
    ]
    return Preview(fires, description.get("time_zone") or "UTC")
