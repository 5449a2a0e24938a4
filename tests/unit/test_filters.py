import contextlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from taskflow_core import filters
from taskflow_core.errors import InvalidArgument
from taskflow_core.filters import FilterField, compile_filter, matcher, parse
from taskflow_core.filters.syntax import And, Comparison, Not, Or
from taskflow_core.states import Priority, TaskStatus

TASKS = sa.table(
    "tasks",
    sa.column("id", sa.Uuid),
    sa.column("name", sa.Text),
    sa.column("status", sa.Text),
    sa.column("priority", sa.Text),
    sa.column("tags", postgresql.ARRAY(sa.Text)),
    sa.column("attempt", sa.Integer),
    sa.column("progress", sa.Double),
    sa.column("timeout", sa.Double),
    sa.column("cancel_requested", sa.Boolean),
    sa.column("end_time", sa.DateTime(timezone=True)),
)
FIELDS = {
    "id": FilterField(TASKS.c.id, filters.UUID),
    "name": FilterField(TASKS.c.name, filters.TEXT),
    "status": FilterField(TASKS.c.status, filters.ENUM(TaskStatus)),
    "priority": FilterField(TASKS.c.priority, filters.ENUM(Priority)),
    "tags": FilterField(TASKS.c.tags, filters.TEXT_LIST),
    "attempt": FilterField(TASKS.c.attempt, filters.INTEGER),
    "progress": FilterField(TASKS.c.progress, filters.NUMBER),
    "timeout": FilterField(TASKS.c.timeout, filters.DURATION),
    "cancel_requested": FilterField(TASKS.c.cancel_requested, filters.BOOLEAN),
    "end_time": FilterField(TASKS.c.end_time, filters.TIMESTAMP),
}
ROW: dict[str, Any] = {
    "id": UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    "name": "Daily report *2*",
    "status": TaskStatus.FAILED,
    "priority": Priority.HIGH,
    "tags": ["urgent", "team-a"],
    "attempt": 3,
    "progress": 12.5,
    "timeout": 20.0,
    "cancel_requested": False,
    "end_time": datetime(2026, 1, 1, 12, tzinfo=UTC),
}


def matches(text: str, **changes: Any) -> bool:
    return matcher(text, FIELDS)({**ROW, **changes})


def refusal(text: str) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as caught:
        matcher(text, FIELDS)
    assert caught.value.reason == "INVALID_FILTER"
    assert [wrong.field for wrong in caught.value.fields] == ["filter"]
    return caught.value


def sql(text: str) -> str:
    clause = compile_filter(text, FIELDS)
    return str(clause.compile(dialect=postgresql.dialect())) if clause is not None else ""


