"""The graph of a workflow, in the types that the engine works with. All durations are in seconds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias
from uuid import UUID


class NodeType(StrEnum):
    """What a node does; the lower-case name is its field in the contract."""

    TASK = "TASK"
    PARALLEL = "PARALLEL"
    CONDITION = "CONDITION"
    DELAY = "DELAY"
    SUBWORKFLOW = "SUBWORKFLOW"
    WAIT = "WAIT"


class OnError(StrEnum):
    """What happens to the execution when a node fails."""

    FAIL = "FAIL"
    CONTINUE = "CONTINUE"
    GO_TO = "GO_TO"


class JoinMode(StrEnum):
    """How many of several must have succeeded."""

    ALL = "ALL"
    ANY = "ANY"
    COUNT = "COUNT"
    ALL_SETTLED = "ALL_SETTLED"


class CancelPolicy(StrEnum):
    """What becomes of the child when its node is cancelled or times out."""

    CANCEL = "CANCEL"
    ABANDON = "ABANDON"


class WaitMode(StrEnum):
    """What a signal means."""

    SIGNAL = "SIGNAL"
    APPROVAL = "APPROVAL"


# The name that edges give to the way of a CONDITION node that none of its branches takes.
DEFAULT_BRANCH = "default"


@dataclass(frozen=True)
class Join:
    """Which of several must be final, and how, before what follows starts."""

    mode: JoinMode = JoinMode.ALL
    count: int = 0  # with COUNT


@dataclass(frozen=True)
class TaskTemplate:
    """The task that a node runs."""

    task_type: str
    payload: dict[str, Any]
    payload_expressions: dict[str, str]
    priority: str | None
    queue: str | None
    retry_policy: dict[str, Any] | None  # only what is set, as `tasks.retry_policy` has it
    attempt_timeout: float | None


@dataclass(frozen=True)
class Branch:
    """One of several graphs that run side by side."""

    name: str
    graph: "Graph"


@dataclass(frozen=True)
class Parallel:
    """Graphs side by side: several different ones, or one for each item of a list."""

    branches: tuple[Branch, ...]  # empty for a map
    items: str | None  # the expression of a map
    body: "Graph | None"  # of a map
    join: Join
    keep_rest: bool
    max_concurrency: int | None

    @property
    def is_map(self) -> bool:
        return self.items is not None


@dataclass(frozen=True)
class ConditionBranch:
    """One of several ways."""

    name: str
    condition: str


@dataclass(frozen=True)
class Condition:
    """The first branch whose condition is true."""

    branches: tuple[ConditionBranch, ...]


@dataclass(frozen=True)
class Delay:
    """Exactly one of these is set."""

    duration: float | None
    until: datetime | None
    expression: str | None


@dataclass(frozen=True)
class Subworkflow:
    """Another workflow, by id or by name."""

    workflow_id: UUID | None
    workflow_name: str | None
    version: int | None  # None: the latest when the node starts
    input: dict[str, Any]
    input_expressions: dict[str, str]
    retry_policy: dict[str, Any] | None
    cancel_policy: CancelPolicy


@dataclass(frozen=True)
class Wait:
    """A signal or an approval."""

    signal: str
    mode: WaitMode
    condition: str | None
    look_back: float | None  # None: since the start of the execution


@dataclass(frozen=True)
class Position:
    """Where to draw a node."""

    x: float
    y: float


Work: TypeAlias = TaskTemplate | Parallel | Condition | Delay | Subworkflow | Wait


@dataclass(frozen=True)
class Node:
    """One step."""

    id: str
    type: NodeType
    work: Work
    name: str
    description: str
    join: Join
    timeout: float | None
    on_error: OnError
    error_node_id: str | None  # with GO_TO
    compensation: TaskTemplate | None
    position: Position | None

    def graphs(self) -> Iterator["Graph"]:
        """The graphs inside."""
        if isinstance(self.work, Parallel):
            yield from (branch.graph for branch in self.work.branches)
            if self.work.body is not None:
                yield self.work.body


@dataclass(frozen=True)
class Edge:
    """What follows what."""

    source: str
    target: str
    condition: str | None
    branch: str | None
    input_expressions: dict[str, str]


@dataclass(frozen=True)
class Graph:
    """Nodes and edges. Node ids are unique over a graph and all that lie in it."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    output_expression: str | None = None

    @cached_property
    def by_id(self) -> dict[str, Node]:
        """The nodes of this graph itself."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def incoming(self) -> dict[str, tuple[Edge, ...]]:
        """The edges that enter each node, in the order of the definition."""
        return self._edges_by(lambda edge: edge.target)

    @cached_property
    def outgoing(self) -> dict[str, tuple[Edge, ...]]:
        """The edges that leave each node, in the order of the definition."""
        return self._edges_by(lambda edge: edge.source)

    @cached_property
    def entries(self) -> dict[str, tuple[tuple[int, Edge], ...]]:
        """The edges that enter each node, each with its place among those that leave its source."""
        found: dict[str, list[tuple[int, Edge]]] = {node.id: [] for node in self.nodes}
        seen: dict[str, int] = {}
        for edge in self.edges:
            place = seen.get(edge.source, 0)
            seen[edge.source] = place + 1
            found[edge.target].append((place, edge))
        return {node_id: tuple(edges) for node_id, edges in found.items()}

    @cached_property
    def error_entries(self) -> dict[str, tuple[str, ...]]:
        """The nodes that go on at a node when they fail."""
        found: dict[str, list[str]] = {}
        for node in self.nodes:
            if node.error_node_id:
                found.setdefault(node.error_node_id, []).append(node.id)
        return {node_id: tuple(sources) for node_id, sources in found.items()}

    @cached_property
    def error_targets(self) -> frozenset[str]:
        """The nodes to which others go when they fail."""
        return frozenset(node.error_node_id for node in self.nodes if node.error_node_id)

    @cached_property
    def leaves(self) -> tuple[Node, ...]:
        """The nodes without outgoing edges."""
        return tuple(node for node in self.nodes if not self.outgoing[node.id])

    def walk(self) -> Iterator[tuple["Graph", Node]]:
        """Every node, those inside others included, with the graph that it lies in."""
        for node in self.nodes:
            yield self, node
            for inner in node.graphs():
                yield from inner.walk()

    def find(self, node_id: str) -> tuple["Graph", Node]:
        """A node wherever it lies, with its graph. Raises KeyError."""
        return self._places[node_id]

    def _edges_by(self, end: Callable[[Edge], str]) -> dict[str, tuple[Edge, ...]]:
        found: dict[str, list[Edge]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            found.setdefault(end(edge), []).append(edge)
        return {node_id: tuple(edges) for node_id, edges in found.items()}

    @cached_property
    def _places(self) -> dict[str, tuple["Graph", Node]]:
        return {node.id: (graph, node) for graph, node in self.walk()}


@dataclass(frozen=True)
class Definition:
    """What an execution needs of a version of a workflow."""

    graph: Graph
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None
    priority: str | None
    queue: str | None
    execution_timeout: float | None
