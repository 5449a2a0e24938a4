"""A workflow written in Python, so that it reads like the graph.

    flow = Flow("thumbnails")
    probe = flow.task("probe", "media.probe", {"film": flow.input.film})
    stills = flow.map("stills", over=probe.result.scenes, max_concurrency=4)
    stills.task("still", "media.still", {"film": flow.input.film, "at": ITEM.start})
    check = flow.choose("check", {"many": cel(f"size({stills.result}) > 100")})
    probe >> stills >> check
    check["many"] >> flow.approval("look")
    await taskflow.workflows.apply(flow)

Values that are computed when a node starts are expressions: references such as `probe.result.scenes`, or `cel(...)`.
Everything else is taken as it is.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from taskflow_client.new_task import Priority, RetryPolicy

OnError = Literal["FAIL", "CONTINUE"]
# How many of several must have succeeded: all, any, so many, or none as long as all are settled.
Needs = Literal["ALL", "ANY", "ALL_SETTLED"] | int
Json = dict[str, Any]
Made = TypeVar("Made", bound="Node")


class Expression:
    """A CEL expression. Members and elements are more of it: `ref.rows[0].id`."""

    def __init__(self, text: str) -> None:
        self._text = text

    # Left out are names of Python's own, so that copy and pickle find what they look for.
    def __getattr__(self, name: str) -> "Expression":
        if name.startswith("__"):
            raise AttributeError(name)
        return Expression(f"{self._text}.{name}")

    def __getitem__(self, key: str | int) -> "Expression":
        return Expression(f"{self._text}[{json.dumps(key)}]")

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"cel({self._text!r})"


def cel(text: str) -> Expression:
    """An expression, such as `cel(f"{probe.result.seconds} > 60.0")`."""
    return Expression(text)


INPUT = Expression("input")
# The item of a map, and its number.
ITEM = Expression("item")
INDEX = Expression("index")


@dataclass(frozen=True)
class Job:
    """A task that a node runs, or that undoes it. The payload may hold expressions, as values of its fields."""

    task_type: str
    payload: Mapping[str, Any] | None = None
    priority: Priority | None = None
    queue: str = ""
    retry_policy: RetryPolicy | None = None
    attempt_timeout: timedelta | None = None

    def template(self) -> Json:
        fields, expressions = _split(self.payload)
        return _set(
            task_type=self.task_type,
            payload_json=json.dumps(fields, ensure_ascii=False, allow_nan=False) if fields else None,
            payload_expressions=expressions,
            priority=self.priority,
            queue=self.queue,
            retry_policy=_retry_policy(self.retry_policy),
            attempt_timeout=_seconds(self.attempt_timeout),
        )


class Node:
    """A node of a graph. `node >> other` says that the other follows; `[a, b] >> node` that it follows both."""

    def __init__(self, graph: "Graph", id: str, fields: Json) -> None:
        self.id = id
        self.fields = fields
        self._graph = graph

    def definition(self) -> Json:
        """The node as JSON, as over REST."""
        return {"id": self.id, **self.fields}

    @property
    def result(self) -> Expression:
        """What it gives."""
        return Expression(f"nodes.{self.id}.result")

    @property
    def status(self) -> Expression:
        """How it ended."""
        return Expression(f"nodes.{self.id}.status")

    @property
    def error(self) -> Expression:
        """Why it failed."""
        return Expression(f"nodes.{self.id}.error")

    def __rshift__(self, other: "Node | Iterable[Node]") -> "Node | Iterable[Node]":
        return Way(self) >> other

    def __rrshift__(self, others: Iterable["Node | Way"]) -> "Node":
        for other in others:
            _ = other >> self
        return self

    def when(self, condition: str | Expression) -> "Way":
        """The way that is taken if this is true once the node is final."""
        return Way(self, condition=str(condition))

    def passing(self, **inputs: str | Expression) -> "Way":
        """The way that gives these input fields to what follows."""
        return Way(self, inputs=inputs)

    def on_error(self, other: "Node") -> "Node":
        """Go on at another node, and there alone, if this one fails."""
        self.fields |= {"on_error": "GO_TO", "error_node_id": other.id}
        return self

    def connect(self, other: "Node", **edge: Any) -> None:
        """Add an edge to another node of the same graph."""
        self._graph.edges.append(_set(source=self.id, target=other.id, **edge))


class Choice(Node):
    """A node that chooses one of several ways: `choice["name"] >> node`, `choice["default"] >> other`."""

    def __getitem__(self, branch: str) -> "Way":
        return Way(self, branch=branch)


class Way:
    """A way out of a node, with what is special about it."""

    def __init__(
        self,
        source: Node,
        *,
        branch: str = "",
        condition: str = "",
        inputs: Mapping[str, str | Expression] | None = None,
    ) -> None:
        self._source = source
        self._edge = {
            "branch": branch,
            "condition": condition,
            "input_expressions": {name: str(value) for name, value in (inputs or {}).items()},
        }

    def __rshift__(self, other: "Node | Iterable[Node]") -> "Node | Iterable[Node]":
        targets = [other] if isinstance(other, Node) else list(other)
        for target in targets:
            self._source.connect(target, **self._edge)
        return other if isinstance(other, Node) else targets


class Graph:
    """Nodes and edges. Each method adds a node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: list[Json] = []
        self.output: str | Expression = ""

    def graph(self) -> Json:
        """The graph as JSON, as over REST."""
        nodes = [node.definition() for node in self.nodes]
        return _set(nodes=nodes, edges=self.edges, output_expression=str(self.output))

    def task(
        self,
        id: str,
        task_type: str,
        payload: Mapping[str, Any] | None = None,
        *,
        priority: Priority | None = None,
        queue: str = "",
        retry_policy: RetryPolicy | None = None,
        attempt_timeout: timedelta | None = None,
        **node: Any,
    ) -> Node:
        """Runs one task. `node`: as for all nodes; see `add`."""
        job = Job(task_type, payload, priority, queue, retry_policy, attempt_timeout)
        return self.add(Node, id, task=job.template(), **node)

    def choose(self, id: str, branches: Mapping[str, str | Expression], **node: Any) -> Choice:
        """Chooses the first of the branches, by name, whose condition is true."""
        listed = [{"name": name, "condition": str(condition)} for name, condition in branches.items()]
        return self.add(Choice, id, condition={"branches": listed}, **node)

    def delay(self, id: str, length: timedelta | datetime | str | Expression, **node: Any) -> Node:
        """Waits: so long, until then, or as an expression says."""
        match length:
            case timedelta():
                delay = {"duration": _seconds(length)}
            case datetime():
                delay = {"until_time": length.astimezone().isoformat()}
            case _:
                delay = {"expression": str(length)}
        return self.add(Node, id, delay=delay, **node)

    def subworkflow(
        self,
        id: str,
        workflow_name: str = "",
        input: Mapping[str, Any] | None = None,
        *,
        workflow_id: str = "",
        version: int = 0,
        retry_policy: RetryPolicy | None = None,
        cancel_policy: Literal["CANCEL", "ABANDON"] | None = None,
        **node: Any,
    ) -> Node:
        """Runs another workflow, by name or by id."""
        fields, expressions = _split(input)
        subworkflow = _set(
            workflow_name=workflow_name,
            workflow_id=workflow_id,
            version=version,
            input_json=json.dumps(fields, ensure_ascii=False, allow_nan=False) if fields else None,
            input_expressions=expressions,
            retry_policy=_retry_policy(retry_policy),
            cancel_policy=cancel_policy,
        )
        return self.add(Node, id, subworkflow=subworkflow, **node)

    def wait(
        self,
        id: str,
        signal: str = "",
        *,
        condition: str | Expression = "",
        look_back: timedelta | None = None,
        mode: Literal["SIGNAL", "APPROVAL"] | None = None,
        **node: Any,
    ) -> Node:
        """Waits for a signal: `signal`, or the id of the node."""
        wait = _set(signal=signal, condition=str(condition), look_back=_seconds(look_back), mode=mode)
        return self.add(Node, id, wait=wait, **node)

    def approval(self, id: str, signal: str = "", **node: Any) -> Node:
        """Waits for somebody to approve."""
        return self.wait(id, signal, mode="APPROVAL", **node)

    def map(
        self,
        id: str,
        over: str | Expression,
        *,
        succeed: Needs | None = None,
        keep_rest: bool = False,
        max_concurrency: int = 0,
        **node: Any,
    ) -> "Map":
        """Runs a graph for each item of a list: add its nodes to what this returns. They see ITEM and INDEX.

        `succeed`: how many must succeed for the node to succeed.
        """
        made = self.add(Map, id, **node)
        made.items = str(over)
        made.limits = _set(join=_join(succeed), keep_rest=keep_rest, max_concurrency=max_concurrency)
        return made

    def parallel(
        self,
        id: str,
        *,
        succeed: Needs | None = None,
        keep_rest: bool = False,
        max_concurrency: int = 0,
        **node: Any,
    ) -> "Parallel":
        """Runs several graphs side by side: `parallel.branch("name")` makes each."""
        made = self.add(Parallel, id, **node)
        made.limits = _set(join=_join(succeed), keep_rest=keep_rest, max_concurrency=max_concurrency)
        return made

    def add(
        self,
        kind: type[Made],
        id: str,
        *,
        name: str = "",
        description: str = "",
        join: Needs | None = None,
        timeout: timedelta | None = None,
        on_error: OnError | None = None,
        undo: Job | None = None,
        position: tuple[float, float] | None = None,
        **work: Any,
    ) -> Made:
        """A node with what all nodes have.

        `join`: how many of the nodes before it must have succeeded. `on_error`: whether the execution fails with it
        or goes on; `node.on_error(other)` goes on elsewhere. `undo`: the task that undoes it.
        """
        node = kind(
            self,
            id,
            _set(
                name=name,
                description=description,
                join=_join(join),
                timeout=_seconds(timeout),
                on_error=on_error,
                compensation=None if undo is None else undo.template(),
                position=None if position is None else {"x": position[0], "y": position[1]},
            )
            | work,
        )
        self.nodes.append(node)
        return node


