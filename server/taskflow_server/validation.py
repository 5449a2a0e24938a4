"""The rules of the contract (`buf.validate`), checked on every request message, and that texts can be stored."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from protovalidate import FieldPathElementPb, ValidationError, Validator, Violation

from taskflow_core.errors import FieldError, InvalidArgument

_validator = Validator()

# Payloads: core checks them, and knows where in the JSON they are wrong.
_CHECKED_BY_CORE = {Struct.DESCRIPTOR.full_name, Value.DESCRIPTOR.full_name}


def validate(message: Message) -> None:
    """Raise `InvalidArgument`, with the path of each wrong field, if the message breaks a rule."""
    if fields := violations(message):
        raise _invalid(fields)


def violations(message: Message) -> list[FieldError]:
    """The wrong fields of a message."""
    try:
        _validator.validate(message)
    except ValidationError as error:
        return [_field_error(violation) for violation in error.violations]
    # A message without a zero byte has no text with one.
    return list(_unstorable(message)) if b"\0" in message.SerializeToString() else []


def compile_rules(kind: type[Message]) -> None:
    """Compile the rules of a message type now, so that a defect in them stops the start, not a call."""
    _validator.collect_violations(kind())


def _unstorable(message: Message, prefix: str = "") -> Iterator[FieldError]:
    """The texts with a NUL character, which PostgreSQL does not store."""
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        for place, element in _elements(field, value):
            if isinstance(element, str) and "\0" in element:
                yield FieldError(f"{path}{place}", "a NUL character cannot be stored", rule="string.nul")
            elif isinstance(element, Message) and element.DESCRIPTOR.full_name not in _CHECKED_BY_CORE:
                yield from _unstorable(element, f"{path}{place}.")


def _elements(field: FieldDescriptor, value: Any) -> Iterator[tuple[str, Any]]:
    """The values of a field, each with its subscript."""
    if not field.is_repeated:
        yield "", value
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        for key in value:
            yield f'["{key}"]', key
            yield f'["{key}"]', value[key]
    else:
        for index, element in enumerate(value):
            yield f"[{index}]", element


def _invalid(fields: list[FieldError]) -> InvalidArgument:
    first, others = fields[0], len(fields) - 1
    where = f"{first.field}: " if first.field else ""
    more = f" (and {others} more)" if others else ""
    return InvalidArgument(f"{where}{first.description}{more}", fields)


def _field_error(violation: Violation) -> FieldError:
    found = violation.proto
    elements = found.field.elements if found.field is not None else []
    path = ".".join(_path_element(element) for element in elements)
    return FieldError(path, found.message, rule=found.rule_id)


def _path_element(element: FieldPathElementPb) -> str:
    """A field name, with `[2]` for an item of a list and `["key"]` for a value of a map."""
    if element.subscript is None:
        return element.field_name
    key = element.subscript.value
    return f'{element.field_name}["{key}"]' if isinstance(key, str) else f"{element.field_name}[{key}]"
