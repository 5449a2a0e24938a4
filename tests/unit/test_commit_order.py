"""Events of many tasks, read by the numbers of their transactions, come in one order in which each task's is kept."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from taskflow_core.tail.order import NO_TASK, CommitOrder, Line, Place

A, B = UUID(int=1), UUID(int=2)
BEGINNING = Place(0, NO_TASK, 0, low=0)

Event = dict[str, Any]


def log(*xids: int, task_id: UUID = A) -> list[Event]:
    """The events 1, 2, 3 ... of a task, written by transactions with these numbers."""
    return [
        {"task_id": task_id, "sequence": sequence, "xid": xid, "previous_xid": previous}
        for sequence, (xid, previous) in enumerate(zip(xids, (None, *xids), strict=False), start=1)
    ]


def as_read(events: Sequence[Event], place: Place = BEGINNING) -> list[Event]:
    rows = [event for event in events if event["xid"] >= place.low]
    return sorted(rows, key=lambda event: (event["xid"], event["task_id"], event["sequence"]))


def arranged(events: Sequence[Event], place: Place = BEGINNING) -> list[Line]:
    return CommitOrder(place).arrange(as_read(events, place))


def names(lines: Sequence[Line]) -> list[tuple[int, int]]:
    return [(line.row["task_id"].int, line.row["sequence"]) for line in lines]


def test_an_event_whose_transaction_began_before_that_of_its_predecessor_stands_after_it():
    assert names(arranged(log(5, 9, 7))) == [(1, 1), (1, 2), (1, 3)]


def test_an_event_waits_while_its_predecessor_is_not_there_and_says_from_where_to_read_again():
    first, second, third = log(5, 9, 7)
    order = CommitOrder(BEGINNING)
    assert names(order.arrange([first, third])) == [(1, 1)]
    assert order.settle(8) == Place(8, NO_TASK, 0, low=7)
    assert order.settle(8).low == 7
    assert names(order.arrange([second])) == [(1, 2), (1, 3)]
    assert order.settle(10).low == 10


def test_what_waits_for_an_event_of_a_deleted_task_is_forgotten():
    _, _, third = log(5, 9, 7)
    order = CommitOrder(BEGINNING)
    order.arrange([third])
    assert order.settle(9).low == 7
    assert order.settle(10).low == 10


logs = st.tuples(
    st.lists(st.integers(1, 12), unique=True, max_size=7),
    st.lists(st.integers(1, 12), unique=True, max_size=7),
).map(lambda xids: [*log(*xids[0], task_id=A), *log(*xids[1], task_id=B)])


@given(logs)
def test_each_event_comes_once_and_those_of_a_task_in_their_order(events: list[Event]):
    lines = arranged(events)
    assert sorted(names(lines)) == sorted((event["task_id"].int, event["sequence"]) for event in events)
    for task in (A, B):
        numbers = [line.row["sequence"] for line in lines if line.row["task_id"] == task]
        assert numbers == sorted(numbers)
    places = [line.place for line in lines]
    assert places == sorted(set(places))


@given(logs)
def test_going_on_from_any_line_gives_the_rest_in_the_same_places(events: list[Event]):
    lines = arranged(events)
    for count, line in enumerate(lines, start=1):
        assert arranged(events, line.place) == lines[count:]


@given(logs, st.integers(1, 13))
def test_going_on_from_where_all_was_settled_gives_the_rest_in_the_same_places(
    events: list[Event], settled: int
):
    lines = arranged(events)
    order = CommitOrder(BEGINNING)
    before = order.arrange(row for row in as_read(events) if row["xid"] < settled)
    assert before == lines[: len(before)]
    assert arranged(events, order.settle(settled)) == lines[len(before) :]


def test_going_on_within_a_chain_whose_beginning_is_not_read_again_loses_nothing():
    events = log(5, 3, 1, 4, 6, 2)
    lines = arranged(events)
    assert names(lines) == [(1, number) for number in range(1, 7)]
    assert [line.place.xid for line in lines] == [5, 5, 5, 5, 6, 6]
    for count, line in enumerate(lines, start=1):
        assert arranged(events, line.place) == lines[count:]
