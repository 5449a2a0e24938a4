"""What people write on the command line, and what it means."""

import json
import re
import sys
from datetime import datetime, timedelta
from typing import Any

import click

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object, or `-` to read it from standard input."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        text = sys.stdin.read() if value == "-" else value
        try:
            parsed = json.loads(text)
        except ValueError as error:
            self.fail(f"not JSON: {error}", param, ctx)
        if not isinstance(parsed, dict):
            self.fail("not a JSON object, such as '{\"n\": 30}'", param, ctx)
        return parsed


class Length(click.ParamType[timedelta]):
    """A length of time: `90s`, `1h30m`, `2d`; a bare number is seconds."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|\b)", value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r} is not a length of time, such as 90s, 5m or 1h30m", param, ctx)
        return timedelta(seconds=sum(float(number) * UNITS[unit or "s"] for number, unit in parts))


class Time(click.ParamType[datetime]):
    """A time as in ISO 8601; local where it names no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(value).astimezone()
        except ValueError:
            self.fail(
                f"{value!r} is not a time, such as 2026-01-31T09:00 or 2026-01-31T09:00:00Z", param, ctx
            )
