"""Which lane is served first."""

from collections import Counter

from taskflow_core.queue import lanes
from taskflow_worker.rota import WEIGHTS, Rota

ALL = ["LOW", "CRITICAL", "NORMAL", "HIGH"]


def test_lanes_come_most_urgent_first():
    assert [lane.priority for lane in lanes(["default"], ALL)] == ["CRITICAL", "HIGH", "NORMAL", "LOW"]


def test_every_order_has_every_lane_once():
    rota = Rota(lanes(["a", "b"], ALL))
    for _ in range(100):
        assert len(set(rota.next_order())) == 8


def test_lanes_go_first_in_proportion_to_their_weights():
    rota = Rota(lanes(["default"], ALL))
    turns = sum(WEIGHTS.values())
    first = Counter(rota.next_order()[0].priority for _ in range(turns * 10))
    assert first == {priority: weight * 10 for priority, weight in WEIGHTS.items()}


def test_the_lanes_behind_the_first_follow_by_urgency():
    rota = Rota(lanes(["default"], ALL))
    for _ in range(40):
        _, *rest = (lane.priority for lane in rota.next_order())
        assert rest == [name for name in ("CRITICAL", "HIGH", "NORMAL", "LOW") if name in rest]


def test_lanes_of_the_same_urgency_take_turns_behind_the_first():
    rota = Rota(lanes(["a", "b", "c"], ["CRITICAL", "NORMAL"]))
    orders = [rota.next_order() for _ in range(60)]
    ahead = Counter(
        next(lane.queue for lane in order if lane.priority == "NORMAL")
        for order in orders
        if order[0].priority == "CRITICAL"
    )
    assert min(ahead[queue] for queue in "abc") > 10
