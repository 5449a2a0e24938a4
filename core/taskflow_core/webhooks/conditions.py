"""Conditions on events in CEL: bounded in size, in loops, and where there are any also in time."""

from collections.abc import Mapping
from typing import Any

import structlog

from taskflow_core.errors import InvalidArgument
from taskflow_core.workflows.evaluation import Expressions
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.expressions import compile_expression
from taskflow_core.workflows.sandbox import NotEvaluated

log = structlog.get_logger()

# Each can go over a list within another: one event must not keep the others waiting.
MAX_LOOPS = 2
VARIABLE = "event"


def check_condition(condition: str, field: str) -> None:
    """Raises InvalidArgument at `field` if it does not compile or could take long."""
    if not condition:
        return
    try:
        syntax = compile_expression(condition).syntax
    except ExpressionError as error:
        raise InvalidArgument.at(field, f"is not CEL: {error}") from None
    if syntax.loops > MAX_LOOPS:
        raise InvalidArgument.at(
            field,
            f"{syntax.loops} of all, exists, exists_one, map and filter; at most {MAX_LOOPS} are allowed",
        )
    for reference in syntax.references:
        if reference.variable != VARIABLE:
            raise InvalidArgument.at(
                field,
                f"unknown variable {reference.variable!r} at character {reference.position}; "
                f"there is only {VARIABLE!r}",
            )


async def holds(expressions: Expressions, condition: str, event: Mapping[str, Any]) -> bool:
    """Whether a condition is true of an event. One that fails, as for want of a field, is not.

    Raises NotEvaluated.
    """
    if not condition:
        return True
    try:
        return await expressions.evaluate(compile_expression(condition), {VARIABLE: event}) is True
    except NotEvaluated:
        raise
    except ExpressionError as error:
        log.debug("a condition failed, the event is left out", error=str(error), type=event["type"])
        return False
