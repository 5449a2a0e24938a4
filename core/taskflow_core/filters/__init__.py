r"""Filters over lists and watches: a subset of AIP-160, in SQL and in Python with one meaning.

    status = FAILED AND create_time > "2026-01-01T00:00:00Z" AND -tags:test
    priority = HIGH OR priority = CRITICAL task_type = "billing.*"

- `AND` may be left out; `OR` binds tighter than `AND` (as AIP-160 has it); `NOT` and `-` negate what follows.
- `*` stands for any characters in the `=` and `!=` of a text; `\*` in quotes is a star. Texts are case-sensitive.
- `:` asks whether a list has an element or a text contains another; on other fields it is `=`.
  `field:*` asks whether a field is set.
- Logic has two values. On a field that is not set every comparison is false, and its negation true:
  `end_time < T` leaves unfinished tasks out, `NOT end_time < T` and `schedule_id != X` let unset ones in.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement

from taskflow_core.filters.binding import FilterField, bind
from taskflow_core.filters.kinds import (
    BOOLEAN,
    DURATION,
    ENUM,
    INTEGER,
    NUMBER,
    TEXT,
    TEXT_LIST,
    TIMESTAMP,
    UUID,
    Kind,
)
from taskflow_core.filters.syntax import MAX_COMPARISONS, MAX_DEPTH, MAX_LENGTH, Node, parse

__all__ = [
    "BOOLEAN",
    "DURATION",
    "ENUM",
    "INTEGER",
    "MAX_COMPARISONS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "NUMBER",
    "TEXT",
    "TEXT_LIST",
    "TIMESTAMP",
    "UUID",
    "FilterField",
    "Kind",
    "Node",
    "compile_filter",
    "matcher",
    "parse",
]


def compile_filter(text: str, fields: Mapping[str, FilterField]) -> ColumnElement[bool] | None:
    """The filter as a WHERE clause; None if it is blank. Values are bound, never written into the SQL.

    Errors: InvalidArgument at `filter` (INVALID_FILTER), with the position, counted from 1.
    """
    node = parse(text)
    return None if node is None else bind(node, fields).sql()


def matcher(text: str, fields: Mapping[str, FilterField]) -> Callable[[Mapping[str, Any]], bool]:
    """The filter as a test of one row, given by the names in `fields` with values as a SELECT gives them.

    Errors: as `compile_filter`.
    """
    node = parse(text)
    return _everything if node is None else bind(node, fields).holds


def _everything(_row: Mapping[str, Any]) -> bool:
    return True
