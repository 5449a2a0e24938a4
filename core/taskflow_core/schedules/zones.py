"""When the clocks of a time zone change.

Instants here are naive datetimes in UTC, and local times are naive datetimes too: their arithmetic is exact
and quick, where that of aware datetimes stumbles over the changes.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

BEGINNING_OF_TIME = datetime.min  # noqa: DTZ901 - UTC
END_OF_TIME = datetime.max  # noqa: DTZ901 - UTC
FIRST = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC
# Changes after this are not looked for.
LAST = datetime(2170, 1, 1)  # noqa: DTZ001 - UTC
# Nearer than any two changes of a zone that cancel each other out (6.9 days, in the data of 2026).
STRIDE = timedelta(days=3)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which the offset of a zone stays the same."""

    start: datetime  # included
    end: datetime  # not included
    offset: timedelta
    wall_start: datetime
    wall_end: datetime
    # Local times before this came already in the span before; `wall_start` if none did.
    repeated_until: datetime
    # Local times from here on come again in the span after; `wall_end` if none do.
    repeats_from: datetime


class Zone:
    """A time zone, as the spans between changes of its clocks."""

    def __init__(self, name: str) -> None:
        self.info = ZoneInfo(name)
        changes, offsets = _changes(self.info)
        starts, ends = [BEGINNING_OF_TIME, *changes], [*changes, END_OF_TIME]
        self._starts = changes
        self._spans: list[Span] = []
        for index, offset in enumerate(offsets):
            before = offsets[index - 1] if index else offset
            after = offsets[index + 1] if index + 1 < len(offsets) else offset
            start, end = starts[index], ends[index]
            self._spans.append(
                Span(
                    start,
                    end,
                    offset,
                    _moved(start, offset),
                    _moved(end, offset),
                    _moved(start, max(before, offset)),
                    _moved(end, min(after, offset)),
                )
            )

    def at(self, instant: datetime) -> Span:
        """The span that an instant lies in."""
        return self._spans[bisect_right(self._starts, instant)]


def _moved(time: datetime, offset: timedelta) -> datetime:
    """A time moved by an offset; the first and the last span have no ends."""
    return time if time in (BEGINNING_OF_TIME, END_OF_TIME) else time + offset


def _changes(zone: ZoneInfo) -> tuple[list[datetime], list[timedelta]]:
    """The instants from which the offset is another, and the offsets before, between and after them."""
    changes: list[datetime] = []
    offsets = [_offset(zone, FIRST)]
    instant = FIRST
    while instant < LAST:
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
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if _offset(zone, middle) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101 - a ZoneInfo always has one
    return offset


@lru_cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Whether this is the name of a time zone."""
    return name in _names()


@lru_cache(maxsize=1_000)
def zone(name: str) -> Zone:
    """The time zone of this name. The first call takes some milliseconds, and its answer is kept."""
    return Zone(name)
