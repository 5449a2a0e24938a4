"""Which tasks lists and streams show: not those by which executions go on, unless a filter speaks of task types."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement

from taskflow_core.filters import FilterField, compile_filter, matcher
from taskflow_core.models import Task
from taskflow_core.service_tasks import OF_EXECUTIONS


def shown_tasks(filter: str, fields: Mapping[str, FilterField]) -> list[ColumnElement[bool]]:
    """As a WHERE clause over tasks. Raises InvalidArgument (INVALID_FILTER)."""
    condition = compile_filter(filter, fields)
    conditions = [] if condition is None else [condition]
    if not _speaks_of_types(filter):
        conditions.append(Task.task_type.not_in(OF_EXECUTIONS))
    return conditions


def shows(filter: str, fields: Mapping[str, FilterField]) -> Callable[[Any], bool]:
    """Whether a row is shown. Raises InvalidArgument (INVALID_FILTER)."""
    matches: Callable[[Any], bool] = matcher(filter, fields)
    if _speaks_of_types(filter):
        return matches
    return lambda row: row["task_type"] not in OF_EXECUTIONS and matches(row)


def _speaks_of_types(filter: str) -> bool:
    return "task_type" in filter
