"""What cron expressions mean. All times here are local."""
# ruff: noqa: DTZ001

from calendar import monthrange
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as some

from taskflow_core.schedules.cron import Cron
from taskflow_core.schedules.syntax import BadCron, parse_cron

NEW_YEAR = datetime(2026, 1, 1)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def times(expression: str, count: int, after: datetime = NEW_YEAR) -> list[datetime]:
    cron = parse_cron(expression)
    found: list[datetime] = []
    wall: datetime | None = after - timedelta(seconds=1)
    while wall is not None and len(found) < count:
        wall = cron.after(wall)
        if wall is not None:
            found.append(wall)
    return found


def days(expression: str, count: int, after: datetime = NEW_YEAR) -> list[str]:
    """The days of `expression`, put behind a time of day, as weekday, day and month."""
    return [f"{time:%a %-d %b}" for time in times(f"0 0 {expression}", count, after)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("15 * *", ["Thu 15 Jan", "Sun 15 Feb", "Sun 15 Mar"]),
        ("31 * *", ["Sat 31 Jan", "Tue 31 Mar", "Sun 31 May"]),
        ("L * *", ["Sat 31 Jan", "Sat 28 Feb", "Tue 31 Mar"]),
        ("LW * *", ["Fri 30 Jan", "Fri 27 Feb", "Tue 31 Mar"]),
        ("15W * *", ["Thu 15 Jan", "Mon 16 Feb", "Mon 16 Mar"]),
        ("1W * *", ["Thu 1 Jan", "Mon 2 Feb", "Mon 2 Mar"]),
        ("1w 8 *", ["Mon 3 Aug", "Mon 2 Aug", "Tue 1 Aug"]),
        ("31W * *", ["Fri 30 Jan", "Tue 31 Mar", "Fri 29 May"]),
        ("1,L * *", ["Thu 1 Jan", "Sat 31 Jan", "Sun 1 Feb"]),
        ("* * 0", ["Sun 4 Jan", "Sun 11 Jan", "Sun 18 Jan"]),
        ("* * 7", ["Sun 4 Jan", "Sun 11 Jan", "Sun 18 Jan"]),
        ("* * 1", ["Mon 5 Jan", "Mon 12 Jan", "Mon 19 Jan"]),
        ("* * FRI#2", ["Fri 9 Jan", "Fri 13 Feb", "Fri 13 Mar"]),
        ("* * 5#5", ["Fri 30 Jan", "Fri 29 May", "Fri 31 Jul"]),
        ("* * friL", ["Fri 30 Jan", "Fri 27 Feb", "Fri 27 Mar"]),
        ("* * mon-fri", ["Thu 1 Jan", "Fri 2 Jan", "Mon 5 Jan"]),
        ("* * sat-sun", ["Sat 3 Jan", "Sun 4 Jan", "Sat 10 Jan"]),
        ("* * */2", ["Thu 1 Jan", "Sat 3 Jan", "Sun 4 Jan"]),
        ("* jan,MAR mon#1", ["Mon 5 Jan", "Mon 2 Mar", "Mon 4 Jan"]),
        ("*/10 1 *", ["Thu 1 Jan", "Sun 11 Jan", "Wed 21 Jan"]),
        ("20/5 1 *", ["Tue 20 Jan", "Sun 25 Jan", "Fri 30 Jan"]),
    ],
)
def test_days_are_those_of_the_calendar(expression, expected):
    assert days(expression, 3) == expected


def test_when_both_day_fields_are_restricted_either_may_match():
    assert days("13 * fri", 4) == ["Fri 2 Jan", "Fri 9 Jan", "Tue 13 Jan", "Fri 16 Jan"]


def test_a_day_field_that_begins_with_a_star_adds_no_days():
    assert days("*/2 * mon", 3) == ["Mon 5 Jan", "Mon 19 Jan", "Mon 9 Feb"]


@pytest.mark.parametrize(
    ("macro", "expression"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * sun"),
        ("@monthly", "0 0 1 * *"),
        (" @Yearly ", "0 0 1 jan *"),
    ],
)
def test_words_stand_for_expressions(macro, expression):
    assert times(macro, 5) == times(expression, 5)


def test_five_fields_match_at_the_full_minute_and_six_begin_with_the_second():
    assert times("*/30 9 * * *", 2) == [datetime(2026, 1, 1, 9), datetime(2026, 1, 1, 9, 30)]
    assert times("15,45 59 23 * * *", 3) == [
        datetime(2026, 1, 1, 23, 59, 15),
        datetime(2026, 1, 1, 23, 59, 45),
        datetime(2026, 1, 2, 23, 59, 15),
    ]


def test_a_29_february_is_waited_for():
    assert times("0 0 29 2 *", 2) == [datetime(2028, 2, 29), datetime(2032, 2, 29)]
    # The longest wait there is.
    assert times("0 0 */28 2 mon#5", 1, datetime(2072, 3, 1)) == [datetime(2112, 2, 29)]


