"""What the fields of a schedule that describe its times mean, and what can be wrong with them."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, TypeVar

from taskflow_core.errors import InvalidArgument
from taskflow_core.schedules import zones
from taskflow_core.schedules.cron import Cron
from taskflow_core.schedules.exclusions import Exclusions
from taskflow_core.schedules.series import CronSeries, Fold, Gap, IntervalSeries, Series, SingleTime
from taskflow_core.schedules.syntax import BadCron, parse_cron

Description = dict[str, Any]
Type = Literal["CRON", "INTERVAL", "ONE_TIME"]
Choice = TypeVar("Choice", bound=StrEnum)

# The fields of each type; the first ones say the times.
FIELDS: dict[Type, tuple[str, ...]] = {
    "CRON": ("cron_expression", "cron_expressions"),
    "INTERVAL": ("interval", "anchor_time"),
    "ONE_TIME": ("run_time",),
}
LONGEST_INTERVAL = timedelta(days=3650)
LONGEST_JITTER = timedelta(days=1)


def schedule_type(description: Description) -> Type:
    """The type, as given or as the fields tell."""
    set_fields = {
        type_: [name for name in names if description.get(name) not in (None, "", [])]
        for type_, names in FIELDS.items()
    }
    given: Type | None = description.get("schedule_type") or None
    told = [type_ for type_, names in set_fields.items() if names]
    if given is None and not told:
        raise InvalidArgument.at(
            "cron_expression", "one of cron_expression, interval and run_time is needed to say the times"
        )
    type_ = given or told[0]
    for other in told:
        if other != type_:
            raise InvalidArgument.at(
                set_fields[other][0],
                f"it belongs to {other}, and the schedule is {type_}; only {' and '.join(FIELDS[type_])} "
                "may say its times",
            )
    if not any(name in set_fields[type_] for name in _saying(type_)):
        raise InvalidArgument.at(FIELDS[type_][0], f"a schedule that is {type_} needs it")
    return type_


def _saying(type_: Type) -> tuple[str, ...]:
    return ("interval",) if type_ == "INTERVAL" else FIELDS[type_]


def zone(description: Description) -> zones.Zone:
    """The time zone."""
    name = description.get("time_zone") or "UTC"
    if not zones.is_zone(name):
        raise InvalidArgument.at(
            "time_zone", f"{name!r} is unknown; names of the IANA data are allowed, such as Europe/Berlin"
        )
    return zones.Zone(name)


def bounds(description: Description) -> tuple[datetime | None, datetime | None]:
    """The first and the last instant at which it may fire."""
    start, end = _instant(description, "start_time"), _instant(description, "end_time")
    if start is not None and end is not None and end < start:
        raise InvalidArgument.at("end_time", "it lies before start_time; it must not")
    return start, end


def series(description: Description, zone: zones.Zone) -> tuple[Series, ...]:
    """The series of its times, before exclusions."""
    _seconds(description, "jitter", timedelta(), LONGEST_JITTER)
    match schedule_type(description):
        case "CRON":
            return _cron_series(description, zone)
        case "INTERVAL":
            interval = _seconds(description, "interval", timedelta(seconds=1), LONGEST_INTERVAL)
            anchor = _instant(description, "anchor_time") or _instant(description, "start_time")
            if anchor is None:
                raise InvalidArgument.at("anchor_time", "it is needed without start_time")
            return (IntervalSeries(interval, anchor),)
        case "ONE_TIME":
            time = _instant(description, "run_time")
            assert time is not None  # noqa: S101 - its type says that it is there
            return (SingleTime(time),)


def exclusions(description: Description) -> Exclusions:
    """The days and times without a fire."""
    dates = set()
    for index, text in enumerate(description.get("exclude_dates") or ()):
        try:
            dates.add(date.fromisoformat(text))
        except ValueError:
            raise InvalidArgument.at(
                f"exclude_dates[{index}]", f"{text!r} is no day; days such as 2026-12-25 are allowed"
            ) from None
    crons = [
        _cron(f"exclude_cron_expressions[{index}]", text, whole_minutes=True)
        for index, text in enumerate(description.get("exclude_cron_expressions") or ())
    ]
    return Exclusions(frozenset(dates), tuple(crons))


def _cron_series(description: Description, zone: zones.Zone) -> tuple[Series, ...]:
    saving = description.get("daylight_saving") or {}
    gap = _choice(Gap, saving, "gap")
    fold = _choice(Fold, saving, "fold")
    crons = []
    if description.get("cron_expression"):
        crons.append(_cron("cron_expression", description["cron_expression"]))
    for index, text in enumerate(description.get("cron_expressions") or ()):
        crons.append(_cron(f"cron_expressions[{index}]", text))
    return tuple(CronSeries.of(cron, zone, gap, fold) for cron in crons)


def _cron(field: str, text: str, *, whole_minutes: bool = False) -> Cron:
    try:
        return parse_cron(text, whole_minutes=whole_minutes)
    except BadCron as error:
        raise InvalidArgument.at(field, str(error)) from None


def _choice(choices: type[Choice], saving: Description, field: str) -> Choice:
    """A choice for clock changes; the first of its kind is the default."""
    given = saving.get(field) or next(iter(choices))
    if given not in list(choices):
        raise InvalidArgument.at(
            f"daylight_saving.{field}", f"{given!r} is unknown; {', '.join(choices)} are allowed"
        )
    return choices(given)


def _seconds(description: Description, field: str, least: timedelta, most: timedelta) -> timedelta:
    seconds = description.get(field) or 0
    if not least.total_seconds() <= seconds <= most.total_seconds():
        raise InvalidArgument.at(
            field,
            f"it is {seconds:g} s; from {least.total_seconds():g} s to {most.days:,} d is allowed",
        )
    return timedelta(seconds=seconds)


def _instant(description: Description, field: str) -> datetime | None:
    """A time, naive and in UTC."""
    value = description.get(field)
    if not value:
        return None
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.astimezone(UTC).replace(tzinfo=None)
