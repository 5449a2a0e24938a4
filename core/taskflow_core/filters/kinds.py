"""What the fields of a filter can hold, and how a value is read from text."""

import math
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Double
from sqlalchemy.types import TypeEngine

_ORDERED = ("=", "!=", "<", "<=", ">", ">=", ":")
_EQUALITY = ("=", "!=", ":")
_INT64 = range(-(2**63), 2**63)

# Seconds may have any fraction; rows have microseconds, further digits are cut off.
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """What a field holds. `read` turns text into a value or raises ValueError; `expects` says what it takes."""

    name: str
    expects: str
    operators: tuple[str, ...]
    read: Callable[[str], Any]
    # The names that a misspelt value may have meant.
    values: tuple[str, ...] = ()
    # The SQL type of a value, where that of the column is too narrow for some of them.
    sql_type: TypeEngine[Any] | None = None


def ENUM(values: Iterable[str]) -> Kind:
    """One of these names, in any case; kept as text."""
    names = tuple(str(value) for value in values)
    by_upper = {name.upper(): name for name in names}

    def read(text: str) -> str:
        if text.upper() not in by_upper:
            raise ValueError(text)
        return by_upper[text.upper()]

    return Kind("ENUM", f"one of {', '.join(names)}", _EQUALITY, read, values=names)


def _read_timestamp(text: str) -> datetime:
    parts = _RFC_3339.fullmatch(text)
    if parts is None:
        raise ValueError(text)
    date, time, fraction, offset = parts.groups()
    microseconds = (fraction or "").ljust(6, "0")[:6]
    try:
        return datetime.fromisoformat(f"{date}T{time}.{microseconds}{offset.upper()}").astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error


def _read_integer(text: str) -> int:
    if not _INTEGER.fullmatch(text) or int(text) not in _INT64:
        raise ValueError(text)
    return int(text)


def _read_number(text: str) -> float:
    if not _NUMBER.fullmatch(text) or math.isinf(float(text)):
        raise ValueError(text)
    return float(text)


def _read_duration(text: str) -> float:
    if not text.endswith("s"):
        raise ValueError(text)
    return _read_number(text[:-1])


def _read_uuid(text: str) -> uuid.UUID:
    if not _UUID.fullmatch(text):
        raise ValueError(text)
    return uuid.UUID(text)


def _read_boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


# Ordered by code point, whatever the collation of the database.
TEXT = Kind("TEXT", "a text", _ORDERED, str)
# PostgreSQL's text[].
TEXT_LIST = Kind("TEXT_LIST", "a text", (":",), str)
TIMESTAMP = Kind(
    "TIMESTAMP", 'an RFC 3339 timestamp such as "2026-01-31T09:00:00Z"', _ORDERED, _read_timestamp
)
INTEGER = Kind("INTEGER", "an integer of 64 bits", _ORDERED, _read_integer, sql_type=BigInteger())
NUMBER = Kind("NUMBER", "a number such as 1.5", _ORDERED, _read_number, sql_type=Double())
# Kept as seconds, in double precision.
DURATION = Kind("DURATION", "a duration in seconds such as 20s", _ORDERED, _read_duration, sql_type=Double())
UUID = Kind("UUID", "a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057", _ORDERED, _read_uuid)
BOOLEAN = Kind("BOOLEAN", "true or false", _EQUALITY, _read_boolean)