def test_nothing_comes_after_the_last_year():
    assert times("0 0 1 1 *", 5, datetime(9999, 1, 1)) == [datetime(9999, 1, 1)]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("61 * * * *", "minute '61' at character 1 is wrong: 61 is out of range; 0 to 59"),
        ("0 9,24 * * *", "hour '24' at character 5 is wrong: 24 is out of range; 0 to 23"),
        ("0 0 0 * *", "day of month '0' at character 5 is wrong: 0 is out of range; 1 to 31"),
        ("0 0 1 13 *", "month '13' at character 7 is wrong: 13 is out of range; 1 to 12, jan to dec"),
        ("0 0 1 foo *", "month 'foo' at character 7 is wrong: 1 to 12, jan to dec"),
        ("0 0 * * 8", "day of week '8' at character 9 is wrong: 8 is out of range; 0 to 7, sun to sat"),
        (
            "0  0 * * fri#6",
            "day of week 'fri#6' at character 10 is wrong: after # stands a number from 1 to 5",
        ),
        ("0 0 * * L", "day of week 'l' at character 9 is wrong: before L stands the weekday"),
        ("99 * * * * *", "second '99' at character 1 is wrong"),
        ("0 22-2 * * *", "hour '22-2' at character 3 is wrong: the range runs backwards"),
        ("*/0 * * * *", "minute '*/0' at character 1 is wrong: a step is a number from 1 to 59"),
        ("*/90 * * * *", "minute '*/90' at character 1 is wrong: a step is a number from 1 to 59"),
        ("1/ * * * *", "minute '1/' at character 1 is wrong: a step"),
        ("1,,2 * * * *", "minute '' at character 3 is wrong: an item of the list is empty"),
        ("1-2-3 * * * *", "minute '1-2-3' at character 1 is wrong"),
        ("-1 * * * *", "minute '-1' at character 1 is wrong"),
        ("\u0661 * * * *", "minute '\u0661' at character 1 is wrong"),
        ("0 0 ? * *", "day of month '?' at character 5 is wrong"),
        ("* * * *", "it has 4 fields; five are allowed"),
        ("* * * * * * 2026", "it has 7 fields; five are allowed"),
        ("", "it has 0 fields; five are allowed"),
        ("@reboot", "'@reboot' is unknown; @hourly, @daily"),
        ("0 0 30 2 *", "it never matches"),
        ("0 0 31 2,4,6,9,11 *", "it never matches"),
        ("0 0 31W 4 *", "it never matches"),
    ],
)
def test_a_wrong_expression_is_told_where_and_how(expression, message):
    with pytest.raises(BadCron) as error:
        parse_cron(expression)
    assert str(error.value).startswith(message)


@given(some.text(alphabet="0123456789*/,-#?LWjanfri@ ", max_size=30))
def test_whatever_is_written_has_a_meaning_or_is_refused(expression):
    try:
        cron = parse_cron(expression)
    except BadCron:
        return
    assert cron.first(NEW_YEAR) is not None


def field(low: int, high: int) -> some.SearchStrategy[str]:
    """A field of cron that other readers of cron understand too."""
    number = some.integers(low, high)
    ends = some.tuples(number, number).map(sorted)
    ranges = ends.map(lambda ends: f"{ends[0]}-{ends[1]}")
    steps = some.integers(1, 5).map(lambda step: f"*/{step}") | ends.filter(
        lambda ends: ends[1] - ends[0] > 3
    ).map(lambda ends: f"{ends[0]}-{ends[1]}/3")
    lists = some.lists(number.map(str) | ranges, min_size=1, max_size=3).map(",".join)
    return some.just("*") | steps | lists


walls = some.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1))


@given(field(0, 59), field(0, 59), field(0, 23), field(1, 28), field(1, 12), walls)
def test_days_of_the_month_agree_with_apscheduler(second, minute, hour, day, month, wall):
    cron = parse_cron(f"{second} {minute} {hour} {day} {month} *")
    trigger = CronTrigger(second=second, minute=minute, hour=hour, day=day, month=month, timezone=UTC)
    assert_agree(cron, trigger, wall)


@given(field(0, 59), field(0, 23), some.sets(some.integers(0, 6), min_size=1), walls)
def test_days_of_the_week_agree_with_apscheduler(minute, hour, weekdays, wall):
    cron = parse_cron(f"{minute} {hour} * * {','.join(str((day + 1) % 7) for day in weekdays)}")
    names = ",".join(WEEKDAYS[day] for day in weekdays)
    assert_agree(cron, CronTrigger(minute=minute, hour=hour, day_of_week=names, timezone=UTC), wall)


def assert_agree(cron: Cron, trigger: CronTrigger, wall: datetime) -> None:
    for _ in range(5):
        theirs = trigger.get_next_fire_time(None, (wall + timedelta(microseconds=1)).replace(tzinfo=UTC))
        ours = cron.after(wall)
        assert ours == theirs.replace(tzinfo=None)
        wall = ours


@given(some.integers(1970, 2150), some.integers(1, 12), some.integers(1, 31))
def test_the_nearest_workday_is_in_the_same_month_and_at_most_two_days_away(year, month, day):
    found = parse_cron(f"0 0 {day}W * *").days(year, month)
    length = monthrange(year, month)[1]
    if day > length:
        assert found == []
        return
    [nearest] = found
    assert datetime(year, month, nearest).weekday() < 5
    nearer = [
        other
        for other in range(max(1, day - 2), min(length, day + 2) + 1)
        if datetime(year, month, other).weekday() < 5 and abs(other - day) < abs(nearest - day)
    ]
    assert nearer == []


@given(walls)
def test_a_time_that_matches_is_its_own_first(wall):
    cron = parse_cron("*/7 */3 2-20/3 10W,20 * fri#2,monL")
    found = cron.first(wall.replace(microsecond=0))
    assert found is not None
    assert cron.matches(found)
    assert cron.first(found) == found
    assert not cron.matches(found + timedelta(seconds=1))
