"""Cron times while clocks change, against wall clocks that are read every quarter of an hour."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as some

from taskflow_core.schedules.timing import Timing, parse_timing
from taskflow_core.schedules.zones import Zone

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
BEGIN, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
GAPS = ("SHIFT_FIXED_HOURS", "SHIFT", "SKIP")
FOLDS = ("ONCE_FOR_FIXED_HOURS", "FIRST", "LAST", "BOTH")


@dataclass(frozen=True)
class Expression:
    """An expression, and what it says in plain words of Python."""

    text: str
    matches: Callable[[datetime], bool]
    fixed_hours: bool


EXPRESSIONS = [
    Expression("30 2 * * *", lambda wall: (wall.hour, wall.minute) == (2, 30), True),
    Expression("0 0 * * *", lambda wall: (wall.hour, wall.minute) == (0, 0), True),
    Expression("15 0-3 * * *", lambda wall: wall.hour <= 3 and wall.minute == 15, True),
    Expression("*/15 1 * * *", lambda wall: wall.hour == 1, True),
    Expression("45 1,23 * * *", lambda wall: wall.hour in (1, 23) and wall.minute == 45, True),
    Expression("*/15 * * * *", lambda wall: True, False),
    Expression("30 */2 * * *", lambda wall: wall.hour % 2 == 0 and wall.minute == 30, False),
    Expression("*/30 * * * sun", lambda wall: wall.isoweekday() == 7 and wall.minute % 30 == 0, False),
]


@dataclass(frozen=True)
class Change:
    """A change of the clocks, and all zones that make it."""

    around: datetime  # a time less than a day before it
    forward: bool
    zones: tuple[str, ...]


def _offset(time: datetime, zone: ZoneInfo) -> timedelta:
    offset = time.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


@cache
def changes() -> list[Change]:
    """The changes of all zones in three years; zones with the same clocks share them."""
    zones: dict[tuple[datetime, timedelta, timedelta, timedelta], list[str]] = {}
    days = [BEGIN + DAY * n for n in range((END - BEGIN).days)]
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        offsets = [_offset(day, zone) for day in days]
        for day, before, after in zip(days, offsets, offsets[1:], strict=False):
            if before != after:
                at = next(n for n in range(1, 97) if _offset(day + QUARTER * n, zone) == after)
                zones.setdefault((day, before, after, at * QUARTER), []).append(name)
    return [
        Change(day, after > before, tuple(names)) for (day, before, after, _), names in sorted(zones.items())
    ]


@cache
def clock_on_the_wall(zone: str, around: datetime) -> list[tuple[datetime, datetime]]:
    """What the clock shows before a change, and until the night after has passed too."""
    times = [around + QUARTER * n for n in range(-4 * 3, 4 * 50)]
    return [(time, time.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for time in times]


def read_from_the_wall(
    clock: Sequence[tuple[datetime, datetime]], expression: Expression, gap: str, fold: str
) -> list[datetime]:
    """The times of an expression, by reading the clock."""
    often = Counter(wall for _, wall in clock)
    seen: set[datetime] = set()
    fires = []
    previous = clock[0][1]
    for time, wall in clock:
        left_out = [previous + QUARTER * n for n in range(1, (wall - previous) // QUARTER)]
        moved = gap == "SHIFT" and any(map(expression.matches, left_out))
        wanted = often[wall] == 1 or fold == "BOTH" or (fold == "FIRST") == (wall not in seen)
        if moved or (expression.matches(wall) and wanted):
            fires.append(time)
        seen.add(wall)
        previous = wall
    return fires


def timing_of(expression: str, zone: str, gap: str = "", fold: str = "") -> Timing:
    saving = {"gap": gap, "fold": fold}
    return parse_timing({"cron_expression": expression, "time_zone": zone, "daylight_saving": saving})


def assert_follows_the_wall(change: Change, expression: Expression, gap: str, fold: str) -> None:
    zone = change.zones[0]
    clock = clock_on_the_wall(zone, change.around)
    plain_gap = gap if gap != GAPS[0] else "SHIFT" if expression.fixed_hours else "SKIP"
    plain_fold = fold if fold != FOLDS[0] else "FIRST" if expression.fixed_hours else "BOTH"
    expected = read_from_the_wall(clock, expression, plain_gap, plain_fold)
    timing = timing_of(expression.text, zone, gap, fold)
    fires = timing.between(clock[0][0] - timedelta.resolution, clock[-1][0], 1_000)
    assert fires == expected, (zone, expression.text, gap, fold)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.text)
def test_no_zone_of_the_world_differs_from_its_wall_clocks(expression):
    for change in changes():
        for gap in GAPS if change.forward else GAPS[:1]:
            for fold in FOLDS[:1] if change.forward else FOLDS:
                assert_follows_the_wall(change, expression, gap, fold)


@given(
    number=some.integers(min_value=0),
    minutes=some.sets(some.sampled_from([0, 15, 30, 45]), min_size=1),
    hours=some.sets(some.integers(0, 23), min_size=1),
    gap=some.sampled_from(GAPS),
    fold=some.sampled_from(FOLDS),
)
def test_any_hours_and_minutes_follow_the_wall_clock(number, minutes, hours, gap, fold):
    text = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    expression = Expression(text, lambda wall: wall.hour in hours and wall.minute in minutes, True)
    assert_follows_the_wall(changes()[number % len(changes())], expression, gap, fold)


def test_the_changes_include_both_directions_and_the_odd_ones():
    zones = {zone for change in changes() for zone in change.zones}
    assert {
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "America/Santiago",
        "Asia/Beirut",
        "Antarctica/Troll",
    } <= zones
    assert {change.forward for change in changes()} == {True, False}


def test_every_zone_knows_its_offset_at_any_time():
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=73) * n for n in range(120)]
    for name in available_timezones():
        zone, info = Zone(name), ZoneInfo(name)
        for time in times:
            assert zone.at(time.replace(tzinfo=None)).offset == _offset(time, info), (name, time)


def local_times(timing: Timing, after: str, count: int) -> Sequence[str]:
    times = timing.between(datetime.fromisoformat(after), END, count)
    return [timing.local(time).isoformat() for time in times]


def test_a_daily_run_does_not_lose_the_day_after_clocks_went_forward():
    assert local_times(timing_of("0 0 * * *", "America/New_York"), "2026-03-08T00:00:00-05:00", 2) == [
        "2026-03-09T00:00:00-04:00",
        "2026-03-10T00:00:00-04:00",
    ]


@pytest.mark.parametrize(
    ("gap", "time"),
    [
        ("SHIFT_FIXED_HOURS", "2026-03-29T03:00:00+02:00"),
        ("SHIFT", "2026-03-29T03:00:00+02:00"),
        ("SKIP", "2026-03-30T02:30:00+02:00"),
    ],
)
def test_a_time_that_does_not_exist_is_shifted_or_skipped(gap, time):
    assert local_times(timing_of("30 2 * * *", "Europe/Berlin", gap), "2026-03-29T00:00:00Z", 1) == [time]


def test_many_times_that_do_not_exist_are_one_when_shifted():
    assert local_times(timing_of("*/10 2-3 * * *", "Europe/Berlin"), "2026-03-29T00:00:00Z", 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-29T03:10:00+02:00",
    ]


@pytest.mark.parametrize(
    ("fold", "offsets"),
    [
        ("ONCE_FOR_FIXED_HOURS", ["+02:00"]),
        ("FIRST", ["+02:00"]),
        ("LAST", ["+01:00"]),
        ("BOTH", ["+02:00", "+01:00"]),
    ],
)
def test_a_time_that_comes_twice_fires_as_chosen(fold, offsets):
    timing = timing_of("30 2 * * *", "Europe/Berlin", "", fold)
    times = local_times(timing, "2026-10-24T23:00:00Z", 3)
    assert [time for time in times if "-10-25T" in time] == [f"2026-10-25T02:30:00{o}" for o in offsets]


def test_half_an_hour_of_lord_howe_is_shifted():
    assert local_times(timing_of("15 2 * * *", "Australia/Lord_Howe"), "2026-10-03T12:00:00Z", 2) == [
        "2026-10-04T02:30:00+11:00",
        "2026-10-05T02:15:00+11:00",
    ]


def test_a_midnight_that_does_not_exist_is_the_first_instant_of_the_day():
    assert local_times(timing_of("0 0 * * *", "Africa/Cairo"), "2026-04-23T00:00:00Z", 2) == [
        "2026-04-24T01:00:00+03:00",
        "2026-04-25T00:00:00+03:00",
    ]


def test_a_whole_day_that_a_zone_left_out_is_shifted_to_the_next():
    assert local_times(timing_of("0 9 * * *", "Pacific/Apia"), "2011-12-29T12:00:00-10:00", 2) == [
        "2011-12-31T00:00:00+14:00",
        "2011-12-31T09:00:00+14:00",
    ]


def test_intervals_do_not_notice_that_clocks_change():
    timing = parse_timing(
        {"interval": 3600, "anchor_time": "2026-01-01T00:00:00Z", "time_zone": "Europe/Berlin"}
    )
    times = timing.between(datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC), 100)
    assert times == [datetime(2026, 3, 28, tzinfo=UTC) + timedelta(hours=n) for n in range(1, 49)]
    assert not any(map(timing.changes_clock, times))


def test_times_that_a_change_touches_are_marked():
    gap = timing_of("30 2,3 * * *", "Europe/Berlin")
    times = gap.between(datetime(2026, 3, 28, 12, tzinfo=UTC), END, 3)
    assert list(map(gap.changes_clock, times)) == [True, False, False]
    fold = timing_of("30 1-3 * * *", "Europe/Berlin", "", "BOTH")
    times = fold.between(datetime(2026, 10, 24, 12, tzinfo=UTC), END, 4)
    assert list(map(fold.changes_clock, times)) == [False, True, True, False]


def test_a_wait_of_years_passes_over_all_changes_between():
    for zone, hour in ("Europe/Berlin", 11), ("Asia/Tokyo", 3), ("America/Santiago", 15):
        time = timing_of("0 12 29 2 *", zone).next_after(datetime(2096, 3, 1, tzinfo=UTC))
        assert time == datetime(2104, 2, 29, hour, tzinfo=UTC)
