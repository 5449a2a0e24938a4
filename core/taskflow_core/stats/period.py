"""Which period of the past is asked for, and how it is cut. Pure."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from taskflow_core.errors import InvalidArgument

MAX_SLICES = 1_000
DEFAULT_SLICES = 60
DEFAULT_LENGTH = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
# Figures of minutes are kept apart for so long, at least.
MINUTES_KEPT = timedelta(days=2)
BEGINNING = datetime.fromtimestamp(0, UTC)
# So that the end of what begins before it is still a time.
LAST = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Period:
    """From `start` to before `end`, in slices of `interval`; the last one may be shorter."""

    start: datetime
    end: datetime
    interval: timedelta

    def slices(self) -> list[datetime]:
        """Where they start."""
        count = math.ceil((self.end - self.start) / self.interval)
        return [self.start + number * self.interval for number in range(count)]

    def slice_of(self, time: datetime) -> datetime:
        """Where the slice starts that holds a time."""
        return self.start + (time - self.start) // self.interval * self.interval


def period(
    start: datetime | None,
    end: datetime | None,
    interval: timedelta | None,
    *,
    now: datetime,
    default: timedelta = DEFAULT_LENGTH,
) -> Period:
    """The period asked for: all that it touches, in whole minutes, or hours where minutes are not kept apart.

    It is `default` long if it has no start, and has about 60 slices. Raises InvalidArgument at `end_time` or
    `interval`.
    """
    last = min(end or now, LAST)
    first = start or (last - default if last > BEGINNING else last)
    if last < first:
        raise InvalidArgument.at("end_time", "is before start_time; a period ends after it starts")
    kept_from = (now - MINUTES_KEPT).replace(minute=0, second=0, microsecond=0)
    unit = MINUTE if first >= kept_from else HOUR
    opens = BEGINNING + (first - BEGINNING) // unit * unit
    closes = max(opens + unit, BEGINNING - (BEGINNING - last) // unit * unit)
    units = (
        round((closes - opens) / unit / DEFAULT_SLICES) if interval is None else math.ceil(interval / unit)
    )
    length = max(1, units) * unit
    if (closes - opens) / length > MAX_SLICES:
        raise InvalidArgument.at(
            "interval",
            f"makes more than {MAX_SLICES} slices of the period; allowed: at least {(closes - opens) / MAX_SLICES}",
        )
    return Period(opens, closes, length)
