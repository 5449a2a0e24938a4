"""Plans: what follows from what has happened, against an oracle that knows only the rules."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.executions import Simulation, definition, edge, task
from taskflow_core.executions.happen import CancelRequested, RanOut, Retried
from taskflow_core.executions.plan import Limits
from taskflow_core.states import ExecutionStatus, NodeRunStatus

Json = dict[str, Any]

FINAL = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED", "COMPENSATED"}
JOINS = [{}, {"mode": "ANY"}, {"mode": "COUNT", "count": 2}, {"mode": "ALL_SETTLED"}]


@st.composite
def graphs(draw: st.DrawFn) -> Json:
    """A graph of 1 to 9 nodes whose edges lead from earlier to later ones."""
    count = draw(st.integers(1, 9))
    nodes: list[Json] = []
    edges: list[Json] = []
    for number in range(count):
        node_id = f"n{number}"
        sources = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=3)) if number else []
        kind = draw(st.sampled_from(["task", "task", "task", "condition", "map"]))
        node = _node(draw, node_id, kind)
        if sources:
            node["join"] = draw(st.sampled_from(JOINS))
        if draw(st.booleans()) and kind != "condition":
            later = [f"n{n}" for n in range(number + 1, count)]
            choice = draw(st.sampled_from(["CONTINUE", "GO_TO"] if later else ["CONTINUE"]))
            node["on_error"] = choice
            if choice == "GO_TO":
                node["error_node_id"] = draw(st.sampled_from(later))
        nodes.append(node)
        for source in sources:
            link = edge(f"n{source}", node_id)
            if "condition" in nodes[source]:
                link["branch"] = draw(st.sampled_from(["yes", "default"]))
            elif draw(st.integers(0, 3)) == 0:
                link["condition"] = draw(st.sampled_from(["true", "false"]))
            edges.append(link)
    return definition(nodes, edges)


def _node(draw: st.DrawFn, node_id: str, kind: str) -> Json:
    if kind == "condition":
        truth = draw(st.sampled_from(["true", "false"]))
        return {"id": node_id, "condition": {"branches": [{"name": "yes", "condition": truth}]}}
    if kind == "map":
        inner = definition([task(f"{node_id}x"), task(f"{node_id}y")], [edge(f"{node_id}x", f"{node_id}y")])
        items = "[" + ",".join("1" * draw(st.integers(0, 3))) + "]"
        parallel: Json = {"map": {"items": items, "graph": inner}}
        if draw(st.booleans()):
            parallel["max_concurrency"] = 1
        return {"id": node_id, "parallel": parallel}
    return task(node_id, compensation={"task_type": "undo"})


def expected(content: Json, failing: set[str]) -> dict[str, str]:
    """The status of each node if nothing is ever cancelled, in the order of the definition."""
    statuses: dict[str, str] = {}
    for node in content["nodes"]:
        ways = [_way(content, statuses, link) for link in content["edges"] if link["target"] == node["id"]]
        ways += [
            statuses[other["id"]] == "FAILED"
            for other in content["nodes"]
            if other.get("error_node_id") == node["id"]
        ]
        mode = node.get("join", {}).get("mode", "ALL")
        needed = 2 if mode == "COUNT" else 1
        if ways and sum(ways) < needed:
            statuses[node["id"]] = "SKIPPED"
        else:
            statuses[node["id"]] = "FAILED" if _fails(node, failing) else "SUCCEEDED"
    return statuses


def _way(content: Json, statuses: dict[str, str], link: Json) -> bool:
    source = next(node for node in content["nodes"] if node["id"] == link["source"])
    if statuses[source["id"]] == "FAILED":
        goes_on = source.get("on_error") == "CONTINUE"
    else:
        goes_on = statuses[source["id"]] == "SUCCEEDED"
    if "branch" in link:
        taken = "yes" if source["condition"]["branches"][0]["condition"] == "true" else "default"
        goes_on = goes_on and link["branch"] == taken
    return bool(goes_on and link.get("condition", "true") == "true")


def _fails(node: Json, failing: set[str]) -> bool:
    if "parallel" in node:
        items = node["parallel"]["map"]["items"].count("1")
        return items > 0 and bool({f"{node['id']}x", f"{node['id']}y"} & failing)
    return "task" in node and node["id"] in failing


def node_of(path: str) -> str:
    return path.rpartition(".")[2]


def run_to_the_end(simulation: Simulation, data: st.DataObject, failing: set[str]) -> None:
    """End tasks in any order, several at once."""
    while waiting := simulation.waiting():
        size = data.draw(st.integers(1, min(3, len(waiting))))
        chosen = data.draw(st.permutations(waiting))[:size]
        simulation.happen(
            *(simulation.ended(one, one.path, fails=node_of(one.path) in failing) for one in chosen)
        )


@settings(max_examples=300, deadline=None)
@given(graphs(), st.data())
def test_any_graph_ends_as_the_rules_say(content: Json, data: st.DataObject):
    names = [node["id"] for node in content["nodes"]]
    failing = set(data.draw(st.lists(st.sampled_from([*names, *(f"{name}y" for name in names)]), max_size=3)))
    simulation = Simulation(content)
    run_to_the_end(simulation, data, failing)
    wanted = expected(content, failing)
    found = {path: status for path, status in simulation.statuses.items() if "[" not in path}
    fatal = any(wanted[node["id"]] == "FAILED" and "on_error" not in node for node in content["nodes"])
    started = [path for path in simulation.started if "undo" not in path]
    if fatal:
        assert simulation.status == ExecutionStatus.FAILED
        assert not {"SUCCEEDED", "RUNNING"} & {
            status for path, status in found.items() if "task" in _by_id(content)[path]
        }
    else:
        assert simulation.status == ExecutionStatus.SUCCEEDED
        assert found == wanted
        assert len(started) == len(set(started))
    assert set(found.values()) <= FINAL
    assert simulation.events.count(simulation.status) == 1


def _by_id(content: Json) -> dict[str, Json]:
    return {node["id"]: node for node in content["nodes"]}


@settings(max_examples=150, deadline=None)
@given(graphs(), st.data())
def test_a_cancellation_at_any_step_ends_everything(content: Json, data: st.DataObject):
    simulation = Simulation(content)
    for _ in range(data.draw(st.integers(0, 4))):
        if waiting := simulation.waiting():
            simulation.happen(simulation.ended(waiting[0], waiting[0].path))
    was_running = simulation.status == ExecutionStatus.RUNNING
    simulation.happen(CancelRequested("enough"))
    simulation.run()
    if was_running:
        assert simulation.status == ExecutionStatus.CANCELLED
    assert set(simulation.statuses.values()) <= FINAL


@settings(max_examples=200, deadline=None)
@given(graphs(), st.data())
def test_what_failed_runs_on_after_a_retry_to_the_end_that_it_would_have_had(
    content: Json, data: st.DataObject
):
    names = [node["id"] for node in content["nodes"]]
    failing = set(data.draw(st.lists(st.sampled_from([*names, *(f"{name}x" for name in names)]), max_size=2)))
    simulation = Simulation(content)
    run_to_the_end(simulation, data, failing)
    if simulation.status != ExecutionStatus.FAILED:
        return
    # Failures that the graph has dealt with stand.
    handled = {
        node["id"]
        for node in content["nodes"]
        if "on_error" in node and simulation.statuses.get(node["id"]) == "FAILED"
    }
    simulation.happen(Retried("again"))
    run_to_the_end(simulation, data, set())
    assert simulation.status == ExecutionStatus.SUCCEEDED
    again = {path for path, status in simulation.statuses.items() if status == "FAILED" and "[" not in path}
    assert again <= handled


def test_a_map_of_ten_thousand_opens_in_slices_and_keeps_its_cap():
    body = definition([task("x", computed={"n": "item"})])
    content = definition([{"id": "m", "parallel": {"map": {"items": "input.all", "graph": body}}}])
    simulation = Simulation(content, {"all": list(range(10_000))})
    assert len(simulation.waiting()) == 10_000
    content["nodes"][0]["parallel"]["max_concurrency"] = 7
    capped = Simulation(content, {"all": list(range(100))}, Limits(slice=5))
    most = 0
    while waiting := capped.waiting():
        most = max(most, len(waiting))
        capped.happen(capped.ended(waiting[0], 1))
    assert (most, capped.status) == (7, ExecutionStatus.SUCCEEDED)
    assert len(json.loads(capped.state.execution.output or "")["m"]) == 100


def test_a_join_that_has_enough_cancels_the_rest_unless_it_is_kept():
    def content(*, keep: bool) -> Json:
        body = definition([task("x")])
        parallel = {
            "map": {"items": "[1, 2, 3]", "graph": body},
            "join": {"mode": "ANY"},
            "keep_rest": keep,
        }
        return definition([{"id": "m", "parallel": parallel}, task("z")], [edge("m", "z")])

    cancelled = Simulation(content(keep=False))
    cancelled.end("m[1].x", "fast")
    assert {w.path for w in cancelled.waiting()} == {"z"}
    assert cancelled.state.runs["m"].result == '[null,"fast",null]'
    kept = Simulation(content(keep=True))
    kept.end("m[1].x", "fast")
    kept.end("z")
    assert kept.status == ExecutionStatus.RUNNING
    kept.run()
    assert kept.status == ExecutionStatus.SUCCEEDED
    assert set(kept.statuses.values()) == {"SUCCEEDED"}


def test_a_failed_item_fails_its_map_and_stops_the_others():
    body = definition([task("x"), task("y")], [edge("x", "y")])
    content = definition([{"id": "m", "parallel": {"map": {"items": "[1, 2, 3]", "graph": body}}}])
    simulation = Simulation(content)
    simulation.end("m[0].x")
    simulation.end("m[1].x", fails=True)
    assert simulation.status == ExecutionStatus.FAILED
    assert simulation.state.execution.error is not None
    assert simulation.state.execution.error["type"] == "JoinNotMet"
    assert "m[1].x: no" in simulation.state.execution.error["message"]
    simulation.happen(Retried("again"))
    assert {w.path for w in simulation.waiting()} == {"m[0].y", "m[1].x", "m[2].x"}
    simulation.run()
    assert simulation.status == ExecutionStatus.SUCCEEDED
    assert simulation.started.count("m[0].x") == 1


def test_a_parallel_node_that_runs_out_of_time_takes_all_that_lies_in_it_along():
    body = definition([task("x")])
    node = {
        "id": "m",
        "parallel": {"map": {"items": "[1, 2]", "graph": body}},
        "timeout": "5s",
        "on_error": "CONTINUE",
    }
    simulation = Simulation(definition([node, task("z")], [edge("m", "z")]))
    simulation.happen(RanOut("m"))
    simulation.run()
    assert simulation.statuses == {
        "m": "FAILED",
        "m[0].x": "CANCELLED",
        "m[1].x": "CANCELLED",
        "z": NodeRunStatus.SUCCEEDED,
    }
