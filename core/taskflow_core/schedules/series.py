"""The instants of cron expressions, intervals and single times.

Instants are naive datetimes in UTC; see `zones.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from taskflow_core.schedules.cron import Cron
from taskflow_core.schedules.zones import Zone


class Gap(StrEnum):
    """What becomes of a local time that does not exist."""

    SHIFT_FIXED_HOURS = "SHIFT_FIXED_HOURS"
    SHIFT = "SHIFT"
    SKIP = "SKIP"


class Fold(StrEnum):
    """What becomes of a local time that comes twice."""

    ONCE_FOR_FIXED_HOURS = "ONCE_FOR_FIXED_HOURS"
    FIRST = "FIRST"
    LAST = "LAST"
    BOTH = "BOTH"


@dataclass(frozen=True)
class CronSeries:
    """The instants of an expression in a zone."""

    cron: Cron
    zone: Zone
    gap: Gap
    fold: Fold

    @classmethod
    def of(cls, cron: Cron, zone: Zone, gap: Gap, fold: Fold) -> "CronSeries":
        """The series with the choices that depend on the hour field made."""
        if gap == Gap.SHIFT_FIXED_HOURS:
            gap = Gap.SHIFT if cron.fixed_hours else Gap.SKIP
        if fold == Fold.ONCE_FOR_FIXED_HOURS:
            fold = Fold.FIRST if cron.fixed_hours else Fold.BOTH
        return cls(cron, zone, gap, fold)

    def after(self, instant: datetime) -> datetime | None:
        """The first instant of the series after this one.

        The expression is followed through one span of the zone after another. Where one ends, the local time
        of the next starts later (a gap) or earlier (a fold). After a span that was cut, a time is searched once
        more in which nothing matched.
        """
        span = self.zone.at(instant)
        wall = self.cron.after(instant + span.offset)
        while wall is not None:
            if self.fold == Fold.FIRST and wall < span.repeated_until:
                wall = self.cron.first(span.repeated_until)
                continue
            if wall < (span.repeats_from if self.fold == Fold.LAST else span.wall_end):
                return wall - span.offset
            following = self.zone.at(span.end)
            if self.gap == Gap.SHIFT and span.wall_end <= wall < following.wall_start:
                return span.end
            span = following
            wall = self.cron.first(span.wall_start)
        return None

    def is_moved(self, instant: datetime) -> bool:
        """Whether this instant of the series is there for a local time that does not exist."""
        span = self.zone.at(instant)
        return instant == span.start and not self.cron.matches(span.wall_start)


@dataclass(frozen=True)
class IntervalSeries:
    """Instants at the same distance from each other, one of which is the anchor."""

    interval: timedelta
    anchor: datetime

    def after(self, instant: datetime) -> datetime | None:
        """The first instant of the series after this one."""
        periods = (instant - self.anchor) // self.interval + 1
        try:
            return self.anchor + periods * self.interval
        except OverflowError:  # past the year 9999
            return None


@dataclass(frozen=True)
class SingleTime:
    """One instant."""

    time: datetime

    def after(self, instant: datetime) -> datetime | None:
        """The instant, if it lies after this one."""
        return self.time if self.time > instant else None


Series = CronSeries | IntervalSeries | SingleTime
