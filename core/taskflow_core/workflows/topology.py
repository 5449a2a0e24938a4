"""The shape of a graph: cycles, what comes before what, what can never be reached, and which ways exclude each other."""

import graphlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from taskflow_core.workflows.expressions import constant_truth
from taskflow_core.workflows.graph import DEFAULT_BRANCH, Condition, Edge, Graph, Node, OnError

# A graph with more is told of these first.
MAX_CYCLES = 10
# How many arrows of a cycle are tried as the one to blame.
MAX_TRIED = 50

# The ways out of a node that goes elsewhere when it fails.
_SUCCEEDED, _FAILED = "succeeded", "failed"

# What must have happened, by node: the branch that it took, or whether it failed.
Guard = Mapping[str, str]


@dataclass(frozen=True)
class Arrow:
    """A way from one node to another: an edge, or where a node goes when it fails."""

    source: str
    target: str
    field: str  # where it stands in the graph
    edge: Edge | None


class Topology:
    """One graph, without those inside its nodes. Ends of edges that are no nodes are left out."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.arrows = tuple(self._arrows())

    def _arrows(self) -> Iterator[Arrow]:
        known = self._graph.by_id
        for index, node in enumerate(self._graph.nodes):
            if node.on_error is OnError.GO_TO and node.error_node_id in known:
                yield Arrow(node.id, node.error_node_id, f"nodes[{index}].error_node_id", None)
        for index, edge in enumerate(self._graph.edges):
            if edge.source in known and edge.target in known:
                yield Arrow(edge.source, edge.target, f"edges[{index}]", edge)

    @cached_property
    def entering(self) -> dict[str, list[Arrow]]:
        """The arrows that enter each node."""
        entering: dict[str, list[Arrow]] = {node.id: [] for node in self._graph.nodes}
        for arrow in self.arrows:
            entering[arrow.target].append(arrow)
        return entering

    @cached_property
    def cycles(self) -> list[tuple[list[str], Arrow]]:
        """Cycles, each as its nodes from the first to itself again, with the arrow that closes it.

        Without those arrows there is none, unless there are more than MAX_CYCLES.
        """
        places = {node.id: place for place, node in enumerate(self._graph.nodes)}
        left = list(self.arrows)
        found: list[tuple[list[str], Arrow]] = []
        while len(found) < MAX_CYCLES and (cycle := _cycle(left)):
            start = min(range(len(cycle)), key=lambda index: places[cycle[index]])
            nodes = [*cycle[start:], *cycle[:start], cycle[start]]
            closing = _closing(left, nodes)
            found.append((nodes, closing))
            left = _without(left, closing)
        return found

    @cached_property
    def order(self) -> list[str]:
        """The nodes, each after all that come before it. Only of a graph without cycles."""
        return list(graphlib.TopologicalSorter(_predecessors(self.arrows, self._graph)).static_order())

    @cached_property
    def before(self) -> dict[str, frozenset[str]]:
        """The nodes that come before each. Only of a graph without cycles."""
        before: dict[str, frozenset[str]] = {}
        for node_id in self.order:
            sources = [arrow.source for arrow in self.entering[node_id]]
            before[node_id] = frozenset(sources).union(*(before[source] for source in sources))
        return before

    @cached_property
    def reachable(self) -> frozenset[str]:
        """The nodes that something may lead to. Only of a graph without cycles."""
        reached: set[str] = set()
        for node_id in self.order:
            entering = self.entering[node_id]
            if not entering or any(a.source in reached and self._may_be_taken(a) for a in entering):
                reached.add(node_id)
        return frozenset(reached)

    def most_successes(self, node_id: str) -> int:
        """How many of the edges that enter a node can be taken in one execution, at most."""
        guards = [self._guard_of(arrow, self._guards) for arrow in self._open(node_id)]
        most = len(guards)
        for decider in {name for guard in guards for name in guard}:
            free = sum(decider not in guard for guard in guards)
            ways = [guard[decider] for guard in guards if decider in guard]
            most = min(most, free + max(map(ways.count, set(ways))))
        return most

    def _open(self, node_id: str) -> list[Arrow]:
        """The arrows into a node that may be taken."""
        return [
            arrow
            for arrow in self.entering[node_id]
            if arrow.source in self.reachable and self._may_be_taken(arrow)
        ]

    def _may_be_taken(self, arrow: Arrow) -> bool:
        if arrow.edge is None:
            return True
        if arrow.edge.condition is not None and constant_truth(arrow.edge.condition) is False:
            return False
        work = self._graph.by_id[arrow.source].work
        return not isinstance(work, Condition) or arrow.edge.branch in _open_branches(work)

    @cached_property
    def _guards(self) -> dict[str, Guard]:
        """What is sure to have happened where each node is reached. Only of a graph without cycles."""
        guards: dict[str, Guard] = {}
        for node_id in self.order:
            guards[node_id] = _common([self._guard_of(arrow, guards) for arrow in self._open(node_id)])
        return guards

    def _guard_of(self, arrow: Arrow, guards: Mapping[str, Guard]) -> Guard:
        way = self._way(self._graph.by_id[arrow.source], arrow.edge)
        return guards[arrow.source] if way is None else {**guards[arrow.source], arrow.source: way}

    @staticmethod
    def _way(source: Node, edge: Edge | None) -> str | None:
        """The one of several ways out of a node, of which only one is ever taken."""
        if edge is None:
            return _FAILED
        if isinstance(source.work, Condition) and edge.branch is not None:
            return edge.branch
        return _SUCCEEDED if source.on_error is OnError.GO_TO else None


def _cycle(arrows: list[Arrow]) -> list[str]:
    """The nodes of one cycle, if there is one."""
    try:
        graphlib.TopologicalSorter(_predecessors(arrows)).prepare()
    except graphlib.CycleError as error:
        nodes: list[str] = error.args[1]
        return nodes[:-1]
    return []


def _closing(arrows: list[Arrow], nodes: list[str]) -> Arrow:
    """The arrow that closes a cycle: one that closes all the others too, if there is one, else the last."""
    steps = list(itertools.pairwise(nodes))
    of_cycle = {step: next(a for a in arrows if (a.source, a.target) == step) for step in steps}
    last = of_cycle[steps[-1]]
    for step in reversed(steps[-MAX_TRIED:]):
        if not _cycle(_without(arrows, of_cycle[step])):
            return of_cycle[step]
    return last


def _without(arrows: list[Arrow], one: Arrow) -> list[Arrow]:
    """The arrows but for those between the same nodes as this one."""
    return [arrow for arrow in arrows if (arrow.source, arrow.target) != (one.source, one.target)]


def _predecessors(
    arrows: list[Arrow] | tuple[Arrow, ...], graph: Graph | None = None
) -> dict[str, list[str]]:
    predecessors: dict[str, list[str]] = {} if graph is None else {node.id: [] for node in graph.nodes}
    for arrow in arrows:
        predecessors.setdefault(arrow.target, []).append(arrow.source)
    return predecessors


def _open_branches(condition: Condition) -> set[str]:
    """The branches that can be taken: none after one that is always true."""
    branches = set()
    for branch in condition.branches:
        truth = constant_truth(branch.condition)
        if truth is not False:
            branches.add(branch.name)
        if truth is True:
            return branches
    return branches | {DEFAULT_BRANCH}


def _common(guards: list[Guard]) -> Guard:
    if not guards:
        return {}
    first, *others = guards
    return {name: way for name, way in first.items() if all(guard.get(name) == way for guard in others)}
