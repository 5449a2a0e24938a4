"""From the JSON of a stored workflow to its graph.

The JSON has the names of the contract, as REST writes them; durations are texts such as `3.5s` there. It is expected
to have been checked when it was saved.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from taskflow_core.workflows.graph import (
    Branch,
    CancelPolicy,
    Condition,
    ConditionBranch,
    Definition,
    Delay,
    Edge,
    Graph,
    Join,
    JoinMode,
    Node,
    NodeType,
    OnError,
    Parallel,
    Position,
    Subworkflow,
    TaskTemplate,
    Wait,
    WaitMode,
    Work,
)

Choice = TypeVar("Choice", bound=StrEnum)


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
