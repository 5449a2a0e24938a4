"""Whether inputs and outputs of executions fit their schemas."""

from typing import Any

from taskflow_core.workflows.schemas import violations


def schema_error(schema: dict[str, Any], value: Any) -> str | None:
    """What is wrong with a value first, with its place; None if it fits."""
    for violation in violations(schema, value):
        place = violation.path.removeprefix(".")
        return f"{place}: {violation.description}" if place else violation.description
    return None
