"""How much room a queue has, by what runs and what has started of late."""

import math
from typing import Any

from taskflow_core.queues.limits import Gauge, Limit, Room, room_of

NOW = 1_000.0


def tasks(*types: str) -> list[dict[str, Any]]:
    return [{"id": index, "task_type": name} for index, name in enumerate(types)]


def ids(admitted: list[dict[str, Any]]) -> list[int]:
    return [task["id"] for task in admitted]


def room(*, paused: bool = False, running: int = 0, limit: Limit | None = None, **types: Gauge) -> Room:
    return Room(paused=paused, queue=Gauge(limit or Limit(), running), types=types)


def test_without_a_limit_everything_may_start():
    assert Gauge(Limit(), 1_000_000).free(NOW) == math.inf
    assert ids(room().admit(tasks("a", "b", "a"), NOW)) == [0, 1, 2]


def test_a_paused_queue_lets_nothing_in():
    paused = room(paused=True)
    assert paused.admit(tasks("a"), NOW) == []
    assert paused.opens_at(["a"], NOW) == math.inf


def test_what_runs_counts_and_what_is_admitted_counts_too():
    assert ids(room(running=2, limit=Limit(4)).admit(tasks("a", "b", "a"), NOW)) == [0, 1]


def test_a_limit_that_was_lowered_below_what_runs_waits_for_it():
    full = room(running=9, limit=Limit(4))
    assert full.admit(tasks("a"), NOW) == []
    assert full.opens_at(["a"], NOW) == math.inf


def test_a_type_without_room_leaves_the_other_types_alone():
    mixed = room(limit=Limit(3), a=Gauge(Limit(1), 0))
    assert ids(mixed.admit(tasks("a", "a", "b", "c", "b"), NOW)) == [0, 2, 3]


def test_no_more_attempts_start_in_a_second_than_the_rate_says():
    gauge = Gauge(Limit(max_rate=10), 0, [(NOW - 1, 4), (NOW - 0.9, 3), (NOW - 0.1, 5)])
    assert gauge.free(NOW) == 2
    assert gauge.free(NOW + 0.1) == 5
    assert gauge.opens_at(NOW) == NOW


def test_a_queue_that_used_up_its_rate_opens_when_its_oldest_start_is_a_second_old():
    spent = Gauge(Limit(max_rate=3), 0, [(NOW - 0.5, 1), (NOW - 0.25, 2)])
    assert spent.free(NOW) == 0
    assert spent.opens_at(NOW) == NOW + 0.5
    assert spent.free(NOW + 0.5) == 1


def test_a_rate_below_one_is_one_attempt_in_so_many_seconds():
    slow = Gauge(Limit(max_rate=0.2), 0, [(NOW, 1)])
    assert slow.opens_at(NOW) == NOW + 5


def test_a_rate_that_is_no_whole_number_is_kept_over_its_own_window():
    limit = Limit(max_rate=2.5)
    assert (limit.burst, limit.window) == (2, 0.8)


def test_the_rate_does_not_open_a_queue_that_is_full():
    full = Gauge(Limit(1, max_rate=10), 1, [(NOW, 10)])
    assert full.opens_at(NOW) == math.inf


def test_a_task_starts_when_both_its_queue_and_its_type_let_it():
    both = Room(
        paused=False,
        queue=Gauge(Limit(max_rate=1), 0, [(NOW - 0.5, 1)]),
        types={"a": Gauge(Limit(max_rate=1), 0, [(NOW - 0.25, 1)])},
    )
    assert both.opens_at(["a"], NOW) == NOW + 0.75
    assert both.opens_at(["a", "b"], NOW) == NOW + 0.5
    assert ids(both.admit(tasks("a", "b"), NOW + 0.5)) == [1]


def test_starts_are_remembered_while_they_count():
    row = {
        "status": "ACTIVE",
        "max_concurrency": None,
        "max_rate": 5.0,
        "task_type_limits": {"a": {"max_concurrency": 2, "max_rate": None}},
        "recent_starts": {"": [[NOW - 2, 3], [NOW - 0.5, 2]], "a": [[NOW, 7]]},
        "running": {"a": 1, "b": 4},
    }
    queue = room_of(row)
    assert ids(queue.admit(tasks("a", "a", "b", "b", "b"), NOW)) == [0, 2, 3]
    assert queue.starts(NOW) == {"": [(NOW - 0.5, 2), (NOW, 3)]}
