"""The times of a schedule."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from taskflow_core.errors import InvalidArgument
from taskflow_core.schedules import described
from taskflow_core.schedules.exclusions import Exclusions
from taskflow_core.schedules.series import CronSeries, Series
from taskflow_core.schedules.zones import Zone

# Nothing fires outside these times.
FIRST = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC
EARLIEST = FIRST.replace(tzinfo=UTC)
LAST = datetime(2200, 1, 1)  # noqa: DTZ001 - UTC
# A series that loses more times in a row to its exclusions is over. Excluded days and hours count as one.
MOST_EXCLUDED = 5_000


@dataclass(frozen=True)
class Timing:
    """When a schedule fires, as its description says: without jitter and without regard to its runs.

    Times that callers see are aware and in UTC.
    """

    schedule_type: described.Type
    zone: Zone
    series: tuple[Series, ...]
    exclusions: Exclusions
    jitter: float  # seconds
    start: datetime  # as `end`: included, naive, in UTC
    end: datetime

    def next_after(self, after: datetime) -> datetime | None:
        """The first time after this one; None if there is none."""
        instant = max(_naive(after), self.start - timedelta.resolution)
        if instant >= self.end:
            return None
        times = [time for series in self.series if (time := self._allowed(series, instant))]
        return min(times).replace(tzinfo=UTC) if times else None

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The earliest times, at most `limit`, after `after` and up to `until` (included)."""
        times: list[datetime] = []
        time = self.next_after(after)
        while time is not None and time <= until and len(times) < limit:
            times.append(time)
            time = self.next_after(time)
        return times

    def local(self, time: datetime) -> datetime:
        """The time in the zone of the schedule, with its offset."""
        return self.zone.local(time)

    def changes_clock(self, time: datetime) -> bool:
        """Whether this time of a cron schedule was moved out of a gap, or its local time comes twice."""
        instant = _naive(time)
        span = self.zone.at(instant)
        crons = [series for series in self.series if isinstance(series, CronSeries)]
        comes_twice = not span.repeated_until <= instant + span.offset < span.repeats_from
        return bool(crons) and (comes_twice or all(series.is_moved(instant) for series in crons))

    def _allowed(self, series: Series, instant: datetime) -> datetime | None:
        """The first time of a series after an instant that is not excluded."""
        fires = series.cron if isinstance(series, CronSeries) else None
        for _ in range(MOST_EXCLUDED):
            time = series.after(instant)
            if time is None or time > self.end:
                return None
            span = self.zone.at(time)
            until = self.exclusions.until(time + span.offset, fires)
            if until is None:
                return time
            # The clocks may change before then.
            instant = min(until, span.wall_end) - span.offset - timedelta.resolution
        return None


def parse_timing(description: dict[str, Any], prefix: str = "") -> Timing:
    """The times that a description means, whose keys are the fields of the contract.

    Durations are in seconds, times are aware datetimes or ISO texts. An interval needs `anchor_time` or
    `start_time`. Raises InvalidArgument, with paths that start with `prefix`, if the description is wrong or
    gives no time at all.
    """
    try:
        timing = stored_timing(description)
        _check_that_it_fires(timing)
    except InvalidArgument as error:
        raise (error.under(prefix) if prefix else error) from None
    return timing


def stored_timing(description: dict[str, Any]) -> Timing:
    """The times that a description means which was checked when it was stored."""
    zone = described.zone(description)
    start, end = described.bounds(description)
    return Timing(
        schedule_type=described.schedule_type(description),
        zone=zone,
        series=described.series(description, zone),
        exclusions=described.exclusions(description),
        jitter=description.get("jitter") or 0,
        start=max(start or FIRST, FIRST),
        end=min(end or LAST, LAST),
    )


def _check_that_it_fires(timing: Timing) -> None:
    before = timing.start.replace(tzinfo=UTC) - timedelta.resolution
    if timing.next_after(before) is not None:
        return
    if replace(timing, exclusions=Exclusions()).next_after(before) is not None:
        field = "exclude_cron_expressions" if timing.exclusions.crons else "exclude_dates"
        raise InvalidArgument.at(field, "all times of the schedule are excluded; at least one must be left")
    if timing.schedule_type == "ONE_TIME":
        raise InvalidArgument.at(
            "run_time", "it must lie between start_time and end_time, and between the years 1970 and 2200"
        )
    if timing.end < LAST:
        raise InvalidArgument.at("end_time", "the schedule has no time before it; at least one is needed")
    raise InvalidArgument.at("start_time", "the schedule has no time after it and before the year 2200")


def jittered(fire_time: datetime, schedule_id: UUID | str, jitter_seconds: float) -> datetime:
    """The fire time, put off by a time from zero to the jitter that is the same at each call."""
    seed = hashlib.blake2b(f"{schedule_id} {_naive(fire_time).isoformat()}".encode(), digest_size=8)
    share = int.from_bytes(seed.digest()) / 2**64
    return fire_time + timedelta(seconds=share * jitter_seconds)


def _naive(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None)
