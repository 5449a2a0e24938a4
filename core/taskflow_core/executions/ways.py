"""The ways into a node: the edges that enter it, and the failures that lead to it. Its join is counted over them."""

from dataclasses import dataclass, field

from taskflow_core.executions.paths import run_path
from taskflow_core.executions.plan import Plan
from taskflow_core.states import NodeRunStatus
from taskflow_core.workflows.graph import Edge, Graph, Join, JoinMode, Node


@dataclass
class Ways:
    """How many ways there are, how many are settled and taken; the edges among these in the order of the definition."""

    all: int = 0
    settled: int = 0
    taken: int = 0
    edges: list[Edge] = field(default_factory=list)

    def verdict(self, join: Join) -> bool | None:
        """Whether the node starts; None while that is open."""
        needed = {JoinMode.ANY: 1, JoinMode.COUNT: join.count}.get(join.mode)
        if needed is None:
            return None if self.settled < self.all else self.taken > 0
        if self.taken >= needed:
            return True
        return False if self.taken + self.all - self.settled < needed else None


def ways_into(plan: Plan, scope: str, graph: Graph, node: Node) -> Ways:
    """The ways into a node, as they are now."""
    ways = Ways()
    for place, edge in graph.entries[node.id]:
        ways.all += 1
        source = plan.find(run_path(scope, edge.source))
        if source is None or source.is_open:
            continue
        ways.settled += 1
        if place in (source.edges_taken or ()):
            ways.taken += 1
            ways.edges.append(edge)
    for source_id in graph.error_entries.get(node.id, ()):
        ways.all += 1
        source = plan.find(run_path(scope, source_id))
        if source is not None and not source.is_open:
            ways.settled += 1
            ways.taken += source.status is NodeRunStatus.FAILED
    return ways