def shape(node: Any) -> Any:
    """The tree with field names as leaves."""
    match node:
        case Comparison():
            return node.field
        case Not(inner):
            return ("NOT", shape(inner))
        case And(nodes):
            return ("AND", *map(shape, nodes))
        case Or(nodes):
            return ("OR", *map(shape, nodes))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a=1", "a"),
        ("a=1 AND b=1 OR c=1 AND d=1", ("AND", "a", ("OR", "b", "c"), "d")),
        ("a=1 b=1 OR c=1", ("AND", "a", ("OR", "b", "c"))),
        ("(a=1 AND b=1) OR c=1", ("OR", ("AND", "a", "b"), "c")),
        ("NOT a=1 OR -b=1", ("OR", ("NOT", "a"), ("NOT", "b"))),
        ("-(a=1 b=1)", ("NOT", ("AND", "a", "b"))),
        ("NOT(a=1)", ("NOT", "a")),
        ("((a=1))", "a"),
        ("ORDER=1 ANDY=1", ("AND", "ORDER", "ANDY")),
    ],
)
def test_or_binds_tighter_than_and_and_and_may_be_left_out(text: str, tree: Any) -> None:
    assert shape(parse(text)) == tree


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_a_blank_filter_matches_everything(text: str) -> None:
    assert parse(text) is None
    assert compile_filter(text, FIELDS) is None
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "status = FAILED",
        "status=failed",
        'status : "Failed"',
        "status != QUEUED",
        "status = QUEUED OR status = FAILED",
        "NOT status = QUEUED",
        "-status = QUEUED",
        "name = 'Daily report \\*2\\*'",
        'name = "Daily*"',
        'name = "*report*"',
        'name = "D*y*r*2*"',
        "name = *",
        "name : report",
        'name : "aily re"',
        "name : *",
        'name > "Dai"',
        "tags : urgent",
        "tags : team-*",
        "tags : *",
        "-tags : test",
        "attempt = 3",
        "attempt>=3 attempt<=3",
        "attempt > -1",
        "progress = 12.5",
        "progress < 1.3e1",
        "timeout = 20s",
        "timeout > 19.5s",
        "cancel_requested = false",
        "cancel_requested != TRUE",
        "id = 01890A5D-AC96-774B-BCCE-B302099A8057",
        'id < "01890a5d-ac96-774b-bcce-b302099a8058"',
        'end_time = "2026-01-01T12:00:00Z"',
        "end_time = 2026-01-01T13:00:00+01:00",
        "end_time < 2026-01-01T12:00:00.000001Z",
        "end_time >= 2026-01-01t12:00:00.000000999z",
    ],
)
def test_a_failed_daily_report_matches(text: str) -> None:
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "status = QUEUED",
        "status = FAILED AND attempt = 2",
        'name = "daily*"',
        'name = "Daily report"',
        'name = "Daily report *2*x"',
        "name : REPORT",
        "name < Daily",
        "tags : urg",
        "tags : team-",
        "attempt < 3",
        "-(status = FAILED OR attempt = 2)",
        "end_time > 2026-01-01T12:00:00Z",
    ],
)
def test_a_failed_daily_report_does_not_match(text: str) -> None:
    assert not matches(text)


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("end_time < 2030-01-01T00:00:00Z", False),
        ("NOT end_time < 2030-01-01T00:00:00Z", True),
        ("end_time != 2030-01-01T00:00:00Z", True),
        ("NOT end_time != 2030-01-01T00:00:00Z", False),
        ("end_time : *", False),
        ("-end_time : *", True),
        ("NOT (end_time : * OR attempt = 2)", True),
    ],
)
def test_every_comparison_with_an_unset_field_is_false_and_its_negation_true(
    text: str, matched: bool
) -> None:
    assert matches(text, end_time=None) is matched


def test_an_empty_list_is_not_set() -> None:
    assert not matches("tags:*", tags=[])
    assert not matches("tags:*", tags=None)
    assert not matches("tags:a", tags=None)


def test_wildcards_do_not_overlap_what_stands_around_them() -> None:
    assert not matches('name = "ab*ba"', name="aba")
    assert matches('name = "ab*ba"', name="abba")
    assert not matches('name = "a*b*b"', name="ab")


def test_many_wildcards_cost_no_backtracking() -> None:
    assert not matches(f'name = "{"a*" * 900}b"', name="a" * 100_000)


@pytest.mark.parametrize("text", [r"50%", r"a_b", r"back\slash"])
def test_the_special_characters_of_like_stand_for_themselves(text: str) -> None:
    quoted = text.replace("\\", "\\\\")
    assert matches(f'name = "{quoted}*"', name=f"{text} and more")
    assert not matches(f'name = "{quoted}*"', name="50 or axb or backslash")


def test_values_are_bound_and_never_written_into_the_sql() -> None:
    text = """name = "'; DROP TABLE tasks; --" AND status = FAILED AND tags:"x'y" """
    clause = compile_filter(text, FIELDS)
    assert clause is not None
    assert "DROP" not in str(clause.compile(dialect=postgresql.dialect()))
    assert "'; DROP TABLE tasks; --" in clause.compile().params.values()


def test_negations_in_sql_take_null_for_false() -> None:
    assert sql("NOT end_time < 2030-01-01T00:00:00Z").endswith("IS NOT true")
    assert sql("attempt != 1").endswith("IS NOT true")


def test_an_exact_tag_is_asked_for_in_the_form_that_an_index_serves() -> None:
    assert "tags @>" in sql("tags:urgent")


def test_texts_are_ordered_by_code_point_in_sql_too() -> None:
    assert 'COLLATE "C"' in sql("name > a")


