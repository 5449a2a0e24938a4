"""Cron expressions: the local times that they match.

The words are those of cron (0 and 7 are Sunday; when both day fields are restricted, either may match) with
a field for seconds and the days `L`, `LW`, `15W`, `fri#2` and `friL`. The cron trigger of APScheduler has no
such rule for days and no workdays, counts Monday as 0, and loses a day when clocks change: it checks this
module in the tests, and is not part of it.

Local times here are naive datetimes. What they mean while clocks change is decided in `series.py`.
"""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SECOND = timedelta(seconds=1)
# The longest wait of an expression for its next time is 40 years: a 29 February of one weekday, past 2100.
LONGEST_WAIT = 50

# The days of a month, by the weekday of its first day (0 is Monday) and its length.
DayRule = Callable[[int, int], set[int]]


@dataclass(frozen=True)
class Days:
    """The days of a month that a day field matches."""

    rules: tuple[DayRule, ...]
    # Whether the field begins with a star: then it does not add days to those of the other day field.
    star: bool

    def of(self, first_weekday: int, length: int) -> set[int]:
        """The days of a month that begins on this weekday and has this length."""
        return {day for rule in self.rules for day in rule(first_weekday, length)}


@dataclass(frozen=True)
class Cron:
    """A parsed expression. The values of each field are sorted."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days_of_month: Days
    months: tuple[int, ...]
    days_of_week: Days
    # Whether the hour field names hours, rather than being `*` or a step over it.
    fixed_hours: bool
    # There are 28 kinds of months only.
    _days: dict[tuple[int, int], list[int]] = field(default_factory=dict, compare=False, repr=False)

    def days(self, year: int, month: int) -> list[int]:
        """The days of this month that match, sorted."""
        if month not in self.months:
            return []
        kind = monthrange(year, month)
        days = self._days.get(kind)
        if days is None:
            of_month, of_week = self.days_of_month.of(*kind), self.days_of_week.of(*kind)
            both = self.days_of_month.star or self.days_of_week.star
            days = self._days[kind] = sorted(of_month & of_week if both else of_month | of_week)
        return days

    def matches(self, wall: datetime) -> bool:
        """Whether this local second matches."""
        return (
            wall.second in self.seconds
            and wall.minute in self.minutes
            and wall.hour in self.hours
            and wall.day in self.days(wall.year, wall.month)
        )

    def after(self, wall: datetime) -> datetime | None:
        """The first local time after `wall` that matches."""
        return self.first(wall.replace(microsecond=0) + SECOND)

    def first(self, wall: datetime) -> datetime | None:
        """The first local time that matches, from `wall` on, which has no fraction of a second."""
        year, month = wall.year, wall.month
        days = self.days(year, month)
        later = bisect_left(days, wall.day)
        if later < len(days) and days[later] == wall.day:
            time = self._time(wall.hour, wall.minute, wall.second)
            if time is not None:
                return datetime(year, month, wall.day, *time)  # noqa: DTZ001 - a local time
            later += 1
        last_year = min(year + LONGEST_WAIT, 9999)
        while later == len(days):
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            if year > last_year:
                return None
            days, later = self.days(year, month), 0
        return datetime(year, month, days[later], self.hours[0], self.minutes[0], self.seconds[0])  # noqa: DTZ001

    def _time(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        """The first time of a day that matches, from this one on."""
        if hour in self.hours:
            if minute in self.minutes and second <= self.seconds[-1]:
                return hour, minute, self.seconds[bisect_left(self.seconds, second)]
            if minute < self.minutes[-1]:
                return hour, self.minutes[bisect_left(self.minutes, minute + 1)], self.seconds[0]
        if hour < self.hours[-1]:
            return self.hours[bisect_left(self.hours, hour + 1)], self.minutes[0], self.seconds[0]
        return None