class Map(Node, Graph):
    """A node that runs a graph for each item of a list. It is that graph, too."""

    def __init__(self, graph: Graph, id: str, fields: Json) -> None:
        Node.__init__(self, graph, id, fields)
        Graph.__init__(self)
        self.items = ""
        self.limits: Json = {}

    def definition(self) -> Json:
        parallel = {"map": {"items": self.items, "graph": self.graph()}, **self.limits}
        return {**super().definition(), "parallel": parallel}


class Parallel(Node):
    """A node that runs several graphs side by side."""

    def __init__(self, graph: Graph, id: str, fields: Json) -> None:
        super().__init__(graph, id, fields)
        self.branches: dict[str, Graph] = {}
        self.limits: Json = {}

    def branch(self, name: str) -> Graph:
        """A graph beside the others."""
        return self.branches.setdefault(name, Graph())

    def definition(self) -> Json:
        branches = [{"name": name, "graph": graph.graph()} for name, graph in self.branches.items()]
        return {**super().definition(), "parallel": {"branches": {"branches": branches}, **self.limits}}


class Flow(Graph):
    """A workflow. Its `output` is an expression, or nothing for the results of its last nodes."""

    input = INPUT

    def __init__(
        self,
        name: str,
        *,
        description: str = "",
        tags: Iterable[str] = (),
        input_schema: Mapping[str, Any] | None = None,
        output_schema: Mapping[str, Any] | None = None,
        priority: Priority | None = None,
        queue: str = "",
        execution_timeout: timedelta | None = None,
    ) -> None:
        super().__init__()
        self._fields = _set(
            name=name,
            description=description,
            tags=list(tags),
            input_schema=input_schema and dict(input_schema),
            output_schema=output_schema and dict(output_schema),
            priority=priority,
            queue=queue,
            execution_timeout=_seconds(execution_timeout),
        )

    def definition(self) -> Json:
        """The workflow as JSON, as over REST."""
        return {**self._fields, **self.graph()}


def _set(**fields: Any) -> Json:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in (None, "", 0, False, [], {})}


def _split(payload: Mapping[str, Any] | None) -> tuple[Json, dict[str, str]]:
    """The fields that are taken as they are, and those that are computed."""
    fields = {name: value for name, value in (payload or {}).items() if not isinstance(value, Expression)}
    computed = {name: str(value) for name, value in (payload or {}).items() if isinstance(value, Expression)}
    return fields, computed


def _join(needs: Needs | None) -> Json | None:
    if needs is None:
        return None
    return {"mode": "COUNT", "count": needs} if isinstance(needs, int) else {"mode": needs}


def _seconds(length: timedelta | None) -> str | None:
    return None if length is None else f"{length.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"


def _retry_policy(policy: RetryPolicy | None) -> Json | None:
    if policy is None:
        return None
    return _set(
        max_attempts=policy.max_attempts,
        initial_backoff=_seconds(policy.initial_backoff),
        max_backoff=_seconds(policy.max_backoff),
        backoff_multiplier=policy.backoff_multiplier,
        jitter=None if policy.jitter else "NONE",
        non_retryable_error_types=list(policy.non_retryable_error_types),
    )
