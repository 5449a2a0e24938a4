import dataclasses
import json
import math
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from taskflow_core.errors import InvalidArgument
from taskflow_core.payloads import (
    InvalidResult,
    ResultTooLarge,
    canonical_json,
    check_payload,
    exact_numbers,
    payload_text,
    result_text,
)

LIMIT = 100_000

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8
)
json_objects = st.dictionaries(texts, json_values)


def refused_payload(text: str, limit: int = LIMIT) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as caught:
        check_payload(text, "payload_json", limit)
    return caught.value


def refused_struct(value: Any) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as caught:
        exact_numbers(value, "payload")
    return caught.value


def refused_result(value: Any) -> str:
    with pytest.raises(InvalidResult) as caught:
        result_text(value, LIMIT)
    return str(caught.value)


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def test_json_text_is_compact_and_keeps_letters_of_all_languages() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "ü€😀"}) == '{"b":[1,2.5],"a":"ü€😀"}'


def test_json_text_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(math.nan)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(json_objects)
def test_every_json_object_is_a_payload(value: dict[str, Any]) -> None:
    assert check_payload(json.dumps(value), "payload_json", 10**9) == value
    assert check_payload(canonical_json(value), "payload_json", 10**9) == value


def test_large_integers_in_json_text_stay_exact() -> None:
    assert check_payload('{"n": 9007199254740993}', "payload_json", LIMIT) == {"n": 9007199254740993}


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("", "payload_json", "not JSON: Expecting value (line 1, column 1)"),
        ('{"a": 1,\n}', "payload_json", "(line 2, column 1)"),
        ('{"a": "\0"}', "payload_json", "not JSON: Invalid control character"),
        ("[1]", "payload_json", "must be a JSON object, not an array"),
        ("null", "payload_json", "must be a JSON object, not null"),
        ('"x"', "payload_json", "must be a JSON object, not a text"),
        ("1", "payload_json", "must be a JSON object, not a number"),
        ("true", "payload_json", "must be a JSON object, not a boolean"),
        ('{"a": {"b": 1, "b": 1}}', "payload_json.a", 'the key "b" occurs twice'),
        ('{"b": 1, "b": 1}', "payload_json", 'the key "b" occurs twice'),
        ('{"\\ud800": 1, "\\ud800": 1}', "payload_json", 'the key "\\ud800" occurs twice'),
        ('{"a": [0, NaN]}', "payload_json.a[1]", "NaN, infinity and numbers beyond"),
        ('{"a": -Infinity}', "payload_json.a", "NaN, infinity and numbers beyond"),
        ('{"a": 1e400}', "payload_json.a", "NaN, infinity and numbers beyond"),
        ('{"a": {"b c": ["x\\u0000"]}}', 'payload_json.a["b c"][0]', "a NUL character (\\u0000)"),
        ('{"a\\u0000": 1}', 'payload_json["a\\u0000"]', "a NUL character"),
        ('{"a": "\\ud800"}', "payload_json.a", "half a surrogate pair"),
        ('{"a": "\ud800"}', "payload_json", "half a surrogate pair at character 8"),
        ('{"n": ' + "1" * 5000 + "}", "payload_json", "an integer of more than 4300 digits"),
    ],
)
def test_what_is_no_payload_says_where_and_why(text: str, field: str, says: str) -> None:
    error = refused_payload(text)
    assert error.reason == "INVALID_FIELDS"
    assert error.fields[0].field == field
    assert says in error.fields[0].description
    for word in [error.message, *error.metadata.values()]:
        word.encode()


def test_a_pair_of_surrogate_escapes_is_a_character_and_an_escaped_backslash_is_no_nul() -> None:
    assert check_payload(r'{"a": "\ud83d\ude00"}', "payload_json", LIMIT) == {"a": "😀"}
    assert check_payload(r'{"a": "\\u0000"}', "payload_json", LIMIT) == {"a": r"\u0000"}


def test_payloads_are_nested_at_most_100_levels_deep() -> None:
    check_payload(nested(100), "payload_json", LIMIT)
    assert "more than 100 levels" in refused_payload(nested(101)).message
    assert "more than 100 levels" in refused_payload(nested(10_000)).message
    assert (
        "more than 100 levels" in refused_payload('{"a":' + "[" * 50_000 + "]" * 50_000 + "}", 10**6).message
    )


def test_a_payload_over_the_limit_is_refused_with_the_limit_and_the_setting() -> None:
    text = '{"a":"é"}'
    assert check_payload(text, "payload_json", limit=10) == {"a": "é"}
    error = refused_payload(text, limit=9)
    assert error.reason == "LIMIT_EXCEEDED"
    assert error.metadata == {"size": "10", "limit": "9", "setting": "TASKFLOW_MAX_PAYLOAD_BYTES"}
    assert "10 bytes of JSON; at most 9 are allowed (setting TASKFLOW_MAX_PAYLOAD_BYTES)" in error.message


def test_whole_numbers_of_a_struct_become_integers() -> None:
    value = exact_numbers(
        {"n": 30.0, "zero": -0.0, "half": 0.5, "in": [1.0, {"x": -2.0}], "yes": True}, "payload"
    )
    assert canonical_json(value) == '{"half":0.5,"in":[1,{"x":-2}],"n":30,"yes":true,"zero":0}'


@pytest.mark.parametrize("number", [2.0**53, -(2.0**53), 9007199254740993.0, 1e300])
def test_whole_numbers_that_may_have_been_rounded_are_refused_with_a_way_out(number: float) -> None:
    error = refused_struct({"items": [{"n": 1.0}, {"n": number}]})
    assert error.reason == "NUMBER_NOT_EXACT"
    assert error.fields[0].field == "payload.items[1].n"
    assert "send it as a string, or the payload as payload_json" in error.message


