"""Checks a payload against a pydantic model and says in plain words what is wrong with it."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from taskflow_worker.outcome import InvalidPayload

Model = TypeVar("Model", bound=BaseModel)

# What pydantic calls an error, in words that need no knowledge of pydantic.
WORDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "extra_forbidden": "is not a field of this payload",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "missing": "is required",
    "model_attributes_type": "must be an object",
    "model_type": "must be an object",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be text",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "value_error": "{error}",
}


def parse_payload(model: type[Model], payload: Any) -> Model:
    """The payload as a `model`. Raises InvalidPayload, which is final and names each wrong field."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        raise InvalidPayload("; ".join(_in_words(detail) for detail in wrong)) from None


def _in_words(detail: ErrorDetails) -> str:
    words = WORDS.get(detail["type"])
    text = words.format(**detail.get("ctx", {})) if words else detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{'.'.join(map(str, detail['loc'])) or 'payload'}: {text}"
