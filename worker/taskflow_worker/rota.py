"""Which lane is served first, so that urgent work comes first and nothing starves."""

from collections.abc import Sequence

from taskflow_core.queue import Lane
from taskflow_core.states import Priority

WEIGHTS = {Priority.CRITICAL: 27, Priority.HIGH: 9, Priority.NORMAL: 3, Priority.LOW: 1}


class Rota:
    """Orders the lanes anew for every claim.

    Smooth weighted round robin (as nginx balances its upstreams): each turn every lane gains its weight,
    the one with the most goes first and pays the sum. The others follow by urgency, so that a lane
    without work gives its turn away; those of equal urgency take turns, so that no queue waits for another.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = tuple(lanes)
        self._credit = dict.fromkeys(self._lanes, 0)
        self._turn = 0

    def next_order(self) -> list[Lane]:
        """All lanes, the one to serve first in front."""
        self._turn += 1
        for lane in self._lanes:
            self._credit[lane] += WEIGHTS[Priority(lane.priority)]
        first = max(self._lanes, key=lambda lane: self._credit[lane])
        self._credit[first] -= sum(WEIGHTS[Priority(lane.priority)] for lane in self._lanes)
        return [first, *(lane for lane in self._by_urgency() if lane is not first)]

    def _by_urgency(self) -> list[Lane]:
        order: list[Lane] = []
        for priority in Priority:
            equals = [lane for lane in self._lanes if lane.priority == priority]
            start = self._turn % len(equals) if equals else 0
            order += equals[start:] + equals[:start]
        return order
