"""A graph as a Graphviz digraph."""

from collections.abc import Iterator, Mapping

from taskflow_core.workflows.drawing.labels import COLOURS, PLAIN, details, links, title
from taskflow_core.workflows.graph import Graph, Node, NodeType, Parallel

_SHAPES = {
    NodeType.TASK: "box",
    NodeType.CONDITION: "diamond",
    NodeType.DELAY: "ellipse",
    NodeType.SUBWORKFLOW: "box3d",
    NodeType.WAIT: "hexagon",
}


def dot(graph: Graph, name: str, statuses: Mapping[str, str]) -> str:
    """The text of the digraph."""
    lines = [
        f"digraph {_quoted(name)} {{",
        '  graph [compound=true, fontname="Helvetica", rankdir=TB];',
        '  node [fontname="Helvetica", fontsize=11, style="filled,rounded", shape=box];',
        '  edge [fontname="Helvetica", fontsize=10];',
        *_graph(graph, "  ", statuses),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _graph(graph: Graph, indent: str, statuses: Mapping[str, str]) -> Iterator[str]:
    for node in graph.nodes:
        yield from _node(node, indent, statuses)
    for link in links(graph):
        attributes = [f"label={_quoted(link.label)}"] if link.label else []
        if link.is_error:
            attributes.append('style=dashed, color="#dc2626"')
        # A cluster is no node: its edges run to the point inside it, and are cut off at its border.
        for name, node_id in (("ltail", link.source), ("lhead", link.target)):
            if isinstance(graph.by_id[node_id].work, Parallel):
                attributes.append(f"{name}={_quoted(f'cluster_{node_id}')}")
        extra = f" [{', '.join(attributes)}]" if attributes else ""
        yield f"{indent}{_quoted(link.source)} -> {_quoted(link.target)}{extra};"


def _node(node: Node, indent: str, statuses: Mapping[str, str]) -> Iterator[str]:
    fill, line = COLOURS.get(statuses.get(node.id, ""), PLAIN)
    label = "\n".join((title(node), *details(node)))
    if not isinstance(node.work, Parallel):
        style = f'fillcolor="{fill}", color="{line}", shape={_SHAPES[node.type]}'
        yield f"{indent}{_quoted(node.id)} [label={_quoted(label)}, {style}];"
        return
    yield f"{indent}subgraph {_quoted(f'cluster_{node.id}')} {{"
    yield f'{indent}  label={_quoted(label)}; style="filled,rounded"; fillcolor="{fill}"; color="{line}";'
    yield f'{indent}  {_quoted(node.id)} [shape=point, style=invis, label=""];'
    if node.work.body is not None:
        yield from _graph(node.work.body, indent + "  ", statuses)
    for branch in node.work.branches:
        yield f"{indent}  subgraph {_quoted(f'cluster_{node.id}_{branch.name}')} {{"
        yield f'{indent}    label={_quoted(branch.name)}; style="dashed,rounded";'
        yield from _graph(branch.graph, indent + "    ", statuses)
        yield f"{indent}  }}"
    yield f"{indent}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
