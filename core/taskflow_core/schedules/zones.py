"""When the clocks of a time zone change.

Instants here are naive datetimes in UTC, and local times are naive datetimes too: their arithmetic is exact
and quick, where that of aware datetimes stumbles over the changes.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from zoneinfo import ZoneInfo, available_timezones

# Nearer than any two changes of a zone that cancel each other out (6.9 days, in the data of 2026).
STRIDE = timedelta(days=3)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which the offset of a zone stays the same.

    A span without a change for long is cut; then the next span begins before its end.
    """

    start: datetime  # included
    end: datetime  # not included
    offset: timedelta
    wall_start: datetime
    wall_end: datetime
    # Local times before this came already in the span before; `wall_start` if none did.
    repeated_until: datetime
    # Local times from here on come again in the span after; `wall_end` if none do.
    repeats_from: datetime


_start = attrgetter("start")


@dataclass(frozen=True)
class Zone:
    """A time zone of the IANA data."""

    name: str

    def at(self, instant: datetime) -> Span:
        """The span that an instant lies in."""
        spans = _spans_around(self.name, instant.year)
        return spans[bisect_right(spans, instant, key=_start) - 1]

    def local(self, time: datetime) -> datetime:
        """An aware time as an aware local time."""
        return time.astimezone(ZoneInfo(self.name))


def is_zone(name: str) -> bool:
    """Whether this is the name of a time zone."""
    return name in _names()


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


# A zone has few changes in a year, and it takes a millisecond or two to find them.
@lru_cache(maxsize=4096)
def _spans_around(name: str, year: int) -> tuple[Span, ...]:
    """The spans from the year before to the year after, whose changes in this year are all known.

    The last one is cut at a time that has no change within a day, so that no local time at its end can be
    one that comes twice.
    """
    zone = ZoneInfo(name)
    begin, cut = _new_year(year - 1), _new_year(year + 2)
    changes, offsets = _changes(zone, begin, cut + STRIDE)
    ends = [*changes, max([cut, *changes])]
    spans = []
    for index, offset in enumerate(offsets):
        before = offsets[index - 1] if index else offset
        after = offsets[index + 1] if index < len(changes) else offset
        start, end = changes[index - 1] if index else begin, ends[index]
        spans.append(
            Span(
                start,
                end,
                offset,
                wall_start=start + offset,
                wall_end=end + offset,
                repeated_until=start + max(before, offset),
                repeats_from=end + min(after, offset),
            )
        )
    return tuple(spans)


def _new_year(year: int) -> datetime:
    return datetime(year, 1, 1)  # noqa: DTZ001 - UTC


def _changes(zone: ZoneInfo, instant: datetime, end: datetime) -> tuple[list[datetime], list[timedelta]]:
    """The instants from which the offset is another one, and the offsets before, between and after them."""
    changes: list[datetime] = []
    offsets = [_offset(zone, instant)]
    while instant < end:
        following = instant + STRIDE
        offset = _offset(zone, following)
        if offset != offsets[-1]:
            changes.append(_change(zone, instant, following))
            offsets.append(offset)
        instant = following
    return changes, offsets


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second between two instants from which the offset is that of the later one."""
    offset = _offset(zone, after)
    while after - before > SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if _offset(zone, middle) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    """How far local time is ahead of UTC."""
    return instant.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) - instant
