"""Payload fields that each fire computes: CEL over the fire and its schedule.

fire      {"time": its due time, "run_number": 7, "trigger": "TIME"}
schedule  {"id": ..., "name": ..., "time_zone": "Europe/Berlin"}
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from taskflow_core.errors import InvalidArgument
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.expressions import compile_expression, evaluate, json_value, used

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


def check_expressions(expressions: Mapping[str, str], field: str) -> None:
    """Raise InvalidArgument at `field["name"]` for the first that CEL cannot read, or that names what is not there."""
    for name, source in expressions.items():
        try:
            compute(source, SAMPLE)
        except ExpressionError as error:
            raise InvalidArgument.at(f'{field}["{name}"]', str(error)) from None


def compute(source: str, scope: Mapping[str, Any]) -> Any:
    """The value of an expression, as JSON has it. Raises ExpressionError.

    Fires compute while their schedule is locked: what needs bounds, or another process to keep them, is refused.
    """
    expression = compile_expression(source)
    if expression.syntax.needs_bounds:
        raise ExpressionError(
            "is not allowed to repeat (map, filter, all, exists) or to call CEL's extensions here"
        )
    parts, _ = used(expression, scope)
    return json_value(evaluate(expression, parts, FUNCTIONS))


def _in_zone(getter: Any) -> Any:
    def get(time: datetime, zone: str = "UTC") -> int:
        value: int = getter(time.astimezone(ZoneInfo(zone)))
        return value

    return get


FUNCTIONS = {name: _in_zone(getter) for name, getter in GETTERS.items()}
