"""Random workflows, and an oracle that knows only the rules of how they end.

Whoever draws passes the `random.Random`: one with a seed repeats its workflows, one of hypothesis shrinks them.
"""

import random
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from support.executions import definition, edge, task
from taskflow_core.workflows.checks import definition_problems

Json = dict[str, Any]

JOINS: list[Json] = [{}, {"mode": "ANY"}, {"mode": "COUNT", "count": 2}, {"mode": "ALL_SETTLED"}]
RACES: list[Json] = [{}, {"mode": "ANY"}, {"mode": "ALL_SETTLED"}]
# Those that need nothing but tasks; the others need a workflow named `child`, and signals.
SIMPLE_KINDS = ("task", "task", "task", "condition", "map", "maps", "branches", "delay")
KINDS = (*SIMPLE_KINDS, "child", "wait")
UNDO: Json = {"task_type": "undo"}


def random_workflow(rng: random.Random, kinds: tuple[str, ...] = SIMPLE_KINDS) -> Json:
    """A graph of 1 to 9 nodes whose edges lead from earlier to later ones. It may be one that is refused."""
    count = rng.randint(1, 9)
    nodes: list[Json] = []
    edges: list[Json] = []
    for number in range(count):
        node_id = f"n{number}"
        sources = rng.sample(range(number), rng.randint(0, min(number, 3)))
        kind = rng.choice(kinds)
        node = _node(rng, node_id, kind)
        if sources:
            node["join"] = rng.choice(JOINS)
        if kind != "condition" and rng.random() < 0.5:
            later = [f"n{n}" for n in range(number + 1, count)]
            node["on_error"] = rng.choice(["CONTINUE", "GO_TO"] if later else ["CONTINUE"])
            if node["on_error"] == "GO_TO":
                node["error_node_id"] = rng.choice(later)
        nodes.append(node)
        for source in sources:
            link = edge(f"n{source}", node_id)
            if "condition" in nodes[source]:
                link["branch"] = rng.choice(["yes", "default"])
            elif rng.random() < 0.25:
                link["condition"] = rng.choice(["true", "false"])
            edges.append(link)
    return definition(nodes, edges)


def valid_workflow(rng: random.Random, name: str) -> Json:
    """A graph of nodes of all kinds that passes the checks of the service."""
    while True:
        content = random_workflow(rng, KINDS) | {"name": name}
        if not list(definition_problems(content, 1024 * 1024)):
            return content


def _node(rng: random.Random, node_id: str, kind: str) -> Json:
    match kind:
        case "condition":
            truth = rng.choice(["true", "false"])
            return {"id": node_id, "condition": {"branches": [{"name": "yes", "condition": truth}]}}
        case "map":
            inner = definition(
                [task(f"{node_id}x"), task(f"{node_id}y")], [edge(f"{node_id}x", f"{node_id}y")]
            )
            items = "[" + ",".join("1" * rng.randint(0, 3)) + "]"
            parallel: Json = {"map": {"items": items, "graph": inner}}
            if rng.random() < 0.5:
                parallel["max_concurrency"] = 1
            return {"id": node_id, "parallel": parallel}
        case "maps":
            inner = definition([task(f"{node_id}x", compensation=UNDO)])
            outer = definition(
                [{"id": f"{node_id}i", "parallel": {"map": {"items": "item", "graph": inner}}}]
            )
            return {"id": node_id, "parallel": {"map": {"items": "[[1, 2], [], [3]]", "graph": outer}}}
        case "branches":
            branches = [
                {"name": name, "graph": definition([task(f"{node_id}{name}", compensation=UNDO)])}
                for name in ("x", "y")
            ]
            return {
                "id": node_id,
                "parallel": {"branches": {"branches": branches}, "join": rng.choice(RACES)},
            }
        case "delay":
            return {"id": node_id, "delay": {"duration": "0.02s"}}
        case "child":
            return {"id": node_id, "subworkflow": {"workflow_name": "child", "input": {"failures": 0}}}
        case "wait":
            return {"id": node_id, "wait": {}}
    return task(node_id, compensation=UNDO)


def all_nodes(content: Json) -> Iterator[Json]:
    """Every node, those inside others included."""
    for node in content["nodes"]:
        yield node
        parallel = node.get("parallel", {})
        for branch in parallel.get("branches", {}).get("branches", ()):
            yield from all_nodes(branch["graph"])
        if "map" in parallel:
            yield from all_nodes(parallel["map"]["graph"])


def breakable(content: Json) -> list[str]:
    """The nodes that fail if they are told to."""
    return [node["id"] for node in all_nodes(content) if "task" in node or "subworkflow" in node]


def expected(content: Json, failing: AbstractSet[str]) -> dict[str, str]:
    """The status of each node of the graph itself if nothing is ever cancelled, in the order of the definition."""
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


def is_fatal(content: Json, statuses: dict[str, str]) -> bool:
    """Whether the execution fails: which of its other nodes run before it does is a matter of time."""
    return any(statuses[node["id"]] == "FAILED" and "on_error" not in node for node in content["nodes"])


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


def _fails(node: Json, failing: AbstractSet[str]) -> bool:
    if "parallel" not in node:
        return node["id"] in failing
    parallel = node["parallel"]
    failed = [inner["id"] in failing for inner in all_nodes(content_of(parallel))]
    if "map" in parallel:
        return parallel["map"]["items"] != "[]" and any(failed)
    match parallel["join"].get("mode", "ALL"):
        case "ALL":
            return any(failed)
        case "ANY":
            return all(failed)
    return False


def content_of(parallel: Json) -> Json:
    """All that lies in a PARALLEL node, as if it were one graph."""
    if "map" in parallel:
        graph: Json = parallel["map"]["graph"]
        return graph
    return definition([node for b in parallel["branches"]["branches"] for node in b["graph"]["nodes"]])
