"""A period of the past is cut to what figures are kept for."""

from datetime import UTC, datetime, timedelta

import pytest

from taskflow_core.errors import InvalidArgument
from taskflow_core.stats.period import period

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_by_default_it_is_the_last_hour_in_minutes():
    cut = period(None, None, None, now=NOW)
    assert (cut.start, cut.end) == (NOW.replace(minute=9, second=0) - HOUR, NOW.replace(minute=10, second=0))
    assert (cut.interval, len(cut.slices())) == (MINUTE, 61)


def test_what_it_touches_is_in_it():
    cut = period(NOW, NOW + timedelta(seconds=40), MINUTE, now=NOW + HOUR)
    assert cut.slices() == [NOW.replace(second=0), NOW.replace(second=0) + MINUTE]
    assert cut.slice_of(NOW) == NOW.replace(second=0)
    nothing = NOW.replace(second=0)
    assert period(nothing, nothing, None, now=NOW).end == nothing + MINUTE


def test_long_ago_it_is_cut_to_hours():
    cut = period(NOW - 3 * DAY, NOW - 2 * DAY, 90 * MINUTE, now=NOW)
    assert (cut.start.minute, cut.end.minute, cut.interval) == (0, 0, 2 * HOUR)
    assert cut.end - cut.start == 25 * HOUR
    assert period(NOW - 30 * DAY, None, None, now=NOW).interval == 12 * HOUR


def test_a_period_that_ends_before_it_starts_is_refused():
    with pytest.raises(InvalidArgument, match="end_time"):
        period(NOW, NOW - MINUTE, None, now=NOW)


def test_more_than_a_thousand_slices_are_refused():
    assert len(period(NOW - DAY, NOW, 2 * MINUTE, now=NOW).slices()) <= 1000
    with pytest.raises(InvalidArgument, match="interval"):
        period(NOW - DAY, NOW, MINUTE, now=NOW)


def test_the_ends_of_time_are_periods_too():
    first = datetime(1, 1, 1, tzinfo=UTC)
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert len(period(first, last, None, now=NOW).slices()) <= 61
    assert period(None, first, None, now=NOW).start == first
