"""JSON Schemas of inputs and outputs."""

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match


def schema_error(schema: dict[str, Any], value: Any) -> str | None:
    """What is wrong with a value, with its place; None if it fits."""
    error = best_match(Draft202012Validator(schema).iter_errors(value))
    if error is None:
        return None
    place = error.json_path.removeprefix("$").removeprefix(".")
    return f"{place}: {error.message}" if place else str(error.message)
