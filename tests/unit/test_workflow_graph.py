"""The graph that an engine works with, from the JSON that is stored."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskflow_core.workflows.graph import (
    CancelPolicy,
    Condition,
    Delay,
    JoinMode,
    NodeType,
    OnError,
    Parallel,
    Subworkflow,
    TaskTemplate,
    Wait,
    WaitMode,
)
from taskflow_core.workflows.parse import parse, parse_definition

EXAMPLES = Path(__file__).parents[2] / "clients/python/examples/workflows"


def example(name: str) -> dict[str, Any]:
    definition: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return definition


def test_every_field_of_a_node_has_its_value_and_its_default():
    graph = parse(
        {
            "nodes": [
                {
                    "id": "a",
                    "task": {
                        "task_type": "echo",
                        "payload_json": '{"big": 9007199254740993}',
                        "payload_expressions": {"x": "input.x"},
                        "retry_policy": {"max_attempts": 5, "initial_backoff": "0.500s", "jitter": "NONE"},
                        "attempt_timeout": "90s",
                        "priority": "HIGH",
                    },
                    "join": {"mode": "COUNT", "count": 2},
                    "timeout": "3600s",
                    "on_error": "GO_TO",
                    "error_node_id": "b",
                    "compensation": {"task_type": "undo"},
                },
                {"id": "b", "wait": {}},
            ]
        }
    )
    a, b = graph.nodes
    assert isinstance(a.work, TaskTemplate)
    assert a.work.payload == {"big": 9007199254740993}
    assert a.work.retry_policy == {"max_attempts": 5, "initial_backoff": 0.5, "jitter": "NONE"}
    assert (a.work.attempt_timeout, a.work.priority, a.work.queue) == (90.0, "HIGH", None)
    assert (a.join.mode, a.join.count, a.timeout, a.on_error) == (JoinMode.COUNT, 2, 3600.0, OnError.GO_TO)
    assert a.compensation is not None
    assert (a.compensation.payload, a.compensation.retry_policy) == ({}, None)
    assert (b.type, b.name, b.join.mode, b.on_error) == (NodeType.WAIT, "b", JoinMode.ALL, OnError.FAIL)
    assert isinstance(b.work, Wait)
    assert (b.work.signal, b.work.mode, b.work.look_back) == ("b", WaitMode.SIGNAL, None)


def test_delays_and_subworkflows_say_what_they_are():
    graph = parse(
        {
            "nodes": [
                {"id": "a", "delay": {"duration": "1.250s"}},
                {"id": "b", "delay": {"until_time": "2026-01-31T09:00:00Z"}},
                {"id": "c", "subworkflow": {"workflow_name": "x", "version": 3, "cancel_policy": "ABANDON"}},
            ]
        }
    )
    a, b, c = (node.work for node in graph.nodes)
    assert a == Delay(1.25, None, None)
    assert b == Delay(None, datetime(2026, 1, 31, 9, tzinfo=UTC), None)
    assert isinstance(c, Subworkflow)
    assert (c.workflow_id, c.version, c.cancel_policy, c.input) == (None, 3, CancelPolicy.ABANDON, {})


def test_a_graph_knows_what_leads_where():
    graph = parse(example("media"))
    assert [node.id for node in graph.nodes if not graph.incoming[node.id]] == ["probe", "human"]
    assert [node.id for node in graph.leaves] == ["publish"]
    assert graph.error_targets == {"human"}
    assert [edge.source for edge in graph.incoming["publish"]] == ["check", "human"]
    assert [edge.target for edge in graph.outgoing["probe"]] == ["make"]
    inner, encode = graph.find("encode")
    assert (encode.type, [node.id for node in inner.nodes]) == (NodeType.TASK, ["encode"])
    _, scenes = graph.find("scenes")
    assert isinstance(scenes.work, Parallel)
    assert (scenes.work.is_map, scenes.work.max_concurrency) == (True, 4)
    with pytest.raises(KeyError):
        graph.find("nobody")


def test_a_definition_has_what_an_execution_needs():
    definition = parse_definition(example("etl"))
    assert (definition.execution_timeout, definition.queue, definition.priority) == (3600.0, "default", None)
    assert definition.input_schema is not None
    _, enough = definition.graph.find("enough")
    assert isinstance(enough.work, Condition)
    assert enough.work.branches[0].name == "yes"
