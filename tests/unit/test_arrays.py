"""What the rows of a batch have in common crosses to the database once."""

from taskflow_core.arrays import array_text, crossing


def test_a_value_that_all_rows_share_crosses_once():
    assert crossing(["LOW", "LOW", "LOW"]) == ["LOW"]


def test_what_no_row_sets_crosses_as_null():
    assert crossing([None, None]) is None


def test_values_that_differ_cross_all():
    assert crossing(["a", None, "a"]) == ["a", None, "a"]


def test_no_rows_are_no_values():
    assert crossing([]) == []


def test_an_array_within_a_row_is_text_with_quotes_and_backslashes_kept():
    assert array_text(['say "hi"', "a\\b"]) == r'{"say \"hi\"","a\\b"}'
