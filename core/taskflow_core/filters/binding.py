"""From syntax to meaning: every name known, every operator allowed, every value read."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import SQLColumnExpression

from taskflow_core.filters.conditions import (
    All,
    Compares,
    Condition,
    Contains,
    HasElement,
    IsSet,
    Negation,
    Some,
)
from taskflow_core.filters.kinds import TEXT, TEXT_LIST, Kind
from taskflow_core.filters.syntax import And, Comparison, Node, Not, Or, invalid_filter


@dataclass(frozen=True)
class FilterField:
    """A field that filters may name: where it is stored and what it holds."""

    column: SQLColumnExpression[Any]
    kind: Kind


def bind(node: Node, fields: Mapping[str, FilterField]) -> Condition:
    """The conditions that a tree means.

    Errors: InvalidArgument at `filter` (INVALID_FILTER).
    """
    match node:
        case And(nodes):
            return All(tuple(bind(inner, fields) for inner in nodes))
        case Or(nodes):
            return Some(tuple(bind(inner, fields) for inner in nodes))
        case Not(inner):
            return Negation(bind(inner, fields))
        case Comparison():
            return _bind_comparison(node, fields)


def _bind_comparison(comparison: Comparison, fields: Mapping[str, FilterField]) -> Condition:
    field = fields.get(comparison.field)
    if field is None:
        raise invalid_filter(
            f"unknown field {comparison.field!r} at position {comparison.position}"
            f"{_suggestion(comparison.field, fields)}; allowed: {', '.join(fields)}",
            found=comparison.field,
            position=str(comparison.position),
            allowed=",".join(fields),
        )
    if comparison.operator not in field.kind.operators:
        raise invalid_filter(
            f"{comparison.operator!r} at position {comparison.operator_position} does not work on"
            f" {comparison.field}; allowed: {' '.join(field.kind.operators)}",
            found=comparison.operator,
            position=str(comparison.operator_position),
            on=comparison.field,
            allowed=" ".join(field.kind.operators),
        )
    if comparison.operator == "!=":
        return Negation(_positive(comparison, "=", field))
    return _positive(comparison, comparison.operator, field)


def _positive(comparison: Comparison, operator: str, field: FilterField) -> Condition:
    name, column, kind, value = comparison.field, field.column, field.kind, comparison.value
    if operator == ":" and value.segments == ("", ""):
        return IsSet(name, column, is_list=kind is TEXT_LIST)
    if kind is TEXT_LIST:
        return HasElement(name, column, value.segments)
    if kind is TEXT and operator == ":":
        return Contains(name, column, ("", *value.segments, ""))
    if kind is TEXT and value.has_wildcard:
        if operator != "=":
            raise invalid_filter(
                f"'*' at position {value.position} works with = != : only; for a star itself write \\* in quotes",
                found="*",
                position=str(value.position),
            )
        return Contains(name, column, value.segments)
    try:
        operand = kind.read(value.text)
    except ValueError:
        raise invalid_filter(
            f"{value.text!r} at position {value.position} is no value for {name}"
            f"{_suggestion(value.text.upper(), kind.values)}; expected {kind.expects}",
            found=value.text,
            position=str(value.position),
            on=name,
            expected=kind.expects,
        ) from None
    return Compares(name, column, "=" if operator == ":" else operator, operand, kind.sql_type)


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
