"""What is wrong with a definition, all at once, each with its place and its kind."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.workflows import chain, edge, task_node
from taskflow_core.workflows.checks import definition_problems
from taskflow_core.workflows.problems import Problem, in_order

Graph = dict[str, Any]


def problems(definition: Graph) -> list[Problem]:
    return in_order(definition_problems({"name": "w"} | definition, max_payload_bytes=1000))


def kinds(definition: Graph) -> list[tuple[str, str]]:
    return [(problem.field, problem.rule) for problem in problems(definition)]


def delays(*node_ids: str, **join: Any) -> list[Graph]:
    return [{"id": node_id, "delay": {"duration": "1s"}} for node_id in node_ids]


def choice(node_id: str, **branches: str) -> Graph:
    listed = [{"name": name, "condition": condition} for name, condition in branches.items()]
    return {"id": node_id, "condition": {"branches": listed}}


def mapped(node_id: str, graph: Graph, items: str = "input.items", **parallel: Any) -> Graph:
    return {"id": node_id, "parallel": {"map": {"items": items, "graph": graph}, **parallel}}


def branched(node_id: str, *names: str, **parallel: Any) -> Graph:
    branches = [{"name": name, "graph": {"nodes": delays(f"{node_id}_{i}")}} for i, name in enumerate(names)]
    return {"id": node_id, "parallel": {"branches": {"branches": branches}, **parallel}}


@st.composite
def dags(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    """Nodes in an order, shuffled, and edges that all go forwards in it."""
    count = draw(st.integers(2, 25))
    order = [f"n{number}" for number in range(count)]
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda p: p[0] < p[1])
    edges = draw(st.lists(pairs, unique=True, max_size=60))
    return draw(st.permutations(order)), [(order[source], order[target]) for source, target in edges]


@given(dags())
@settings(max_examples=150, deadline=None)
def test_any_graph_whose_edges_go_forwards_is_without_fault(dag: tuple[list[str], list[tuple[str, str]]]):
    node_ids, edges = dag
    assert problems({"nodes": delays(*node_ids), "edges": [edge(*ends) for ends in edges]}) == []


@given(dags(), st.data())
@settings(max_examples=150, deadline=None)
def test_an_edge_back_is_named_as_a_cycle_node_by_node(
    dag: tuple[list[str], list[tuple[str, str]]], data: st.DataObject
):
    node_ids, edges = dag
    reach = {node_id: {node_id} for node_id in node_ids}
    for source, target in sorted(edges, key=lambda ends: -int(ends[0][1:])):
        reach[source] |= reach[target]
    backs = sorted((after, before) for before in node_ids for after in reach[before])
    back = data.draw(st.sampled_from(backs))
    found = problems({"nodes": delays(*node_ids), "edges": [edge(*ends) for ends in [*edges, back]]})
    assert {problem.rule for problem in found} == {"CYCLE"}
    (cycle,) = found
    way = cycle.description.removeprefix("closes the cycle ").split(" -> ")
    steps = list(itertools.pairwise(way))
    assert way[0] == way[-1]
    assert back in steps
    assert set(steps) <= {*edges, back}
    assert len(set(way)) == len(way) - 1


@given(dags(), st.data())
@settings(max_examples=100, deadline=None)
def test_an_expression_sees_exactly_what_comes_before_it(
    dag: tuple[list[str], list[tuple[str, str]]], data: st.DataObject
):
    node_ids, edges = dag
    reader, read = data.draw(st.sampled_from(node_ids)), data.draw(st.sampled_from(node_ids))
    before: set[str] = set()
    waiting = [reader]
    while waiting:
        here = waiting.pop()
        fresh = {source for source, target in edges if target == here} - before
        before |= fresh
        waiting += fresh
    nodes = delays(*(node_id for node_id in node_ids if node_id != reader))
    nodes.append(task_node(reader, payload_expressions={"x": f"nodes.{read}.result"}))
    found = kinds({"nodes": nodes, "edges": [edge(*ends) for ends in edges]})
    assert (found == []) == (read in before)


def test_cycles_are_found_through_failures_and_to_itself():
    nodes = delays("a", "b", "c")
    nodes[1] |= {"on_error": "GO_TO", "error_node_id": "a"}
    found = problems({"nodes": nodes, "edges": [edge("a", "b"), edge("c", "c")]})
    assert [(problem.field, problem.description) for problem in found] == [
        ("nodes[1].error_node_id", "closes the cycle a -> b -> a"),
        ("edges[1]", "closes the cycle c -> c"),
    ]


def test_a_cycle_inside_a_map_is_told_with_its_place():
    inner = {"nodes": delays("x", "y"), "edges": [edge("x", "y"), edge("y", "x")]}
    assert kinds({"nodes": [mapped("m", inner)]}) == [("nodes[0].parallel.map.graph.edges[1]", "CYCLE")]


def test_ids_and_names_of_branches_occur_once():
    found = kinds(
        {
            "nodes": [
                *delays("a"),
                mapped("m", {"nodes": delays("a")}),
                branched("p", "left", "left"),
                {
                    "id": "c",
                    "condition": {
                        "branches": [
                            {"name": "yes", "condition": "input.x"},
                            {"name": "yes", "condition": "input.y"},
                            {"name": "default", "condition": "input.z"},
                        ]
                    },
                },
            ]
        }
    )
    assert found == [
        ("nodes[1].parallel.map.graph.nodes[0].id", "DUPLICATE_ID"),
        ("nodes[2].parallel.branches.branches[1].name", "DUPLICATE_ID"),
        ("nodes[3].condition.branches[1].name", "DUPLICATE_ID"),
        ("nodes[3].condition.branches[2].name", "DUPLICATE_ID"),
    ]


def test_ends_of_edges_are_nodes_of_the_same_graph_and_branches_are_there():
    nodes = [*delays("alpha"), mapped("m", {"nodes": delays("inner")}), choice("c", big="input.n > 1")]
    edges = [
        edge("alpha", "alpah"),
        edge("alpha", "inner"),
        edge("c", "m", branch="small"),
        edge("c", "m"),
        edge("alpha", "m", branch="big"),
    ]
    found = problems({"nodes": nodes, "edges": edges})
    assert [(problem.field, problem.rule) for problem in found] == [
        ("edges[0].target", "UNKNOWN_NODE"),
        ("edges[1].target", "UNKNOWN_NODE"),
        ("edges[2].branch", "UNKNOWN_BRANCH"),
        ("edges[3].branch", "UNKNOWN_BRANCH"),
        ("edges[4].branch", "UNKNOWN_BRANCH"),
    ]
    assert "did you mean 'alpha'?" in found[0].description


@pytest.mark.parametrize(
    "node",
    [
        {"on_error": "GO_TO"},
        {"on_error": "GO_TO", "error_node_id": "nobody"},
        {"error_node_id": "b"},
    ],
)
def test_a_failure_goes_on_at_a_node_that_there_is(node: Graph):
    nodes = delays("a", "b")
    nodes[0] |= node
    assert kinds({"nodes": nodes}) == [("nodes[0].error_node_id", "UNKNOWN_NODE")]


def test_nodes_that_nothing_can_lead_to_are_told():
    nodes = [choice("c", always="true", never="input.x"), *delays("a", "b", "d", "e")]
    edges = [
        edge("c", "a", branch="always"),
        edge("c", "b", branch="never"),
        edge("c", "b", branch="default"),
        edge("b", "d"),
        edge("a", "e", condition="1 > 2"),
    ]
    assert kinds({"nodes": nodes, "edges": edges}) == [
        ("nodes[2]", "UNREACHABLE"),
        ("nodes[3]", "UNREACHABLE"),
        ("nodes[4]", "UNREACHABLE"),
    ]


def joined(mode: str, count: int = 0) -> Graph:
    return {"join": {"mode": mode, "count": count}}


def test_a_join_needs_no_more_than_can_come():
    nodes = delays("a", "b", "join")
    edges = [edge("a", "join"), edge("b", "join")]
    for count, is_wrong in ((0, True), (1, False), (2, False), (3, True)):
        nodes[2] |= joined("COUNT", count)
        wanted = [("nodes[2].join.count", "JOIN_NEVER_MET")] if is_wrong else []
        assert kinds({"nodes": nodes, "edges": edges}) == wanted
    nodes[2] |= joined("ALL")
    assert kinds({"nodes": nodes, "edges": edges}) == []


def test_of_ways_that_exclude_each_other_a_join_gets_one():
    nodes = [choice("c", left="input.x", right="input.y"), *delays("l", "ll", "r", "both", "join")]
    edges = [
        edge("c", "l", branch="left"),
        edge("l", "ll"),
        edge("c", "r", branch="right"),
        edge("c", "both", branch="left"),
        edge("c", "both", branch="right"),
        edge("ll", "join"),
        edge("r", "join"),
        edge("both", "join"),
    ]
    for count, is_wrong in ((2, False), (3, True)):
        nodes[5] |= joined("COUNT", count)
        assert bool(kinds({"nodes": nodes, "edges": edges})) == is_wrong
    nodes[5] |= joined("ALL")
    assert kinds({"nodes": nodes, "edges": edges}) == []


def test_success_and_failure_of_a_node_exclude_each_other():
    nodes = delays("a", "failed", "join")
    nodes[0] |= {"on_error": "GO_TO", "error_node_id": "failed"}
    nodes[2] |= joined("COUNT", 2)
    edges = [edge("a", "join"), edge("failed", "join")]
    assert kinds({"nodes": nodes, "edges": edges}) == [("nodes[2].join.count", "JOIN_NEVER_MET")]


def test_a_parallel_node_needs_no_more_than_its_branches():
    wanted = branched("p", "x", "y", join={"mode": "COUNT", "count": 3})
    assert kinds({"nodes": [wanted]}) == [("nodes[0].parallel.join.count", "JOIN_NEVER_MET")]
    over_items = mapped("m", {"nodes": delays("x")}, join={"mode": "COUNT", "count": 300})
    assert kinds({"nodes": [over_items]}) == []


@pytest.mark.parametrize(
    ("source", "rule", "what"),
    [
        ("1 +", "BAD_EXPRESSION", "its end"),
        ("shout(input.x)", "BAD_EXPRESSION", "unknown function 'shout'"),
        ("inputs.x", "BAD_EXPRESSION", "unknown variable 'inputs'"),
        ("item", "BAD_EXPRESSION", "unknown variable 'item'"),
        ("signal.payload", "BAD_EXPRESSION", "unknown variable 'signal'"),
        ("nodes.nobody.result", "UNKNOWN_NODE", "no node 'nobody'"),
        ("nodes.frist.result", "UNKNOWN_NODE", "did you mean 'first'?"),
        ("nodes.later.result", "UNKNOWN_NODE", "does not come before"),
        ("nodes.reader.result", "UNKNOWN_NODE", "does not come before"),
        ("nodes.inner.result", "UNKNOWN_NODE", "lies inside 'each'"),
        ("nodes.first.output", "BAD_EXPRESSION", "a node has result, status, error, not 'output'"),
        ("nodes[input.x].result", "BAD_EXPRESSION", "followed by the id of a node"),
        ("size(nodes)", "BAD_EXPRESSION", "followed by the id of a node"),
        ("execution.started", "BAD_EXPRESSION", "'execution' has no 'started'"),
    ],
)
def test_an_expression_names_only_what_is_there(source: str, rule: str, what: str):
    nodes = [
        *delays("first"),
        task_node("reader", payload_expressions={"x": source}),
        *delays("later"),
        mapped("each", {"nodes": delays("inner")}),
    ]
    (found,) = problems({"nodes": nodes, "edges": [edge("first", "reader"), edge("reader", "later")]})
    assert (found.field, found.rule) == ('nodes[1].task.payload_expressions["x"]', rule)
    assert what in found.description


def test_every_place_of_an_expression_is_read():
    bad = "nope"
    inner = {"nodes": delays("x"), "output_expression": bad}
    nodes = [
        task_node(
            "a",
            payload_expressions={"f": bad},
            node_compensation={"task_type": "u", "payload_expressions": {"f": bad}},
        ),
        mapped("m", inner, items=bad),
        choice("c", one=bad),
        {"id": "d", "delay": {"expression": bad}},
        {"id": "s", "subworkflow": {"workflow_name": "o", "input_expressions": {"f": bad}}},
        {"id": "w", "wait": {"condition": bad}},
    ]
    edges = [edge("a", "d", condition=bad, input_expressions={"f": bad})]
    found = kinds({"nodes": nodes, "edges": edges, "output_expression": bad})
    assert [field for field, rule in found if rule == "BAD_EXPRESSION"] == [
        'nodes[0].compensation.payload_expressions["f"]',
        'nodes[0].task.payload_expressions["f"]',
        "nodes[1].parallel.map.graph.output_expression",
        "nodes[1].parallel.map.items",
        "nodes[2].condition.branches[0].condition",
        "nodes[3].delay.expression",
        'nodes[4].subworkflow.input_expressions["f"]',
        "nodes[5].wait.condition",
        "edges[0].condition",
        'edges[0].input_expressions["f"]',
        "output_expression",
    ]


def test_each_place_sees_what_is_known_there():
    inner = {
        "nodes": [task_node("x", payload_expressions={"a": "item", "b": "index", "c": "nodes.first.result"})],
        "output_expression": "nodes.x.result + item",
    }
    nodes = [
        task_node(
            "first",
            node_compensation={
                "task_type": "u",
                "payload_expressions": {"r": "nodes.first.result", "l": "nodes.last.status"},
            },
        ),
        mapped("each", inner, items="nodes.first.result"),
        {"id": "last", "wait": {"condition": "signal.payload.ok && nodes.first.result"}},
    ]
    edges = [
        edge("first", "each", condition="nodes.first.result.ok"),
        edge("first", "last", input_expressions={"x": "nodes.first.error"}),
    ]
    assert kinds({"nodes": nodes, "edges": edges, "output_expression": "nodes.last.result"}) == []


def test_a_condition_that_is_no_condition_is_told():
    nodes = [choice("c", one="'yes'"), *delays("a", "b")]
    edges = [edge("c", "a", branch="default"), edge("a", "b", condition="1 + 1")]
    found = problems({"nodes": nodes, "edges": edges})
    assert [(problem.field, problem.description) for problem in found] == [
        ("nodes[0].condition.branches[0].condition", "gives a text, not true or false"),
        ("edges[1].condition", "gives a number, not true or false"),
    ]


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"type": "objekt"}, "input_schema.type"),
        ({"properties": {"n": {"minimum": "3"}}}, "input_schema.properties.n.minimum"),
        ({"properties": {"n": {"$ref": "#/$defs/none"}}}, "input_schema.properties.n.$ref"),
        ({"$ref": "https://example.org/schema"}, "input_schema.$ref"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "input_schema.$schema"),
        ({"pattern": "(?=x)"}, "input_schema"),
    ],
)
def test_a_schema_is_one_that_can_be_used(schema: Graph, field: str):
    definition = chain("w", "a")
    assert kinds(definition | {"input_schema": schema}) == [(field, "BAD_SCHEMA")]
    [(output_field, _)] = kinds(definition | {"output_schema": schema})
    assert output_field == field.replace("input", "output")


def test_limits_are_told_before_anything_else_is_looked_at():
    many = {"nodes": delays(*(f"n{number}" for number in range(1001))), "output_expression": "1 +"}
    assert kinds(many) == [("nodes", "LIMIT_EXCEEDED")]
    edges = {"nodes": delays("a", "b"), "edges": [edge("a", "b")] * 5001}
    assert kinds(edges) == [("edges", "LIMIT_EXCEEDED")]
    deep = {"nodes": delays("x")}
    for level in range(9):
        deep = {"nodes": [mapped(f"m{level}", deep)]}
    [(field, rule)] = kinds(deep)
    assert (field.count("parallel.map.graph"), rule) == (9, "LIMIT_EXCEEDED")
    assert kinds({"nodes": []}) == [("nodes", "repeated.min_items")]


def test_payloads_are_objects_of_limited_size():
    nodes = [
        task_node("a", payload_json="[1]"),
        task_node("b", payload_json='{"a": 1, "a": 2}'),
        task_node("c", payload={"text": "x" * 1000}),
        {"id": "d", "subworkflow": {"workflow_name": "o", "input_json": "{"}},
        task_node("e", payload={"nodes": [1, {"payload_json": "{"}]}),
    ]
    assert kinds({"nodes": nodes}) == [
        ("nodes[0].task.payload_json", "INVALID_FIELDS"),
        ("nodes[1].task.payload_json", "INVALID_FIELDS"),
        ("nodes[2].task.payload", "LIMIT_EXCEEDED"),
        ("nodes[3].subworkflow.input_json", "INVALID_FIELDS"),
    ]


def test_a_thousand_nodes_that_all_read_each_other_are_checked_in_seconds():
    nodes = [task_node("n0")]
    nodes += [
        task_node(f"n{number}", payload_expressions={"x": f"nodes.n{number // 2}.result"})
        for number in range(1, 1000)
    ]
    edges = [edge(f"n{number // 2}", f"n{number}") for number in range(1, 1000)]
    edges += [edge(f"n{number - 1}", f"n{number}") for number in range(1, 1000)]
    assert kinds({"nodes": nodes, "edges": edges}) == []
