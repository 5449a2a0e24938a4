"""The graph of a workflow: what was stored as JSON, in the types that the engine works with.

The JSON has the names of the contract, as REST writes them; durations are texts such as `3.5s` there and seconds
here. `parse` expects a graph that was checked when it was saved.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias, TypeVar
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


Choice = TypeVar("Choice", bound=StrEnum)

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
    def roots(self) -> tuple[Node, ...]:
        """The nodes that start at once: nothing leads to them, and no failure either."""
        return tuple(
            node for node in self.nodes if not self.incoming[node.id] and node.id not in self.error_targets
        )

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


def parse_definition(stored: Mapping[str, Any]) -> Definition:
    """What `workflows.graph` holds, whole."""
    return Definition(
        graph=parse(stored),
        input_schema=stored.get("input_schema"),
        output_schema=stored.get("output_schema"),
        priority=stored.get("priority"),
        queue=stored.get("queue"),
        execution_timeout=_seconds(stored.get("execution_timeout")),
    )


def parse(graph: Mapping[str, Any]) -> Graph:
    """The nodes, edges and output expression of a workflow, or of a graph inside a node."""
    return Graph(
        nodes=tuple(_node(node) for node in graph.get("nodes", ())),
        edges=tuple(_edge(edge) for edge in graph.get("edges", ())),
        output_expression=graph.get("output_expression") or None,
    )


def _node(data: Mapping[str, Any]) -> Node:
    node_type = type_of(data)
    node_id = data.get("id", "")
    compensation = data.get("compensation")
    position = data.get("position")
    return Node(
        id=node_id,
        type=node_type,
        work=_work(node_type, data[node_type.lower()], node_id),
        name=data.get("name") or node_id,
        description=data.get("description", ""),
        join=_join(data.get("join")),
        timeout=_seconds(data.get("timeout")),
        on_error=_one_of(OnError, data.get("on_error"), OnError.FAIL),
        error_node_id=data.get("error_node_id") or None,
        compensation=None if compensation is None else _template(compensation),
        position=None if position is None else Position(position.get("x", 0.0), position.get("y", 0.0)),
    )


def type_of(node: Mapping[str, Any]) -> NodeType:
    """What a stored node does. Raises ValueError if it says nothing."""
    for node_type in NodeType:
        if node_type.lower() in node:
            return node_type
    raise ValueError(f"node {node.get('id')!r} is of no type")


def _work(node_type: NodeType, data: Mapping[str, Any], node_id: str) -> Work:
    match node_type:
        case NodeType.TASK:
            return _template(data)
        case NodeType.PARALLEL:
            return _parallel(data)
        case NodeType.CONDITION:
            return Condition(
                tuple(
                    ConditionBranch(branch.get("name", ""), branch.get("condition", ""))
                    for branch in data.get("branches", ())
                )
            )
        case NodeType.DELAY:
            until = data.get("until_time")
            return Delay(
                duration=_seconds(data.get("duration")),
                until=None if until is None else datetime.fromisoformat(until),
                expression=data.get("expression"),
            )
        case NodeType.SUBWORKFLOW:
            return _subworkflow(data)
        case NodeType.WAIT:
            return Wait(
                signal=data.get("signal") or node_id,
                mode=_one_of(WaitMode, data.get("mode"), WaitMode.SIGNAL),
                condition=data.get("condition") or None,
                look_back=_seconds(data.get("look_back")),
            )


def _template(data: Mapping[str, Any]) -> TaskTemplate:
    return TaskTemplate(
        task_type=data.get("task_type", ""),
        payload=_object(data, "payload"),
        payload_expressions=dict(data.get("payload_expressions", {})),
        priority=_name(data.get("priority")),
        queue=data.get("queue") or None,
        retry_policy=_retry_policy(data.get("retry_policy")),
        attempt_timeout=_seconds(data.get("attempt_timeout")),
    )


def _parallel(data: Mapping[str, Any]) -> Parallel:
    over_items = data.get("map")
    return Parallel(
        branches=tuple(
            Branch(branch.get("name", ""), parse(branch.get("graph", {})))
            for branch in data.get("branches", {}).get("branches", ())
        ),
        items=None if over_items is None else over_items.get("items", ""),
        body=None if over_items is None else parse(over_items.get("graph", {})),
        join=_join(data.get("join")),
        keep_rest=data.get("keep_rest", False),
        max_concurrency=data.get("max_concurrency") or None,
    )


def _subworkflow(data: Mapping[str, Any]) -> Subworkflow:
    workflow_id = data.get("workflow_id")
    return Subworkflow(
        workflow_id=None if workflow_id is None else UUID(workflow_id),
        workflow_name=data.get("workflow_name"),
        version=data.get("version") or None,
        input=_object(data, "input"),
        input_expressions=dict(data.get("input_expressions", {})),
        retry_policy=_retry_policy(data.get("retry_policy")),
        cancel_policy=_one_of(CancelPolicy, data.get("cancel_policy"), CancelPolicy.CANCEL),
    )


def _edge(data: Mapping[str, Any]) -> Edge:
    return Edge(
        source=data.get("source", ""),
        target=data.get("target", ""),
        condition=data.get("condition") or None,
        branch=data.get("branch") or None,
        input_expressions=dict(data.get("input_expressions", {})),
    )


def _join(data: Mapping[str, Any] | None) -> Join:
    if data is None:
        return Join()
    return Join(_one_of(JoinMode, data.get("mode"), JoinMode.ALL), data.get("count", 0))


def _object(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A JSON object that came as people write it, or as JSON text."""
    text = data.get(f"{name}_json")
    value: dict[str, Any] = data.get(name, {}) if text is None else json.loads(text)
    return value


def _retry_policy(data: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What is set, with seconds for durations."""
    if not data:
        return None
    policy = dict(data)
    for name in ("initial_backoff", "max_backoff"):
        if name in policy:
            policy[name] = _seconds(policy[name])
    if _name(policy.get("jitter")) is None:
        policy.pop("jitter", None)
    return policy


def _seconds(text: str | None) -> float | None:
    return None if text is None else float(text.removesuffix("s"))


def _name(value: str | None) -> str | None:
    """The name of an enum's value, if it says anything."""
    return None if value is None or value.endswith("_UNSPECIFIED") else value


def _one_of(choices: type[Choice], value: str | None, default: Choice) -> Choice:
    name = _name(value)
    return default if name is None else choices(name)
