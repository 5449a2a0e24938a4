"""Evaluating expressions: at once where that is cheap for sure, else within bounds."""

from typing import Any

from taskflow_core.workflows.expressions import Expression, Scope, evaluate, follow, used
from taskflow_core.workflows.sandbox import Sandbox


class Expressions:
    """Evaluates expressions over scopes; see `expressions` for what those are."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def evaluate(self, expression: Expression, scope: Scope) -> Any:
        """The value: JSON, datetime or timedelta. Raises ExpressionError."""
        if expression.syntax.is_path:
            return follow(expression, scope)
        parts, _ = used(expression, scope)
        if expression.syntax.needs_bounds:
            return await self._sandbox.evaluate(expression, parts)
        return evaluate(expression, parts)
