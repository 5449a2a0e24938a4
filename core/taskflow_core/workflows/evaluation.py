"""Evaluating expressions: at once where that is cheap for sure, else within bounds."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.expressions import (
    Expression,
    Scope,
    compile_expression,
    evaluate,
    follow,
    json_value,
    name_of,
    used,
)
from taskflow_core.workflows.sandbox import Sandbox


class Expressions:
    """Evaluates expressions over scopes; see `expressions` for what those are."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def value(self, source: str, scope: Scope) -> Any:
        """The value, as JSON. Raises ExpressionError."""
        return json_value(await self.evaluate(compile_expression(source), scope))

    async def truth(self, source: str, scope: Scope) -> bool:
        """The value of a condition. Raises ExpressionError if it is neither true nor false."""
        value = await self.evaluate(compile_expression(source), scope)
        if not isinstance(value, bool):
            raise ExpressionError(f"gives {name_of(value)}, not true or false")
        return value

    async def items(self, source: str, scope: Scope) -> list[Any]:
        """The list of a map. Raises ExpressionError."""
        value = await self.evaluate(compile_expression(source), scope)
        if not isinstance(value, list):
            raise ExpressionError(f"gives {name_of(value)}, not a list")
        return value

    async def time(self, source: str, scope: Scope) -> datetime | timedelta:
        """The value of a DELAY: until when, or how long. Raises ExpressionError."""
        value = await self.evaluate(compile_expression(source), scope)
        if not isinstance(value, datetime | timedelta):
            raise ExpressionError(
                f"gives {name_of(value)}, not a timestamp or a duration; write timestamp(...) or duration(...)"
            )
        return value

    async def evaluate_template(
        self, fields: Mapping[str, Any], expressions: Mapping[str, str], scope: Scope
    ) -> dict[str, Any]:
        """The fields as they are, with those laid over them that are computed, name by name.

        Raises ExpressionError, whose message begins with the name of the field.
        """
        computed = {}
        for name, source in expressions.items():
            try:
                computed[name] = await self.value(source, scope)
            except ExpressionError as error:
                raise ExpressionError(f"{name}: {error.message}", error.position) from None
        return {**fields, **computed}

    async def evaluate(self, expression: Expression, scope: Scope) -> Any:
        """The value: JSON, datetime or timedelta. Raises ExpressionError."""
        if expression.syntax.is_path:
            return follow(expression, scope)
        parts, _ = used(expression, scope)
        if expression.syntax.needs_bounds:
            return await self._sandbox.evaluate(expression, parts)
        return evaluate(expression, parts)
