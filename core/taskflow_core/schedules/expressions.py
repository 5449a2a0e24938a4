"""Payload fields that each fire computes: CEL over the fire and its schedule.

fire      {"time": its due time, "run_number": 7, "trigger": "TIME"}
schedule  {"id": ..., "name": ..., "time_zone": "Europe/Berlin"}
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import cel

from taskflow_core.errors import InvalidArgument

# These repeat an expression for each element, and with each level of nesting for each again: a scheduler that
# everybody needs does not compute without bounds.
REPEATS = re.compile(r"\.\s*(map|filter|all|exists|exists_one|existsOne|transformList|transformMap)\s*\(")

SAMPLE = {
    "fire": {"time": datetime(2026, 1, 31, 9, tzinfo=UTC), "run_number": 1, "trigger": "TIME"},
    "schedule": {"id": "00000000-0000-7000-8000-000000000000", "name": "", "time_zone": "UTC"},
}

# CEL's own take no zone here.
GETTERS = {
    "getFullYear": lambda local: local.year,
    "getMonth": lambda local: local.month - 1,
    "getDate": lambda local: local.day,
    "getDayOfMonth": lambda local: local.day - 1,
    "getDayOfYear": lambda local: local.timetuple().tm_yday - 1,
    "getDayOfWeek": lambda local: local.isoweekday() % 7,
    "getHours": lambda local: local.hour,
    "getMinutes": lambda local: local.minute,
    "getSeconds": lambda local: local.second,
    "getMilliseconds": lambda local: local.microsecond // 1000,
}


class ExpressionFailed(Exception):
    """An expression has no value; the message says why."""


def check_expressions(expressions: Mapping[str, str], field: str) -> None:
    """Raise InvalidArgument at `field["name"]` for the first that CEL cannot read, or that names what is not there."""
    for name, source in expressions.items():
        repeated = REPEATS.search(source)
        if repeated:
            raise InvalidArgument.at(
                f'{field}["{name}"]', f"{repeated[1]} is not allowed here", found=repeated[1]
            )
        try:
            compute(source, SAMPLE)
        except ExpressionFailed as error:
            raise InvalidArgument.at(f'{field}["{name}"]', str(error)) from None


def compute(source: str, scope: Mapping[str, Any]) -> Any:
    """The value of an expression, as JSON has it. Raises ExpressionFailed."""
    try:
        value = _compiled(source).execute(cel.Context(variables=dict(scope), functions=FUNCTIONS))
    except KeyError as error:
        raise ExpressionFailed(f"there is no {error} in what it reads") from None
    except Exception as error:  # noqa: BLE001 - CEL's errors are of many classes
        raise ExpressionFailed(str(error)) from None
    return _json(value)


@lru_cache(maxsize=10_000)
def _compiled(source: str) -> cel.Program:
    return cel.compile(source)


def _in_zone(getter: Any) -> Any:
    def get(time: datetime, zone: str = "UTC") -> int:
        value: int = getter(time.astimezone(ZoneInfo(zone)))
        return value

    return get


FUNCTIONS = {name: _in_zone(getter) for name, getter in GETTERS.items()}


def _json(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{value.total_seconds():.9f}".rstrip("0").rstrip(".") + "s"
        case dict():
            return {str(name): _json(member) for name, member in value.items()}
        case list():
            return [_json(element) for element in value]
        case bytes():
            raise ExpressionFailed("bytes are not JSON; use string(...)")
    return value
