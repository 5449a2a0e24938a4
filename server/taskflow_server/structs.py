"""`google.protobuf.Struct` and `Value`, and Python's own values for the same JSON."""

import sys
from typing import Any

from google.protobuf import json_format, struct_pb2

from taskflow_core.errors import InvalidArgument

# Each level of a Struct is three levels of messages, and readers of messages stop at 100.
MAX_LEVELS = 30


def fields_of(struct: struct_pb2.Struct, field: str) -> dict[str, Any]:
    """The members of a Struct, all numbers as floats. Raises InvalidArgument at `field` if it is too deep."""
    try:
        return _members(struct, MAX_LEVELS)
    except _TooDeep:
        raise InvalidArgument.at(
            field,
            f"more than {MAX_LEVELS} levels of nesting; send it as {field.rpartition('.')[2]}_json",
            levels=str(MAX_LEVELS),
        ) from None


def fits_in_value(value: Any, levels: int = MAX_LEVELS) -> bool:
    """Whether a Value can carry this: not too deep, and no integer that is beyond a double."""
    match value:
        case dict():
            return levels > 0 and all(fits_in_value(member, levels - 1) for member in value.values())
        case list():
            return levels > 0 and all(fits_in_value(element, levels - 1) for element in value)
        case int():
            return abs(value) <= sys.float_info.max
    return True


def set_value(message: struct_pb2.Value, value: Any) -> None:
    """Fill a Value with something that fits in it."""
    json_format.ParseDict(value, message)


class _TooDeep(Exception):
    """No level is left."""


def _members(struct: struct_pb2.Struct, levels: int) -> dict[str, Any]:
    if levels == 0:
        raise _TooDeep
    return {key: _plain(value, levels - 1) for key, value in struct.fields.items()}


def _plain(value: struct_pb2.Value, levels: int) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _members(value.struct_value, levels)
        case "list_value":
            if levels == 0:
                raise _TooDeep
            return [_plain(element, levels - 1) for element in value.list_value.values]
        case "number_value":
            return value.number_value
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
    return None
