"""Local times at which a schedule does not fire."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from taskflow_core.schedules.cron import SECOND, Cron

ALL_SECONDS = ALL_MINUTES = tuple(range(60))
ALL_HOURS = tuple(range(24))


@dataclass(frozen=True)
class Exclusions:
    """Days, and times by cron expressions."""

    dates: frozenset[date] = frozenset()
    crons: tuple[Cron, ...] = ()

    def until(self, wall: datetime, fires: Cron | None) -> datetime | None:
        """If this local time is excluded, a later one before which the same expression is excluded too.

        What is sought is the next time of `fires`; None is a series that may have any time. A time at which
        all minutes, say, that `fires` could have are excluded is left by the hour, not by the minute.
        """
        if wall.date() in self.dates:
            return _next_day(wall)
        for cron in self.crons:
            if cron.matches(wall):
                return _left(cron, wall, fires)
        return None


def _left(cron: Cron, wall: datetime, fires: Cron | None) -> datetime:
    seconds, minutes, hours = (
        (fires.seconds, fires.minutes, fires.hours) if fires else (ALL_SECONDS, ALL_MINUTES, ALL_HOURS)
    )
    if not set(seconds) <= set(cron.seconds):
        return wall.replace(microsecond=0) + SECOND
    if not set(minutes) <= set(cron.minutes):
        return wall.replace(second=0, microsecond=0) + timedelta(minutes=1)
    if not set(hours) <= set(cron.hours):
        return wall.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return _next_day(wall)


def _next_day(wall: datetime) -> datetime:
    return datetime.combine(wall.date() + timedelta(days=1), time())
