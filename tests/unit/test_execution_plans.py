"""Plans: what follows from what has happened, against an oracle that knows only the rules."""

import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.executions import Simulation, definition, edge, task
from support.random_workflows import all_nodes, breakable, expected, is_fatal, random_workflow
from taskflow_core.executions.happen import CancelRequested, RanOut, Retried
from taskflow_core.executions.plan import Limits
from taskflow_core.states import ExecutionStatus, NodeRunStatus

Json = dict[str, Any]

FINAL = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED", "COMPENSATED"}
# Hypothesis draws for it, and shrinks what it drew.
RNG = st.randoms(use_true_random=False)


def node_of(path: str) -> str:
    return path.rpartition(".")[2]


def some(rng: Random, names: list[str], most: int) -> set[str]:
    return set(rng.sample(names, rng.randint(0, min(most, len(names)))))


def run_to_the_end(simulation: Simulation, rng: Random, failing: set[str]) -> None:
    """End tasks in any order, several at once."""
    while waiting := simulation.waiting():
        chosen = rng.sample(waiting, rng.randint(1, min(3, len(waiting))))
        simulation.happen(
            *(simulation.ended(one, one.path, fails=node_of(one.path) in failing) for one in chosen)
        )


@settings(max_examples=300, deadline=None)
@given(RNG)
def test_any_graph_ends_as_the_rules_say(rng: Random):
    content = random_workflow(rng)
    failing = some(rng, breakable(content), 3)
    simulation = Simulation(content)
    run_to_the_end(simulation, rng, failing)
    wanted = expected(content, failing)
    found = simulation.statuses
    if is_fatal(content, wanted):
        assert simulation.status == ExecutionStatus.FAILED
        undone = {node["id"] for node in all_nodes(content) if "compensation" in node}
        assert not [
            path for path, status in found.items() if node_of(path) in undone and status == "SUCCEEDED"
        ]
    else:
        assert simulation.status == ExecutionStatus.SUCCEEDED
        assert {path: found[path] for path in wanted} == wanted
        assert len(simulation.started) == len(set(simulation.started))
    assert set(found.values()) <= FINAL
    assert simulation.events.count(simulation.status) == 1


@settings(max_examples=150, deadline=None)
@given(RNG)
def test_a_cancellation_at_any_step_ends_everything(rng: Random):
    simulation = Simulation(random_workflow(rng))
    for _ in range(rng.randint(0, 4)):
        if waiting := simulation.waiting():
            simulation.happen(simulation.ended(waiting[0], waiting[0].path))
    was_running = simulation.status == ExecutionStatus.RUNNING
    simulation.happen(CancelRequested("enough"))
    simulation.run()
    if was_running:
        assert simulation.status == ExecutionStatus.CANCELLED
    assert set(simulation.statuses.values()) <= FINAL


@settings(max_examples=200, deadline=None)
@given(RNG)
def test_what_failed_runs_on_after_a_retry_to_the_end_that_it_would_have_had(rng: Random):
    content = random_workflow(rng)
    simulation = Simulation(content)
    run_to_the_end(simulation, rng, some(rng, breakable(content), 2))
    if simulation.status != ExecutionStatus.FAILED:
        return
    # Failures that the graph has dealt with stand.
    handled = {
        node["id"]
        for node in content["nodes"]
        if "on_error" in node and simulation.statuses.get(node["id"]) == "FAILED"
    }
    simulation.happen(Retried("again"))
    run_to_the_end(simulation, rng, set())
    assert simulation.status == ExecutionStatus.SUCCEEDED
    again = {node["id"] for node in content["nodes"] if simulation.statuses[node["id"]] == "FAILED"}
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


def test_a_map_in_a_capped_map_goes_on_after_a_retry():
    inner = {"id": "n", "parallel": {"map": {"items": "item", "graph": definition([task("x")])}}}
    outer = {"map": {"items": "[[1], [2], [3]]", "graph": definition([inner])}, "max_concurrency": 1}
    simulation = Simulation(definition([{"id": "m", "parallel": outer}]))
    simulation.end("m[0].n[0].x")
    simulation.end("m[1].n[0].x", fails=True)
    simulation.happen(Retried("again"))
    assert {w.path for w in simulation.waiting()} == {"m[1].n[0].x"}
    simulation.run()
    assert simulation.status == ExecutionStatus.SUCCEEDED
    assert simulation.started.count("m[0].n[0].x") == 1
