"""When schedules fire: what their descriptions mean together."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from taskflow_core.errors import InvalidArgument
from taskflow_core.schedules.timing import jittered, parse_timing

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)
SCHEDULE = UUID("01990000-0000-7000-8000-000000000001")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(count: int, after: datetime = NEW_YEAR, /, **description: object) -> list[str]:
    times = parse_timing(description).between(after, LATER, count)
    return [f"{time:%m-%d %H:%M:%S}" for time in times]


def test_several_expressions_fire_once_at_each_time_that_any_of_them_matches():
    assert fires(4, cron_expression="0 9,12 * * *", cron_expressions=["0 12 * * *", "30 10 1 * *"]) == [
        "01-01 09:00:00",
        "01-01 10:30:00",
        "01-01 12:00:00",
        "01-02 09:00:00",
    ]


def test_cron_times_are_those_of_the_time_zone():
    assert fires(2, cron_expression="0 9 * * *", time_zone="Asia/Kolkata") == [
        "01-01 03:30:00",
        "01-02 03:30:00",
    ]


def test_an_interval_passes_through_its_anchor_whenever_it_is_asked():
    timing = parse_timing({"interval": 90.5, "anchor_time": "2026-01-01T00:00:10Z"})
    late = at("2026-03-01T12:34:56.789")
    time = timing.next_after(late)
    assert time is not None
    assert late < time <= late + timedelta(seconds=90.5)
    assert (time - at("2026-01-01T00:00:10")) % timedelta(seconds=90.5) == timedelta()
    before = timing.next_after(at("2025-12-31T23:00:00"))
    assert before is not None
    assert before < NEW_YEAR


def test_an_interval_without_an_anchor_starts_at_its_start_time():
    assert fires(2, interval=3600, start_time="2026-02-01T00:20:00Z") == ["02-01 00:20:00", "02-01 01:20:00"]


def test_a_single_time_comes_once():
    timing = parse_timing({"run_time": "2026-05-01T08:00:00+02:00"})
    assert timing.schedule_type == "ONE_TIME"
    assert timing.next_after(NEW_YEAR) == at("2026-05-01T06:00:00")
    assert timing.next_after(at("2026-05-01T06:00:00")) is None


def test_start_and_end_are_times_that_may_fire():
    bounds = {"start_time": "2026-03-01T09:00:00Z", "end_time": "2026-03-02T09:00:00Z"}
    assert fires(9, cron_expression="0 9 * * *", **bounds) == ["03-01 09:00:00", "03-02 09:00:00"]


def test_excluded_days_are_days_of_the_time_zone():
    assert fires(
        2,
        cron_expression="0 20 * * *",
        time_zone="America/New_York",
        exclude_dates=["2026-01-01", "2026-01-02"],
    ) == ["01-01 01:00:00", "01-04 01:00:00"]


def test_five_fields_exclude_whole_minutes_and_six_exclude_seconds():
    seconds = {"cron_expression": "*/30 * * * * *"}
    assert fires(2, **seconds, exclude_cron_expressions=["1-59 * * * *"]) == [
        "01-01 00:00:30",
        "01-01 01:00:00",
    ]
    assert fires(2, **seconds, exclude_cron_expressions=["30 * * * * *"]) == [
        "01-01 00:01:00",
        "01-01 00:02:00",
    ]


def test_intervals_have_exclusions_too():
    assert fires(
        3,
        at("2026-01-02T23:00:00"),
        interval=1800,
        anchor_time="2026-01-01T00:00:00Z",
        exclude_cron_expressions=["* * * * sat,sun"],
    ) == ["01-02 23:30:00", "01-05 00:00:00", "01-05 00:30:00"]


def test_long_exclusions_are_passed_over_quickly():
    description = {
        "cron_expression": "*/2 * * * * *",
        "exclude_cron_expressions": ["*/2 * * * jan-nov *", "* * 1-30 dec *"],
    }
    assert fires(1, **description) == ["12-31 00:00:00"]


def test_what_a_change_of_clocks_moves_is_excluded_by_where_it_lands():
    description = {"cron_expression": "30 2 * * *", "time_zone": "Europe/Berlin"}
    night = at("2026-03-28T12:00:00")
    assert fires(1, night, **description, exclude_cron_expressions=["* 3 * * *"]) == ["03-30 00:30:00"]


def test_an_excluded_day_on_which_clocks_change_ends_at_midnight():
    description = {"cron_expression": "*/30 * * * *", "time_zone": "Europe/Berlin"}
    day = at("2026-03-28T22:30:00")
    assert fires(1, day, **description, exclude_dates=["2026-03-29"]) == ["03-29 22:00:00"]
    day = at("2026-10-24T21:30:00")
    assert fires(1, day, **description, exclude_dates=["2026-10-25"]) == ["10-25 23:00:00"]


EXCLUSIONS: dict[str, Callable[[datetime], bool]] = {
    "* 4 * * *": lambda wall: wall.hour == 4,
    "* 0-7 * * *": lambda wall: wall.hour <= 7,
    "1-29 * * * *": lambda wall: 1 <= wall.minute < 30,
    "30-59 20 * * *": lambda wall: wall.hour == 20 and wall.minute >= 30,
    "* * * * sun": lambda wall: wall.isoweekday() == 7,
    "20 * * * * *": lambda wall: wall.second == 20,
    "* * 2-3 * * *": lambda wall: wall.hour in {2, 3},
}


@settings(max_examples=50)
@given(
    some.sampled_from(["*/7 * * * *", "0 */3 * * *", "*/20 0,30 * * * *", "30 2,9 * * *", "* 1-4,12 * * *"])
    | some.just(0),
    some.sets(some.sampled_from(list(EXCLUSIONS)), max_size=3),
    some.sets(some.sampled_from([28, 29, 30])),
    some.sampled_from(["UTC", "Europe/Berlin", "Atlantic/Azores", "Asia/Beirut"]),
)
def test_exclusions_take_away_what_they_match_and_nothing_else(expression, excluded, days, zone):
    times = (
        {"interval": 420, "anchor_time": "2026-01-01T00:00:00Z"}
        if expression == 0
        else {"cron_expression": expression}
    )
    all_times = parse_timing({**times, "time_zone": zone})
    left = parse_timing(
        {
            **times,
            "time_zone": zone,
            "exclude_cron_expressions": list(excluded),
            "exclude_dates": [f"2026-03-{day}" for day in days],
        }
    )
    # Clocks change in these days.
    begin, end = at("2026-03-27T12:00:00"), at("2026-03-31T12:00:00")
    assert left.between(begin, end, 10_000) == [
        time
        for time in all_times.between(begin, end, 10_000)
        if (wall := time.astimezone(ZoneInfo(zone))).day not in days
        and not any(EXCLUSIONS[text](wall) for text in excluded)
    ]


@given(
    some.sampled_from(["*/7 3-9 * * *", "0 0 * * *", "*/20 * * * * *", "30 1,2 L * fri"]),
    some.lists(some.sampled_from(["* 4 * * *", "0 0 * * mon", "* * */3 * *", "20 * * * * *"]), max_size=2),
    some.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"]),
    some.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=some.just(UTC)),  # noqa: DTZ001
)
def test_times_grow_and_none_lies_between_a_time_and_the_next(expression, excluded, zone, after):
    timing = parse_timing(
        {"cron_expression": expression, "exclude_cron_expressions": excluded, "time_zone": zone}
    )
    times = timing.between(after, LATER, 20)
    assert len(times) == 20
    assert times == sorted(set(times))
    assert times[0] > after
    for time, following in pairwise(times):
        assert timing.next_after(time + (following - time) / 2) == following
        assert timing.next_after(following - timedelta.resolution) == following


def test_times_between_two_include_the_last_and_not_the_first():
    timing = parse_timing({"cron_expression": "0 * * * *"})
    noon = at("2026-01-01T12:00:00")
    assert timing.between(noon, noon + timedelta(hours=2), 9) == [
        noon + timedelta(hours=1),
        noon + timedelta(hours=2),
    ]
    assert timing.between(noon, noon + timedelta(hours=2), 1) == [noon + timedelta(hours=1)]
    assert timing.between(noon, noon, 9) == []


def test_a_description_survives_storage():
    description = {
        "cron_expressions": ["0 9 * * *"],
        "time_zone": "Europe/Berlin",
        "daylight_saving": {"gap": "SKIP", "fold": "BOTH"},
        "start_time": "2026-03-01T00:00:00+00:00",
        "exclude_dates": ["2026-12-25"],
        "jitter": 30.5,
    }
    assert parse_timing(json.loads(json.dumps(description))) == parse_timing(description)


@pytest.mark.parametrize(
    ("path", "description"),
    [
        ("cron_expression", {}),
        ("cron_expression", {"cron_expression": "0 0 30 2 *"}),
        ("cron_expression", {"schedule_type": "CRON"}),
        ("cron_expressions[1]", {"cron_expressions": ["* * * * *", "* * * *"]}),
        ("interval", {"schedule_type": "INTERVAL", "anchor_time": "2026-01-01T00:00:00Z"}),
        ("interval", {"interval": 0, "anchor_time": "2026-01-01T00:00:00Z"}),
        ("interval", {"interval": 315_360_001, "anchor_time": "2026-01-01T00:00:00Z"}),
        ("interval", {"interval": 1e300, "anchor_time": "2026-01-01T00:00:00Z"}),
        ("interval", {"interval": 60, "cron_expression": "* * * * *"}),
        ("anchor_time", {"interval": 60}),
        ("run_time", {"schedule_type": "ONE_TIME"}),
        ("run_time", {"schedule_type": "CRON", "run_time": "2026-01-01T00:00:00Z"}),
        ("run_time", {"run_time": "2026-01-01T00:00:00Z", "start_time": "2026-01-02T00:00:00Z"}),
        ("run_time", {"run_time": "9999-12-31T23:59:59Z"}),
        ("start_time", {"cron_expression": "* * * * *", "start_time": "9999-12-31T23:59:59Z"}),
        ("end_time", {"cron_expression": "* * * * *", "end_time": "0001-01-01T00:00:00Z"}),
        ("time_zone", {"cron_expression": "* * * * *", "time_zone": "Europe/Berlln"}),
        ("time_zone", {"cron_expression": "* * * * *", "time_zone": "../UTC"}),
        ("daylight_saving.gap", {"cron_expression": "* * * * *", "daylight_saving": {"gap": "BOTH"}}),
        ("daylight_saving.fold", {"cron_expression": "* * * * *", "daylight_saving": {"fold": "SKIP"}}),
        ("jitter", {"cron_expression": "* * * * *", "jitter": 86_401}),
        (
            "end_time",
            {
                "cron_expression": "* * * * *",
                "start_time": "2026-01-02T00:00:00Z",
                "end_time": "2026-01-01T00:00:00Z",
            },
        ),
        (
            "end_time",
            {
                "cron_expression": "0 9 * * *",
                "start_time": "2026-01-01T10:00:00Z",
                "end_time": "2026-01-01T11:00:00Z",
            },
        ),
        ("exclude_dates[0]", {"cron_expression": "* * * * *", "exclude_dates": ["2026-02-30"]}),
        ("exclude_dates", {"run_time": "2026-01-01T09:00:00Z", "exclude_dates": ["2026-01-01"]}),
        ("exclude_cron_expressions[0]", {"cron_expression": "* * * * *", "exclude_cron_expressions": ["*"]}),
        (
            "exclude_cron_expressions",
            {"cron_expression": "0 9 * * *", "exclude_cron_expressions": ["* 8-10 * * *"]},
        ),
    ],
)
def test_a_wrong_description_is_refused_at_its_field(path, description):
    with pytest.raises(InvalidArgument) as error:
        parse_timing(description, "schedule")
    assert [field.field for field in error.value.fields] == [f"schedule.{path}"]


@given(some.datetimes(timezones=some.just(UTC)), some.floats(0, 86_400))
def test_a_time_is_put_off_by_no_more_than_its_jitter(time, jitter):
    put_off = jittered(min(time, LATER), SCHEDULE, jitter) - min(time, LATER)
    assert timedelta() <= put_off <= timedelta(seconds=jitter)


def test_jitter_is_fixed_for_a_schedule_and_a_time_and_spreads_evenly():
    times = [NEW_YEAR + timedelta(minutes=n) for n in range(1_000)]
    starts = [jittered(time, SCHEDULE, 60) for time in times]
    assert starts == [jittered(time, str(SCHEDULE), 60) for time in times]
    share = sum((start - time).total_seconds() for start, time in zip(starts, times, strict=True)) / 60_000
    assert 0.45 < share < 0.55
    assert jittered(NEW_YEAR, UUID(int=1), 60) != jittered(NEW_YEAR, UUID(int=2), 60)
    assert jittered(NEW_YEAR, SCHEDULE, 0) == NEW_YEAR
