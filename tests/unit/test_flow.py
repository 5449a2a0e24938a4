"""A workflow written in Python is the JSON that one would write."""

from datetime import UTC, datetime, timedelta

import pytest

from taskflow_client import INDEX, ITEM, Flow, Job, RetryPolicy, cel
from taskflow_client.workflows import message_of


def test_payloads_are_taken_as_they_are_but_for_expressions():
    flow = Flow("f")
    first = flow.task("a", "echo", {"text": "input.x", "n": flow.input.n, "row": cel("input.rows[0]")})
    assert first.definition() == {
        "id": "a",
        "task": {
            "task_type": "echo",
            "payload_json": '{"text": "input.x"}',
            "payload_expressions": {"n": "input.n", "row": "input.rows[0]"},
        },
    }
    assert str(first.result.rows[0]["odd key"].id) == 'nodes.a.result.rows[0]["odd key"].id'


def test_arrows_are_edges():
    flow = Flow("f")
    a, b, c, d, e = (flow.task(name, "echo") for name in "abcde")
    choice = flow.choose("choice", {"big": f"{a.result.n} > 3"})
    a >> [b, c] >> d
    a.when(f"{a.result.n} > 3") >> e
    a.passing(x=a.result.x) >> choice
    choice["big"] >> e
    assert flow.definition()["edges"] == [
        {"source": "a", "target": "b"},
        {"source": "a", "target": "c"},
        {"source": "b", "target": "d"},
        {"source": "c", "target": "d"},
        {"source": "a", "target": "e", "condition": "nodes.a.result.n > 3"},
        {"source": "a", "target": "choice", "input_expressions": {"x": "nodes.a.result.x"}},
        {"source": "choice", "target": "e", "branch": "big"},
    ]


def test_graphs_lie_within_graphs():
    flow = Flow("f")
    each = flow.map("each", over="input.rows", succeed=3, max_concurrency=2)
    each.task("one", "echo", {"row": ITEM.id, "number": INDEX}) >> each.task("two", "echo")
    each.output = "nodes.two.result"
    sides = flow.parallel("sides", succeed="ANY", keep_rest=True)
    sides.branch("left").task("l", "echo")
    sides.branch("right").map("inner", over="input.rows").delay("r", timedelta(seconds=1.5))
    message = message_of(flow)
    graph = message.nodes[0].parallel.map.graph
    assert [node.id for node in graph.nodes] == ["one", "two"]
    assert (graph.edges[0].target, graph.output_expression) == ("two", "nodes.two.result")
    assert (message.nodes[0].parallel.join.count, message.nodes[0].parallel.max_concurrency) == (3, 2)
    right = message.nodes[1].parallel.branches.branches[1]
    delay = right.graph.nodes[0].parallel.map.graph.nodes[0].delay
    assert (right.name, delay.duration.ToTimedelta()) == ("right", timedelta(seconds=1.5))


def test_every_node_can_have_what_nodes_have():
    flow = Flow("f", execution_timeout=timedelta(hours=1))
    policy = RetryPolicy(max_attempts=2, max_backoff=timedelta(minutes=1), jitter=False)
    other = flow.wait("other", condition="signal.payload.ok", look_back=timedelta(days=1))
    node = flow.subworkflow(
        "child",
        "billing",
        {"n": 1, "x": flow.input.x},
        version=2,
        retry_policy=policy,
        cancel_policy="ABANDON",
        name="Child",
        join="ALL_SETTLED",
        timeout=timedelta(minutes=5),
        undo=Job("undo"),
        position=(3, 4.5),
    )
    node.on_error(other)
    flow.delay("until", datetime(2026, 1, 31, 9, tzinfo=UTC))
    message = message_of(flow)
    child = message.nodes[1]
    assert (child.on_error, child.error_node_id) == (child.GO_TO, "other")
    assert (child.subworkflow.input_json, dict(child.subworkflow.input_expressions)) == (
        '{"n": 1}',
        {"x": "input.x"},
    )
    assert (child.subworkflow.retry_policy.max_backoff.seconds, child.position.y) == (60, 4.5)
    assert message.nodes[2].delay.until_time.ToDatetime(UTC) == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert message.execution_timeout.seconds == 3600


def test_a_definition_with_an_unknown_field_is_refused():
    with pytest.raises(ValueError, match="notes"):
        message_of({"name": "f", "notes": []})
