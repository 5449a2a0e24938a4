"""A graph and those inside its nodes, each with where it stands and what it can see."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from taskflow_core.workflows.graph import Edge, Graph, Node, Parallel
from taskflow_core.workflows.topology import Topology


@dataclass(frozen=True)
class Level:
    """One graph of a definition."""

    graph: Graph
    path: str  # before the fields of the graph: empty, or `nodes[2].parallel.map.graph.`
    depth: int  # 0 is the workflow itself
    outer: "Level | None" = None
    owner: Node | None = None  # the node of the outer graph that it lies in
    is_map: bool = False

    @cached_property
    def topology(self) -> Topology:
        return Topology(self.graph)

    @cached_property
    def in_map(self) -> bool:
        """Whether its expressions see `item` and `index`."""
        return self.is_map or (self.outer is not None and self.outer.in_map)

    @cached_property
    def is_acyclic(self) -> bool:
        """Whether it is known what comes before what, here and around it."""
        return not self.topology.cycles and (self.outer is None or self.outer.is_acyclic)

    def node_ids(self) -> set[str]:
        """Its own nodes and those around it."""
        around = set() if self.outer is None else self.outer.node_ids()
        return around | set(self.graph.by_id)

    def sees(self, node_id: str) -> bool:
        """Whether a node is one of its own or around it."""
        return node_id in self.node_ids()

    def nodes(self) -> Iterator[tuple[str, Node]]:
        """Its own nodes, with their paths."""
        for index, node in enumerate(self.graph.nodes):
            yield f"{self.path}nodes[{index}]", node

    def edges(self) -> Iterator[tuple[str, Edge]]:
        """Its own edges, with their paths."""
        for index, edge in enumerate(self.graph.edges):
            yield f"{self.path}edges[{index}]", edge

    def before(self, node_id: str) -> frozenset[str]:
        """The nodes that come before one of its own, those around it included."""
        own = self.topology.before.get(node_id, frozenset())
        return own if self.outer is None or self.owner is None else own | self.outer.before(self.owner.id)

    def all_of_it(self) -> frozenset[str]:
        """All of its own nodes, and those that come before it."""
        own = frozenset(self.graph.by_id)
        return own if self.outer is None or self.owner is None else own | self.outer.before(self.owner.id)


def levels(graph: Graph) -> Iterator[Level]:
    """The graph itself and all inside it, in the order of the definition."""
    yield from _levels(Level(graph, "", 0))


def _levels(level: Level) -> Iterator[Level]:
    yield level
    for path, node in level.nodes():
        if not isinstance(node.work, Parallel):
            continue
        for index, branch in enumerate(node.work.branches):
            inner_path = f"{path}.parallel.branches.branches[{index}].graph."
            yield from _levels(Level(branch.graph, inner_path, level.depth + 1, level, node))
        if node.work.body is not None:
            inner_path = f"{path}.parallel.map.graph."
            yield from _levels(Level(node.work.body, inner_path, level.depth + 1, level, node, is_map=True))
