"""Payloads and results as JSON text: what is let in, and what handlers may return.

Paths in messages read like code: `payload.items[3].name`.
"""

import dataclasses
import inspect
import json
import math
import re
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from taskflow_core.errors import InvalidArgument

MAX_DEPTH = 100
# Python reads and writes no longer integers.
MAX_INTEGER_DIGITS = 4300
# The doubles from here on skip integers.
FIRST_INEXACT = 2.0**53

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_TOO_LARGE_INTEGER = 10**MAX_INTEGER_DIGITS


class InvalidResult(Exception):
    """A handler returned something that is not JSON; the message says where, what, and what to return instead."""


class ResultTooLarge(Exception):
    """A handler returned more than is kept; the message names the limit and its setting."""


def storable(text: str) -> str:
    """The text with what PostgreSQL cannot store, NUL and halves of surrogate pairs, replaced by U+FFFD."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


# Made once: `json.dumps` makes one for every call that is not its default.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def canonical_json(value: Any) -> str:
    """Compact JSON text with keys as they come. Errors: ValueError for NaN and infinities."""
    return _encode(value)


def check_payload(text: str, field: str, limit: int) -> dict[str, Any]:
    """What a payload in JSON text says, if it is one JSON object within the limits.

    Refused besides what is not JSON: a key that occurs twice (readers differ on which one counts), NUL characters
    and lone surrogates (PostgreSQL stores neither), numbers beyond a double, more than 100 levels.

    Errors: InvalidArgument at `field` or a path in it (INVALID_FIELDS, LIMIT_EXCEEDED).
    """
    _check_payload_size(text, field, limit)
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise InvalidArgument.at(
            field,
            f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})",
            line=str(error.lineno),
            column=str(error.colno),
        ) from None
    except RecursionError:
        raise _Fault(_too_deep()).as_invalid_argument(field) from None
    except ValueError:
        raise _Fault(_too_many_digits()).as_invalid_argument(field) from None
    if not isinstance(value, dict):
        raise InvalidArgument.at(field, f"must be a JSON object, not {_json_name(value)}")
    try:
        _Check(limit).value(value)
    except _Fault as fault:
        raise fault.as_invalid_argument(field) from None
    return value


def payload_text(value: dict[str, Any], field: str, limit: int) -> str:
    """The JSON text of a payload that came through `google.protobuf.Struct`.

    Errors: as `exact_numbers`, and InvalidArgument at `field` (LIMIT_EXCEEDED).
    """
    text = canonical_json(exact_numbers(value, field))
    _check_payload_size(text, field, limit)
    return text


def exact_numbers(value: Any, field: str) -> Any:
    """A value that came through `google.protobuf.Struct`, with its whole numbers as integers again.

    Keys come sorted, because a Struct has lost their order and the same request should give the same text.

    Errors: InvalidArgument at the path: NUMBER_NOT_EXACT for a whole number of 2^53 or more, which may have been
    rounded on the way; INVALID_FIELDS as in `check_payload`.
    """
    try:
        return _exact(value, depth=1)
    except _Fault as fault:
        raise fault.as_invalid_argument(field) from None


def result_text(value: Any, limit: int, setting: str = "TASKFLOW_MAX_RESULT_BYTES") -> str:
    """The JSON text of what a handler returned.

    Taken are dicts with text keys, lists, tuples (as lists), texts, numbers, booleans and None, and nothing else:
    how a date or an object becomes JSON is the handler's choice to make. `setting` is what allows more.

    Errors: InvalidResult, ResultTooLarge.
    """
    check = _Check(limit)
    try:
        check.value(value)
        text = canonical_json(value)
        size = len(text.encode())
    except _Fault as fault:
        raise InvalidResult(f"result{fault.path}: {fault.description}") from None
    except _TooManyValues:
        raise ResultTooLarge(_too_large_result(f"more than {limit}", limit, setting)) from None
    if size > limit:
        raise ResultTooLarge(_too_large_result(str(size), limit, setting))
    return text


def _check_payload_size(text: str, field: str, limit: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgument.at(
            field, f"half a surrogate pair at character {error.start + 1}", character=str(error.start + 1)
        ) from None
    if size > limit:
        raise InvalidArgument.at(
            field,
            f"{size} bytes of JSON; at most {limit} are allowed (setting TASKFLOW_MAX_PAYLOAD_BYTES)."
            " Store large input elsewhere and send its address",
            reason="LIMIT_EXCEEDED",
            size=str(size),
            limit=str(limit),
            setting="TASKFLOW_MAX_PAYLOAD_BYTES",
        )


def _too_large_result(size: str, limit: int, setting: str) -> str:
    return (
        f"{size} bytes of JSON; at most {limit} are allowed (setting {setting})."
        " Store large output elsewhere and return its address"
    )


class _Fault(Exception):
    """Something in a value is wrong. Each level that it passes on its way out adds its step to the path."""

    def __init__(self, description: str, reason: str = "INVALID_FIELDS", **metadata: str) -> None:
        super().__init__(description)
        self.description = description
        self.reason = reason
        self.metadata = metadata
        self._steps: list[str] = []

    def inside(self, step: str | int) -> "_Fault":
        if isinstance(step, int):
            self._steps.append(f"[{step}]")
        elif step.isidentifier():
            self._steps.append(f".{step}")
        else:
            self._steps.append(f"[{json.dumps(step)}]")
        return self

    @property
    def path(self) -> str:
        return "".join(reversed(self._steps))

    def as_invalid_argument(self, field: str) -> InvalidArgument:
        return InvalidArgument.at(
            f"{field}{self.path}", self.description, reason=self.reason, **self.metadata
        )


class _TooManyValues(Exception):
    """More values than the text may have bytes."""


class _RepeatedKey(dict[str, Any]):
    """An object of a JSON text in which this key occurs twice."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    keys = [key for key, _ in pairs]
    # json does not say where it is, so the fault is raised by `_Check`, which knows.
    return _RepeatedKey(next(key for key in keys if keys.count(key) > 1))


