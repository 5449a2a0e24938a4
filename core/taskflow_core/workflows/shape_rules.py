"""What can be wrong with the shape of a graph: ids, edges, cycles, joins, limits."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator

from taskflow_core.workflows.graph import (
    DEFAULT_BRANCH,
    Condition,
    Edge,
    Graph,
    JoinMode,
    Node,
    OnError,
    Parallel,
)
from taskflow_core.workflows.levels import Level
from taskflow_core.workflows.problems import Problem, Rule

MAX_NODES = 1000
MAX_EDGES = 5000
MAX_DEPTH = 8


def limit_problems(all_levels: list[Level]) -> Iterator[Problem]:
    """Too much of everything."""
    nodes = sum(len(level.graph.nodes) for level in all_levels)
    edges = sum(len(level.graph.edges) for level in all_levels)
    if not all_levels[0].graph.nodes:
        yield Problem("nodes", "repeated.min_items", "a workflow needs at least one node")
    if nodes > MAX_NODES:
        yield Problem("nodes", Rule.LIMIT_EXCEEDED, f"{nodes} nodes in all; at most {MAX_NODES} are allowed")
    if edges > MAX_EDGES:
        yield Problem("edges", Rule.LIMIT_EXCEEDED, f"{edges} edges in all; at most {MAX_EDGES} are allowed")
    for level in all_levels:
        if level.depth == MAX_DEPTH + 1:
            yield Problem(
                level.path.removesuffix("."),
                Rule.LIMIT_EXCEEDED,
                f"nested {level.depth} deep; at most {MAX_DEPTH} are allowed",
            )


def duplicate_problems(all_levels: list[Level]) -> Iterator[Problem]:
    """Ids that occur twice in the workflow, and names of branches that occur twice in a node."""
    first: dict[str, str] = {}
    for level in all_levels:
        for path, node in level.nodes():
            if node.id in first:
                where = f"{node.id!r} is the id of {first[node.id]} too"
                yield Problem(f"{path}.id", Rule.DUPLICATE_ID, where)
            first.setdefault(node.id, path)
            yield from _duplicate_branches(path, node)


def _duplicate_branches(path: str, node: Node) -> Iterator[Problem]:
    if isinstance(node.work, Condition):
        names, field = [branch.name for branch in node.work.branches], f"{path}.condition.branches"
    elif isinstance(node.work, Parallel):
        names, field = [branch.name for branch in node.work.branches], f"{path}.parallel.branches.branches"
    else:
        return
    counts: Counter[str] = Counter()
    for index, name in enumerate(names):
        counts[name] += 1
        if counts[name] > 1:
            yield Problem(f"{field}[{index}].name", Rule.DUPLICATE_ID, f"{name!r} occurs twice in the node")
        if name == DEFAULT_BRANCH and isinstance(node.work, Condition):
            what = f"{name!r} is the way that is taken when no branch is; give it another name"
            yield Problem(f"{field}[{index}].name", Rule.DUPLICATE_ID, what)


def edge_problems(level: Level) -> Iterator[Problem]:
    """Ends that are no nodes, branches that there are not, and failures that lead nowhere."""
    for path, edge in level.edges():
        for end, node_id in (("source", edge.source), ("target", edge.target)):
            if node_id not in level.graph.by_id:
                yield unknown_node(f"{path}.{end}", node_id, level.graph)
        if edge.source in level.graph.by_id:
            yield from _branch_problems(path, edge, level.graph.by_id[edge.source])
    for path, node in level.nodes():
        field = f"{path}.error_node_id"
        if node.on_error is OnError.GO_TO and node.error_node_id is None:
            yield Problem(field, Rule.UNKNOWN_NODE, "GO_TO needs the node to go on at")
        elif node.on_error is not OnError.GO_TO and node.error_node_id is not None:
            yield Problem(field, Rule.UNKNOWN_NODE, "means something with on_error GO_TO only")
        elif node.error_node_id is not None and node.error_node_id not in level.graph.by_id:
            yield unknown_node(field, node.error_node_id, level.graph)


def _branch_problems(path: str, edge: Edge, source: Node) -> Iterator[Problem]:
    field = f"{path}.branch"
    if not isinstance(source.work, Condition):
        if edge.branch is not None:
            what = f"{source.id!r} is not a CONDITION node, and has no branches"
            yield Problem(field, Rule.UNKNOWN_BRANCH, what)
        return
    names = [*(branch.name for branch in source.work.branches), DEFAULT_BRANCH]
    if edge.branch is None:
        what = f"an edge from a CONDITION node names one of its branches: {', '.join(names)}"
        yield Problem(field, Rule.UNKNOWN_BRANCH, what)
    elif edge.branch not in names:
        what = f"{source.id!r} has no branch {edge.branch!r}; there are: {', '.join(names)}"
        yield Problem(field, Rule.UNKNOWN_BRANCH, what)


def path_problems(level: Level) -> Iterator[Problem]:
    """Cycles, node by node; without any, nodes that nothing leads to and joins that are never met."""
    for nodes, closing in level.topology.cycles:
        way = " -> ".join(nodes)
        yield Problem(f"{level.path}{closing.field}", Rule.CYCLE, f"closes the cycle {way}")
    if level.topology.cycles:
        return
    for path, node in level.nodes():
        if node.id not in level.topology.reachable:
            what = f"nothing can lead to {node.id!r}: no edge into it can ever be taken"
            yield Problem(path, Rule.UNREACHABLE, what)
        else:
            yield from _join_problems(level, path, node)


def _join_problems(level: Level, path: str, node: Node) -> Iterator[Problem]:
    if node.join.mode is JoinMode.COUNT:
        most = level.topology.most_successes(node.id)
        yield from _count_problems(f"{path}.join.count", node.join.count, most, "edges into it can be taken")
    if isinstance(node.work, Parallel) and node.work.join.mode is JoinMode.COUNT:
        # How many items a map has is known when it runs.
        most = MAX_EDGES * MAX_NODES if node.work.is_map else len(node.work.branches)
        field = f"{path}.parallel.join.count"
        yield from _count_problems(field, node.work.join.count, most, "branches are there")


def _count_problems(field: str, count: int, most: int, of_what: str) -> Iterator[Problem]:
    if count < 1:
        yield Problem(field, Rule.JOIN_NEVER_MET, "COUNT needs a count of at least 1")
    elif count > most:
        yield Problem(field, Rule.JOIN_NEVER_MET, f"{count} are needed, but at most {most} {of_what}")


def unknown_node(field: str, node_id: str, graph: Graph) -> Problem:
    """A node that the graph does not have, with the one that may be meant."""
    return Problem(
        field, Rule.UNKNOWN_NODE, f"no node {node_id!r} in this graph{meant(node_id, graph.by_id)}"
    )


def meant(name: str, names: Iterable[str]) -> str:
    """The end of a message that suggests a name."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
