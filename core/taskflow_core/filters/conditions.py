"""What a filter asks of a row, each question twice with one meaning: in SQL, and in Python.

In SQL a question about an unset field may come out as NULL. WHERE takes NULL for false and so do AND and
OR, so only `Negation` must say what it is: the negation of NULL is true, as it is in Python.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, func, literal, or_, select, text, true
from sqlalchemy.types import TypeEngine

# These work on columns and on values alike.
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Row = Mapping[str, Any]


class Condition(Protocol):
    """A question to a row."""

    def sql(self) -> ColumnElement[bool]:
        """As a WHERE clause."""

    def holds(self, row: Row) -> bool:
        """Whether it is true of this row."""


@dataclass(frozen=True)
class All:
    """Every one of these."""

    conditions: tuple[Condition, ...]

    def sql(self) -> ColumnElement[bool]:
        return and_(*(condition.sql() for condition in self.conditions))

    def holds(self, row: Row) -> bool:
        return all(condition.holds(row) for condition in self.conditions)


@dataclass(frozen=True)
class Some:
    """At least one of these."""

    conditions: tuple[Condition, ...]

    def sql(self) -> ColumnElement[bool]:
        return or_(*(condition.sql() for condition in self.conditions))

    def holds(self, row: Row) -> bool:
        return any(condition.holds(row) for condition in self.conditions)


@dataclass(frozen=True)
class Negation:
    """Not this."""

    condition: Condition

    def sql(self) -> ColumnElement[bool]:
        return self.condition.sql().is_not(true())

    def holds(self, row: Row) -> bool:
        return not self.condition.holds(row)


@dataclass(frozen=True)
class IsSet:
    """The field has a value; a list has elements."""

    name: str
    column: SQLColumnExpression[Any]
    is_list: bool

    def sql(self) -> ColumnElement[bool]:
        return func.cardinality(self.column) > 0 if self.is_list else self.column.is_not(None)

    def holds(self, row: Row) -> bool:
        value = row[self.name]
        return bool(value) if self.is_list else value is not None


@dataclass(frozen=True)
class Compares:
    """The field is set and stands in this relation to the operand."""

    name: str
    column: SQLColumnExpression[Any]
    relation: str
    operand: Any
    sql_type: TypeEngine[Any] | None

    def sql(self) -> ColumnElement[bool]:
        column: Any = self.column
        if isinstance(self.operand, str) and self.relation != "=":
            # Python orders by code point; so does this collation, and no other.
            column = column.collate("C")
        operand = self.operand if self.sql_type is None else literal(self.operand, self.sql_type)
        clause: ColumnElement[bool] = _COMPARE[self.relation](column, operand)
        return clause

    def holds(self, row: Row) -> bool:
        value = row[self.name]
        return value is not None and bool(_COMPARE[self.relation](value, self.operand))


@dataclass(frozen=True)
class Contains:
    """The text is made of these segments with anything between them."""

    name: str
    column: SQLColumnExpression[Any]
    segments: tuple[str, ...]

    def sql(self) -> ColumnElement[bool]:
        return self.column.like(_like(self.segments), escape="\\")

    def holds(self, row: Row) -> bool:
        value = row[self.name]
        return value is not None and _is_made_of(self.segments, value)


@dataclass(frozen=True)
class HasElement:
    """The list has an element made of these segments with anything between them."""

    name: str
    column: SQLColumnExpression[Any]
    segments: tuple[str, ...]

    def sql(self) -> ColumnElement[bool]:
        if len(self.segments) == 1:
            # This form, and not `= ANY`, is what a GIN index serves; that it is not empty goes without saying,
            # but not to a partial index.
            return and_(self.column.bool_op("@>")([self.segments[0]]), self.column != text("'{}'"))
        element = func.unnest(self.column).column_valued("element")
        return select(true()).where(element.like(_like(self.segments), escape="\\")).exists()

    def holds(self, row: Row) -> bool:
        return any(_is_made_of(self.segments, element) for element in row[self.name] or ())


def _like(segments: tuple[str, ...]) -> str:
    return "%".join(
        segment.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") for segment in segments
    )


def _is_made_of(segments: tuple[str, ...], text: str) -> bool:
    """As LIKE decides it. Takes the leftmost place for each segment, so no pattern makes it backtrack."""
    if len(segments) == 1:
        return text == segments[0]
    first, *middle, last = segments
    if not text.startswith(first):
        return False
    at = len(first)
    for segment in middle:
        found = text.find(segment, at)
        if found < 0:
            return False
        at = found + len(segment)
    return len(text) - at >= len(last) and text.endswith(last)
