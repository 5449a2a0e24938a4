"""What a drawing says of nodes and edges, and the colours of statuses."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from taskflow_core.workflows.graph import (
    Condition,
    Delay,
    Edge,
    Graph,
    Join,
    JoinMode,
    Node,
    OnError,
    Parallel,
    Subworkflow,
    TaskTemplate,
    Wait,
    WaitMode,
)

# Fill and line, by status: light enough for dark text.
COLOURS = {
    "PENDING": ("#f3f4f6", "#9ca3af"),
    "RUNNING": ("#dbeafe", "#2563eb"),
    "WAITING": ("#fef3c7", "#d97706"),
    "RETRYING": ("#ffedd5", "#ea580c"),
    "SUCCEEDED": ("#dcfce7", "#16a34a"),
    "FAILED": ("#fee2e2", "#dc2626"),
    "SKIPPED": ("#fafafa", "#d1d5db"),
    "CANCELLED": ("#f3e8ff", "#9333ea"),
    "COMPENSATED": ("#ccfbf1", "#0d9488"),
}
PLAIN = ("#ffffff", "#64748b")
MAX_CHARACTERS = 34


@dataclass(frozen=True)
class Link:
    """A line from one node to another, with what it says."""

    source: str
    target: str
    label: str
    is_error: bool = False


def links(graph: Graph) -> Iterator[Link]:
    """The lines of one graph; those from or to what is no node of it are left out."""
    known = graph.by_id
    for edge in graph.edges:
        if edge.source in known and edge.target in known:
            yield Link(edge.source, edge.target, _edge_label(edge))
    for node in graph.nodes:
        if node.on_error is OnError.GO_TO and node.error_node_id in known:
            yield Link(node.id, node.error_node_id, "on error", is_error=True)


def title(node: Node) -> str:
    """The first line of a node."""
    return cut(node.name)


def details(node: Node) -> list[str]:
    """The other lines of a node: what it does, what it waits for, what undoes it."""
    lines = [cut(_work(node))]
    if isinstance(node.work, Parallel) and (limits := _limits(node.work)):
        lines.append(limits)
    if node.join.mode is not JoinMode.ALL:
        lines.append(f"needs {_join(node.join)}")
    if node.on_error is OnError.CONTINUE:
        lines.append("continues on error")
    if node.compensation is not None:
        lines.append(cut(f"undone by {node.compensation.task_type}"))
    return lines


def cut(text: str, length: int = MAX_CHARACTERS) -> str:
    """A text on one line, without its end if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _edge_label(edge: Edge) -> str:
    parts = [part for part in (edge.branch, edge.condition) if part]
    return cut(": ".join(parts), 28)


def _work(node: Node) -> str:
    match node.work:
        case TaskTemplate():
            return node.work.task_type
        case Parallel():
            return f"for each of {node.work.items}" if node.work.is_map else "side by side"
        case Condition():
            return "one of " + ", ".join(branch.name for branch in node.work.branches)
        case Delay():
            return _delay(node.work)
        case Subworkflow():
            version = f" v{node.work.version}" if node.work.version else ""
            return f"workflow {node.work.workflow_name or node.work.workflow_id}{version}"
        case Wait():
            what = "approval" if node.work.mode is WaitMode.APPROVAL else "signal"
            return f"waits for {what} {node.work.signal}"


def _limits(work: Parallel) -> str:
    limits = [] if work.max_concurrency is None else [f"{work.max_concurrency} at once"]
    if work.join.mode is not JoinMode.ALL:
        limits.append(f"needs {_join(work.join)}")
    return ", ".join(limits)


def _delay(work: Delay) -> str:
    if work.until is not None:
        return f"until {work.until:%Y-%m-%d %H:%M} UTC"
    if work.expression is not None:
        return f"until {work.expression}"
    return f"for {timedelta(seconds=work.duration or 0.0)}"


def _join(join: Join) -> str:
    match join.mode:
        case JoinMode.ANY:
            return "any"
        case JoinMode.COUNT:
            return str(join.count)
        case JoinMode.ALL_SETTLED:
            return "all settled"
    return "all"
