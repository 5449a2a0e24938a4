"""Expressions in tests."""

from collections.abc import Mapping
from typing import Any

from taskflow_core.workflows.evaluation import Expressions
from taskflow_core.workflows.expressions import compile_expression, json_value
from taskflow_core.workflows.sandbox import Sandbox


async def value_of(source: str, scope: Mapping[str, Any], expressions: Expressions | None = None) -> Any:
    """The value of an expression, as JSON. Without `expressions`, of one that needs no process of its own."""
    expressions = expressions or Expressions(Sandbox())
    return json_value(await expressions.evaluate(compile_expression(source), scope))
