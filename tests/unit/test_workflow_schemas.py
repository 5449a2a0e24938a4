"""JSON Schema: what fits, what does not and where, and that nothing takes for ever."""

import time
from typing import Any

import pytest

from taskflow_core.workflows.schemas import schema_violations, violations

ORDER = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "pattern": "^o-[0-9]+$"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "additionalProperties": False,
    "$defs": {"line": {"type": "object", "properties": {"count": {"type": "integer", "minimum": 1}}}},
}


def test_a_value_that_fits_has_no_violations():
    assert schema_violations(ORDER) == []
    assert violations(ORDER, {"id": "o-12", "lines": [{"count": 1}]}) == []


def test_every_violation_is_told_with_its_place():
    found = violations(ORDER, {"id": "12", "lines": [{"count": 1}, {"count": 0}], "note": "x"})
    assert sorted(violation.path for violation in found) == [".id", ".lines[1].count", ".note"]


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"patternProperties": {"^n_": {"type": "integer"}}}, {"n_x": 1, "t": "x"}, {"n_x": "x"}),
        (
            {"patternProperties": {"^n_": {}}, "properties": {"id": {}}, "additionalProperties": False},
            {"n_x": 1, "id": 2},
            {"other": 1},
        ),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "x"}),
        ({"prefixItems": [{"type": "string"}], "items": False}, ["x"], ["x", 1]),
        ({"uniqueItems": True}, [1, "1", {"a": 1}, {"a": 2}], [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}]),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"c": 1}, {"a": 1}),
    ],
)
def test_the_words_of_2020_12_mean_what_they_say(schema: dict[str, Any], fits: Any, does_not: Any):
    assert schema_violations(schema) == []
    assert violations(schema, fits) == []
    assert violations(schema, does_not) != []


def test_a_pattern_that_makes_others_hang_takes_no_time():
    schema = {"type": "string", "pattern": "^(a+)+$"}
    start = time.process_time()
    assert len(violations(schema, "a" * 50_000 + "b")) == 1
    assert time.process_time() - start < 2


def doubling() -> dict[str, Any]:
    """Each part is looked at twice as often as the one before."""
    parts = {f"p{n}": {"anyOf": [{"$ref": f"#/$defs/p{n + 1}"}] * 2} for n in range(30)}
    return {"$ref": "#/$defs/p0", "$defs": {**parts, "p30": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling(), 1),
        ({"items": {"allOf": [{"type": "integer"}] * 1000}}, list(range(100_000))),
        ({"uniqueItems": True}, [{} for _ in range(300_000)]),
        ({"items": {"enum": [f"x{n}" for n in range(5000)]}}, ["y"] * 100_000),
    ],
)
def test_a_check_that_would_take_for_ever_is_ended(schema: dict[str, Any], value: Any):
    assert schema_violations(schema) == []
    start = time.process_time()
    assert len(violations(schema, value)) in {1, 20}
    assert time.process_time() - start < 20


def test_ten_thousand_rows_are_checked():
    row = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "integer"}, "t": {"type": "string"}},
    }
    rows = [{"id": number, "t": "x" * 20, "n": 1.5} for number in range(10_000)]
    assert violations({"items": row}, rows) == []


def test_a_schema_is_of_limited_size():
    [violation] = schema_violations({"description": "x" * 70_000})
    assert "at most 65536" in violation.description


def test_a_schema_that_leads_to_itself_ends():
    found = violations({"$ref": "#"}, {})
    assert [violation.description for violation in found] == ["the schema or the value is nested too deeply"]
