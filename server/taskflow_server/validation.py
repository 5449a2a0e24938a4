"""The rules of the contract (`buf.validate`), checked on every request message."""

from google.protobuf.message import Message
from protovalidate import FieldPathElementPb, ValidationError, Validator, Violation

from taskflow_core.errors import FieldError, InvalidArgument

_validator = Validator()


def validate(message: Message) -> None:
    """Raise `InvalidArgument`, with the path of each wrong field, if the message breaks a rule."""
    try:
        _validator.validate(message)
    except ValidationError as error:
        fields = [_field_error(violation) for violation in error.violations]
        raise _invalid(fields) from None


def compile_rules(kind: type[Message]) -> None:
    """Compile the rules of a message type now, so that a defect in them stops the start, not a call."""
    _validator.collect_violations(kind())


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
