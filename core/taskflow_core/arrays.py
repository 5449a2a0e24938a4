"""Rows of a table as arrays, one for each column: what PostgreSQL and the driver read with the least work."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY
from sqlalchemy.dialects import postgresql

from taskflow_core.models.base import Base


class Arrays:
    """Some columns of a table, and their part in a statement that takes many rows of them.

    `first` and `next` are the numbers of their first parameter, and of the one after them. JSON, and arrays within
    rows, cross as text: `unnest` would flatten the latter. `guarded` rows have their statuses before as `new.before`.
    """

    def __init__(
        self, model: type[Base], names: Iterable[str], *, first: int = 1, guarded: bool = False
    ) -> None:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # of SQLAlchemy
        columns = {name: model.__table__.c[name].type for name in names}
        types = {name: kind.compile(dialect=dialect) for name, kind in columns.items()}
        self._texts = {name: _text_of(kind) for name, kind in columns.items()}
        self._values = {
            name: f"new.{name}" if text is None else f"new.{name}::{types[name]}"
            for name, text in self._texts.items()
        }
        kinds = {name: types[name] if text is None else "text" for name, text in self._texts.items()}
        if guarded:
            kinds["before"] = "text"
        self.first = first
        self.next = first + len(kinds)
        self.names = ", ".join(types)
        self.rows = f"{crossed(kinds, first=first)} AS new"

    def values(self, **instead: str) -> str:
        """What an INSERT selects; of some columns something else."""
        return ", ".join((self._values | instead).values())

    def moves(self, *kept: str, **instead: str) -> str:
        """What an UPDATE sets: all columns but those that stay."""
        values = self._values | instead
        return ", ".join(f"{name} = {value}" for name, value in values.items() if name not in kept)

    def of(self, rows: Sequence[Mapping[str, Any]]) -> list[list[Any] | None]:
        """The parameters for these rows."""
        parameters: list[list[Any] | None] = []
        for name, text in self._texts.items():
            values = [row[name] for row in rows]
            if text is not None:
                # First, because JSON tells values apart that Python does not: 1, 1.0 and true.
                values = [None if value is None else text(value) for value in values]
            parameters.append(crossing(values))
        return parameters


def _text_of(kind: object) -> Callable[[Any], str] | None:
    if isinstance(kind, ARRAY):
        return array_text
    return json.dumps if isinstance(kind, postgresql.JSONB) else None


def crossing(values: list[Any]) -> list[Any] | None:
    """The parameter for a column. If all rows have the same value it crosses once, or as NULL if it is unset.

    Each value that crosses costs on both sides, and the rows of a batch are much alike.
    """
    if not values or values.count(values[0]) < len(values):
        return values
    return None if values[0] is None else values[:1]


def crossed(kinds: Mapping[str, str], *, first: int = 1) -> str:
    """What a statement selects rows from, of parameters that `crossing` made: columns with their types.

    No two rows may be the same in all columns.
    """
    arrays = {name: f"${number}::{kind}[]" for number, (name, kind) in enumerate(kinds.items(), start=first)}
    fields = (
        f"CASE cardinality({array}) WHEN 1 THEN ({array})[1] ELSE {name} END AS {name}"
        for name, array in arrays.items()
    )
    columns = ", ".join(arrays)
    return f"(SELECT {', '.join(fields)} FROM unnest({', '.join(arrays.values())}) AS crossed ({columns}))"  # noqa: S608


def array_text(values: Iterable[Any]) -> str:
    """An array as PostgreSQL writes it: text, because `unnest` would flatten an array within an array of rows."""
    quoted = ('"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return "{" + ",".join(quoted) + "}"