_decode = json.JSONDecoder(object_pairs_hook=_object).decode


class _Check:
    """Walks a value and raises `_Fault` at the first thing that is not JSON or not stored.

    Every value takes at least one byte of text, so more values than `limit` end the walk: lists that share their
    parts can be small in memory and endless as text.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def value(self, value: Any, depth: int = 0) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooManyValues
        kind = type(value)
        if kind is str:
            _check_text(value)
        elif kind is dict:
            self._members(value, depth + 1)
        elif kind is list:
            self._elements(value, depth + 1)
        elif kind is float:
            _check_finite(value)
        elif kind is int:
            _check_digits(value)
        elif value is not None and kind is not bool:
            self._subclass(value, depth)

    def _members(self, members: dict[Any, Any], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _Fault(_too_deep())
        for key, value in members.items():
            if not isinstance(key, str):
                raise _Fault(f"a key is of type {type(key).__name__}; keys must be texts: use str(key)")
            try:
                _check_text(key)
                self.value(value, depth)
            except _Fault as fault:
                raise fault.inside(key) from None

    def _elements(self, elements: list[Any] | tuple[Any, ...], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _Fault(_too_deep())
        for index, value in enumerate(elements):
            try:
                self.value(value, depth)
            except _Fault as fault:
                raise fault.inside(index) from None

    def _subclass(self, value: Any, depth: int) -> None:
        """The types that are rarer, and those that are wrong."""
        if isinstance(value, _RepeatedKey):
            raise _Fault(f"the key {json.dumps(value.key)} occurs twice", key=json.dumps(value.key))
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, dict):
            self._members(value, depth + 1)
        elif isinstance(value, list | tuple):
            self._elements(value, depth + 1)
        elif isinstance(value, float):
            _check_finite(value)
        elif isinstance(value, int):
            _check_digits(value)
        else:
            raise _Fault(f"{type(value).__name__} is not JSON; {_instead(value)}")


def _exact(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is float:
        return _exact_number(value)
    if kind is str:
        _check_text(value)
    elif kind is dict or kind is list:
        if depth > MAX_DEPTH:
            raise _Fault(_too_deep())
        return _exact_members(value, depth) if kind is dict else _exact_elements(value, depth)
    return value


def _exact_members(members: dict[str, Any], depth: int) -> dict[str, Any]:
    exact = {}
    for key in sorted(members):
        try:
            _check_text(key)
            exact[key] = _exact(members[key], depth + 1)
        except _Fault as fault:
            raise fault.inside(key) from None
    return exact


def _exact_elements(elements: list[Any], depth: int) -> list[Any]:
    exact = []
    for index, value in enumerate(elements):
        try:
            exact.append(_exact(value, depth + 1))
        except _Fault as fault:
            raise fault.inside(index) from None
    return exact


def _exact_number(value: float) -> float | int:
    _check_finite(value)
    if abs(value) >= FIRST_INEXACT:
        raise _Fault(
            f"{value:.0f} is 2^53 or more and may have been rounded on the way;"
            " send it as a string, or the payload as payload_json",
            reason="NUMBER_NOT_EXACT",
            number=f"{value:.0f}",
        )
    return int(value) if value.is_integer() else value


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _Fault("a NUL character (\\u0000) cannot be stored; leave it out, or use base64 for bytes")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Fault("half a surrogate pair is not a character and cannot be stored") from None


def _check_finite(number: float) -> None:
    if not math.isfinite(number):
        raise _Fault(
            "NaN, infinity and numbers beyond the range of doubles are not allowed; use null or a text"
        )


def _check_digits(number: int) -> None:
    if abs(number) >= _TOO_LARGE_INTEGER:
        raise _Fault(_too_many_digits())


def _too_deep() -> str:
    return f"more than {MAX_DEPTH} levels of nesting"


def _too_many_digits() -> str:
    return f"an integer of more than {MAX_INTEGER_DIGITS} digits; use a text"


def _json_name(value: Any) -> str:
    names = {str: "a text", list: "an array", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _instead(value: Any) -> str:
    """What a handler should return for a value that JSON does not have."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "return dataclasses.asdict(value)"
    if hasattr(value, "model_dump"):
        return 'return value.model_dump(mode="json")'
    if isinstance(value, date | time):
        return "return value.isoformat()"
    if isinstance(value, UUID | Decimal):
        return "return str(value)"
    if isinstance(value, set | frozenset):
        return "return sorted(value)"
    if isinstance(value, bytes | bytearray | memoryview):
        return "return a text: value.decode(), or base64 of it"
    if inspect.isawaitable(value):
        return "await it"
    return "return dicts, lists, texts, numbers, booleans or None"
