"""JSON Schema (2020-12) of inputs and outputs: whether a schema is one, and whether a value fits it.

Nothing is fetched: a schema may refer to its own parts only. And nothing takes for ever: patterns are those of CEL,
whose matching takes linear time (what Python's have beyond them, such as look-ahead, is refused), and a check ends
after so many steps.
"""

import functools
import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from taskflow_core.payloads import canonical_json
from taskflow_core.workflows.cel_library import cel

DIALECTS = ("https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2020-12/schema#")
# More of them help nobody.
MAX_VIOLATIONS = 20
MAX_SCHEMA_BYTES = 64 * 1024
# Of one check: about a second. A row of a large input takes ten to twenty.
MAX_STEPS = 400_000

_steps_left: ContextVar[list[int]] = ContextVar("steps_left")

_MATCHES = cel.compile("text.matches(pattern)")


@dataclass(frozen=True)
class Violation:
    """Something that does not fit: where, as in `.rows[3].id`, and what."""

    path: str
    description: str


def schema_violations(schema: dict[str, Any]) -> list[Violation]:
    """What keeps a schema from being one that we can use."""
    size = len(canonical_json(schema).encode())
    if size > MAX_SCHEMA_BYTES:
        return [Violation("", f"{size} bytes; at most {MAX_SCHEMA_BYTES} are allowed")]
    found = [
        Violation(_path(error), error.message)
        for error in _first(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema))
    ]
    return found or list(_unusable(schema, schema, ""))


def violations(schema: dict[str, Any], value: Any) -> list[Violation]:
    """Where a value does not fit a schema that has been checked; the first MAX_VIOLATIONS."""
    validator = _Validator(schema, registry=Registry())
    _steps_left.set([MAX_STEPS])
    try:
        return [Violation(_path(error), error.message) for error in _first(validator.iter_errors(value))]
    except RecursionError:
        return [Violation("", "the schema or the value is nested too deeply")]
    except _TooManySteps:
        return [Violation("", f"more than {MAX_STEPS} steps to check it; simplify the schema")]


def _first(errors: Iterator[ValidationError]) -> list[ValidationError]:
    return [error for error, _ in zip(errors, range(MAX_VIOLATIONS), strict=False)]


def _path(error: ValidationError) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)


def _unusable(schema: dict[str, Any], part: Any, path: str) -> Iterator[Violation]:
    """References that lead out or nowhere, patterns that cannot be matched, and other dialects."""
    if isinstance(part, list):
        for index, element in enumerate(part):
            yield from _unusable(schema, element, f"{path}[{index}]")
    elif isinstance(part, dict):
        yield from _unusable_keywords(schema, part, path)
        for name, member in part.items():
            if name not in ("const", "default", "enum", "examples"):
                yield from _unusable(schema, member, f"{path}.{name}")


def _unusable_keywords(schema: dict[str, Any], part: dict[str, Any], path: str) -> Iterator[Violation]:
    if part.get("$schema", DIALECTS[0]) not in DIALECTS:
        yield Violation(f"{path}.$schema", f"is not {DIALECTS[0]}")
    for keyword in ("$ref", "$dynamicRef"):
        if isinstance(part.get(keyword), str) and not _resolves(schema, part[keyword]):
            yield Violation(f"{path}.{keyword}", f"{part[keyword]!r} is no part of this schema")
    patterns = part.get("patternProperties")
    for pattern in [part.get("pattern"), *(patterns if isinstance(patterns, dict) else ())]:
        if isinstance(pattern, str) and (wrong := _wrong_pattern(pattern)):
            yield Violation(path, f"{pattern!r} is not a pattern: {wrong}")
    if "unevaluatedProperties" in part and patterns:
        yield Violation(path, "unevaluatedProperties beside patternProperties; use additionalProperties")


def _resolves(schema: dict[str, Any], reference: str) -> bool:
    registry: Registry[Any] = Registry().with_resource("", DRAFT202012.create_resource(schema))
    try:
        registry.resolver("").lookup(reference)
    except Unresolvable:
        return False
    return reference.startswith("#")


@functools.lru_cache(maxsize=1000)
def _wrong_pattern(pattern: str) -> str:
    try:
        _matches(pattern, "")
    except RuntimeError as error:
        return str(error).splitlines()[-1]
    return ""


def _matches(pattern: str, text: str) -> bool:
    found: bool = _MATCHES.execute({"text": text, "pattern": pattern})
    return found


def _pattern(
    validator: Any, pattern: str, instance: Any, _schema: dict[str, Any]
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: dict[str, Any], instance: Any, _schema: dict[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, inner in patterns.items():
        for name, member in instance.items():
            if _matches(pattern, name):
                yield from validator.descend(member, inner, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, additional: Any, instance: Any, schema: dict[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for name, member in instance.items():
        if name in schema.get("properties", {}):
            continue
        if any(_matches(pattern, name) for pattern in schema.get("patternProperties", {})):
            continue
        if additional is False:
            yield ValidationError(f"{name!r} is not a member that is allowed", path=(name,))
        else:
            yield from validator.descend(member, additional, path=name)


def _unique_items(
    validator: Any, unique: bool, instance: Any, _schema: dict[str, Any]
) -> Iterator[ValidationError]:
    if not unique or not validator.is_type(instance, "array"):
        return
    texts = {json.dumps(_with_whole_numbers(element), sort_keys=True) for element in instance}
    if len(texts) < len(instance):
        yield ValidationError("has elements that are the same")


def _with_whole_numbers(value: Any) -> Any:
    """The same JSON, with 1 for 1.0, which JSON Schema takes for equal."""
    match value:
        case dict():
            return {name: _with_whole_numbers(member) for name, member in value.items()}
        case list():
            return [_with_whole_numbers(element) for element in value]
        case float() if value.is_integer():
            return int(value)
    return value


class _TooManySteps(Exception):
    """A check has used up its steps."""


Keyword = Callable[[Any, Any, Any, dict[str, Any]], Iterator[ValidationError] | None]


def _counted(keyword: Keyword, cost: int) -> Keyword:
    """The check of a keyword, which uses up steps: one for each thing that it has to look at, times its cost."""

    def check(
        validator: Any, value: Any, instance: Any, schema: dict[str, Any]
    ) -> Iterator[ValidationError] | None:
        left = _steps_left.get()
        left[0] -= cost * (1 + _length(value) + _length(instance))
        if left[0] < 0:
            raise _TooManySteps
        return keyword(validator, value, instance, schema)

    return check


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value) // 100
    return len(value) if isinstance(value, dict | list) else 0


# Of those that take longer than others.
_COSTS = {"$ref": 20, "$dynamicRef": 20, "uniqueItems": 5}
_KEYWORDS: dict[str, Keyword] = {
    **Draft202012Validator.VALIDATORS,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _counted(keyword, _COSTS.get(name, 1)) for name, keyword in _KEYWORDS.items()},
)