def test_the_largest_exact_number_is_taken() -> None:
    assert exact_numbers({"n": 2.0**53 - 1}, "payload") == {"n": 9007199254740991}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": math.nan}, "payload.a"),
        ({"a": [math.inf]}, "payload.a[0]"),
        ({"a": "\0"}, "payload.a"),
        ({"\0": 1.0}, 'payload["\\u0000"]'),
    ],
)
def test_a_struct_holds_nothing_that_json_or_the_database_do_not(value: Any, field: str) -> None:
    error = refused_struct(value)
    assert error.reason == "INVALID_FIELDS"
    assert error.fields[0].field == field


def test_a_struct_is_nested_at_most_100_levels_deep() -> None:
    exact_numbers(json.loads(nested(100)), "payload")
    assert "more than 100 levels" in refused_struct(json.loads(nested(101))).message


@settings(deadline=None, derandomize=True, max_examples=50)
@given(json_objects)
def test_a_struct_keeps_its_meaning_and_its_text_does_not_depend_on_the_order_of_keys(
    value: dict[str, Any],
) -> None:
    try:
        text = payload_text(value, "payload", 10**9)
    except InvalidArgument as error:
        assert error.reason == "NUMBER_NOT_EXACT"  # noqa: PT017 - one of two right outcomes
        return
    assert json.loads(text) == value
    assert payload_text(dict(reversed(value.items())), "payload", 10**9) == text


def test_a_struct_over_the_limit_is_refused_with_the_limit_and_the_setting() -> None:
    with pytest.raises(InvalidArgument) as caught:
        payload_text({"a": "x" * 100}, "payload", limit=50)
    assert caught.value.reason == "LIMIT_EXCEEDED"
    assert caught.value.metadata["setting"] == "TASKFLOW_MAX_PAYLOAD_BYTES"


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    ONE = 1


Point = namedtuple("Point", "x y")  # noqa: PYI024 - an untyped one, as handlers have them


@dataclasses.dataclass
class Report:
    rows: int


class Model(BaseModel):
    rows: int


@settings(deadline=None, derandomize=True, max_examples=50)
@given(json_values)
def test_every_json_value_is_a_result(value: Any) -> None:
    assert json.loads(result_text(value, 10**9)) == value


def test_what_is_a_dict_list_text_or_number_by_inheritance_is_a_result_too() -> None:
    value = {
        Colour.RED: Colour.RED,
        "level": Level.ONE,
        "point": Point(1, 2),
        "more": OrderedDict(a=(1, (2,))),
    }
    assert result_text(value, LIMIT) == '{"red":"red","level":1,"point":[1,2],"more":{"a":[1,[2]]}}'


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "datetime is not JSON; return value.isoformat()"),
        (date(2026, 1, 1), "date is not JSON; return value.isoformat()"),
        (UUID(int=1), "UUID is not JSON; return str(value)"),
        (Decimal("1.5"), "Decimal is not JSON; return str(value)"),
        ({1, 2}, "set is not JSON; return sorted(value)"),
        (b"x", "bytes is not JSON; return a text: value.decode(), or base64 of it"),
        (Report(1), "Report is not JSON; return dataclasses.asdict(value)"),
        (Model(rows=1), 'Model is not JSON; return value.model_dump(mode="json")'),
        (object(), "object is not JSON; return dicts, lists, texts, numbers, booleans or None"),
        (Report, "type is not JSON; return dicts"),
        (math.nan, "NaN, infinity"),
        ("\0", "a NUL character"),
        ("\udc00", "half a surrogate pair"),
    ],
)
def test_a_result_that_is_not_json_says_where_it_is_and_what_to_return(value: Any, says: str) -> None:
    assert refused_result(value).startswith(f"result: {says}")
    assert refused_result({"rows": [0, value]}).startswith(f"result.rows[1]: {says}")


def test_an_integer_too_long_to_read_back_is_no_result() -> None:
    assert refused_result(10**4300) == "result: an integer of more than 4300 digits; use a text"
    assert len(result_text(10**4300 - 1, LIMIT)) == 4300


def test_a_coroutine_as_result_is_to_be_awaited() -> None:
    async def work() -> int:
        return 1

    coroutine = work()
    assert refused_result(coroutine) == "result: coroutine is not JSON; await it"
    coroutine.close()


def test_keys_of_a_result_are_texts() -> None:
    assert refused_result({"a": {1: 2}}) == "result.a: a key is of type int; keys must be texts: use str(key)"


def test_a_result_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert "more than 100 levels of nesting" in refused_result(endless)


def test_a_result_over_the_limit_is_refused_with_the_limit_and_the_setting() -> None:
    assert result_text("é", limit=4) == '"é"'
    with pytest.raises(ResultTooLarge, match=r"4 bytes of JSON; at most 3 .* TASKFLOW_MAX_RESULT_BYTES"):
        result_text("é", limit=3)
    with pytest.raises(ResultTooLarge, match=r"4 bytes of JSON; at most 3 .* \(setting ANOTHER\)"):
        result_text("ab", 3, "ANOTHER")


def test_a_small_result_that_would_be_endless_as_text_is_refused_at_once() -> None:
    shared: list[Any] = []
    for _ in range(60):
        shared = [shared, shared]
    with pytest.raises(ResultTooLarge, match="more than 1000 bytes"):
        result_text(shared, limit=1000)
