"""How one report of progress follows another."""

import math

import pytest

from taskflow_core.progress import MAX_MESSAGE, Progress


def test_percent_follows_from_what_is_done_of_all():
    assert Progress().followed_by(current=30, total=120, unit="rows") == Progress(
        25.0, "", 30.0, 120.0, "rows"
    )


def test_a_given_percent_counts_more_than_the_units():
    assert Progress().followed_by(10, current=30, total=120).percent == 10


def test_a_message_alone_leaves_the_percent_where_it_was():
    assert Progress(40.0).followed_by(message="packing") == Progress(40.0, "packing")


def test_units_without_a_total_leave_the_percent_where_it_was():
    assert Progress(40.0).followed_by(current=7).percent == 40
    assert Progress(40.0).followed_by(current=7, total=0).percent == 40


@pytest.mark.parametrize(("given", "kept"), [(-1, 0), (0, 0), (100, 100), (100.1, 100)])
def test_percent_is_kept_within_0_and_100(given, kept):
    assert Progress().followed_by(given).percent == kept


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["percent", "current", "total"])
def test_a_number_that_is_not_finite_is_refused(field, number):
    with pytest.raises(ValueError, match=f"{field} must be a finite number"):
        Progress().followed_by(**{field: number})


def test_a_long_message_is_cut():
    assert Progress().followed_by(message="x" * 1000).message == "x" * MAX_MESSAGE