def test_an_unknown_field_is_named_with_its_position_and_what_was_meant() -> None:
    error = refusal("  statsu = FAILED")
    assert error.fields[0].description.startswith(
        "unknown field 'statsu' at position 3; did you mean 'status'?; allowed: id, name, status"
    )
    assert error.metadata["position"] == "3"
    assert error.metadata["found"] == "statsu"
    assert error.metadata["allowed"].startswith("id,name,status")


def test_an_unknown_enum_value_is_answered_with_those_allowed() -> None:
    error = refusal("status = faild")
    assert error.fields[0].description == (
        "'faild' at position 10 is no value for status; did you mean 'FAILED'?; expected one of"
        " SCHEDULED, QUEUED, RUNNING, RETRYING, SUCCEEDED, FAILED, CANCELLED"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "status",
            "expected an operator (<=, >=, !=, =, <, >, :) after 'status'; found the end at position 7",
        ),
        ("status FAILED", "found 'FAILED' at position 8"),
        ("status = FAILED OR CANCELLED", "after 'CANCELLED'; found the end at position 29"),
        ("status =", "expected a value; one with spaces or signs needs quotes; found the end at position 9"),
        ("status == FAILED", "expected a value"),
        ("status = (FAILED)", "expected a value"),
        ("status = FAILED and attempt = 1", "'and' at position 17: write AND in capitals"),
        ("AND status = FAILED", "expected a field or '('; found 'AND' at position 1"),
        ("status = FAILED AND", "expected a field or '('; found the end at position 20"),
        ("status = FAILED OR OR", "found 'OR' at position 20"),
        ("NOT NOT status = FAILED", "found 'NOT' at position 5"),
        ('"status" = FAILED', "expected a field or '('"),
        ("name = AND", "expected a value"),
        ("(status = FAILED", "expected ')' for the '(' at position 1; found the end at position 17"),
        ("status = FAILED)", "')' without '('; found ')' at position 16"),
        ("()", "expected a field or '('; found ')' at position 2"),
        ('name = "abc', 'the " at position 8 is never closed'),
        ('name = "a\\q"', "unknown escape; allowed: \\\" \\' \\\\ \\* \\n \\r \\t; found"),
        ("status < FAILED", "'<' at position 8 does not work on status; allowed: = != :"),
        ("tags = a", "'=' at position 6 does not work on tags; allowed: :"),
        ("name < a*", "'*' at position 8 works with = != : only"),
        ("attempt = 1.5", "'1.5' at position 11 is no value for attempt; expected an integer of 64 bits"),
        ("attempt = 9223372036854775808", "expected an integer"),
        ("attempt = 1*", "expected an integer"),
        ("progress = 1e999", "expected a number"),
        ("progress = nan", "expected a number"),
        ("timeout = 20", "expected a duration in seconds such as 20s"),
        ("cancel_requested = yes", "expected true or false"),
        ("id = 123", "expected a UUID"),
        ("end_time > 2026-01-01", "expected an RFC 3339 timestamp"),
        ("end_time > 2026-01-01T00:00:00", "expected an RFC 3339 timestamp"),
        ("end_time > 2026-02-30T00:00:00Z", "expected an RFC 3339 timestamp"),
        ("end_time > 0001-01-01T00:00:00+14:00", "expected an RFC 3339 timestamp"),
        ('name = "\0"', "a NUL or half a surrogate pair at position 9"),
    ],
)
def test_what_does_not_parse_says_where_and_why(text: str, says: str) -> None:
    assert says in refusal(text).fields[0].description


def test_filters_are_bounded_in_length_depth_and_number_of_comparisons() -> None:
    assert "at most 2000" in refusal("a" * 2001).message
    assert "more than 20 levels" in refusal("(" * 21 + "attempt=1" + ")" * 21).message
    assert "more than 50 comparisons" in refusal(" ".join(["attempt=1"] * 51)).message
    assert matches("(" * 19 + "attempt=3" + ")" * 19)
    assert matches(" ".join(["attempt=3"] * 50))


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [*"()\"'\\*=<>:-,.é \n", "!=", "<=", "AND", "OR", "NOT", "status", "name", "tags", "FAILED", "1s"]
        )
    ).map("".join)
)
def test_any_text_is_a_filter_or_is_refused_as_one(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        compile_filter(text, FIELDS)
        matcher(text, FIELDS)(ROW)
