"""What the rows of a batch have in common crosses to the database once."""

from typing import Any

from taskflow_core.arrays import Arrays, array_text, crossing
from taskflow_core.models.task import Task


def test_a_value_that_all_rows_share_crosses_once():
    assert crossing(["LOW", "LOW", "LOW"]) == ["LOW"]


def test_what_no_row_sets_crosses_as_null():
    assert crossing([None, None]) is None


def test_values_that_differ_cross_all():
    assert crossing(["a", None, "a"]) == ["a", None, "a"]


def test_no_rows_are_no_values():
    assert crossing([]) == []


def test_json_that_python_takes_for_equal_crosses_as_it_is():
    rows: list[dict[str, Any]] = [{"retry_policy": {"n": 1}}, {"retry_policy": {"n": True}}]
    assert Arrays(Task, ["retry_policy"]).of(rows) == [['{"n": 1}', '{"n": true}']]


def test_an_array_within_a_row_is_text_with_quotes_and_backslashes_kept():
    assert array_text(['say "hi"', "a\\b"]) == r'{"say \"hi\"","a\\b"}'
