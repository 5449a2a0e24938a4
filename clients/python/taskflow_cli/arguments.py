"""What people write on the command line, and what it means."""

import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import yaml

from taskflow_client.workflows import message_of

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


class Definition(click.ParamType[dict[str, Any]]):
    """A file with the definition of a workflow, in YAML or JSON, or `-` for standard input."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            text = sys.stdin.read() if value == "-" else Path(value).read_text(encoding="utf-8")
            parsed = yaml.load(text, Loader=_TextLoader)  # noqa: S506 - a SafeLoader
            message_of(parsed if isinstance(parsed, dict) else {})
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"cannot be read: {error}", param, ctx)
        except (yaml.YAMLError, ValueError) as error:
            self.fail(str(error), param, ctx)
        if not isinstance(parsed, dict):
            self.fail("not a workflow: it has no fields", param, ctx)
        return parsed


class NameOrDefinition(click.ParamType["str | dict[str, Any]"]):
    """The name of a workflow; or the definition in a file, where there is one of that name."""

    name = "name or file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | dict[str, Any]:
        is_file = value == "-" or (isinstance(value, str) and Path(value).is_file())
        return Definition().convert(value, param, ctx) if is_file else value


class _TextLoader(yaml.SafeLoader):
    """YAML whose dates stay texts, as in JSON."""


_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


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
