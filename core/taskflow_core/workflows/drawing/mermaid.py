"""A graph as a Mermaid flowchart."""

import json
from collections.abc import Iterator, Mapping

from taskflow_core.workflows.drawing.labels import COLOURS, details, links, title
from taskflow_core.workflows.graph import Graph, Node, NodeType, Parallel

# Words that mean something to Mermaid where an id stands.
RESERVED = frozenset(
    {*("call", "class", "classdef", "click", "default", "direction", "end", "flowchart", "graph", "href")}
    | {*("interpolate", "linkstyle", "style", "subgraph")}
)
_SHAPES = {
    NodeType.TASK: ("[", "]"),
    NodeType.PARALLEL: ("[", "]"),
    NodeType.CONDITION: ("{", "}"),
    NodeType.DELAY: ("([", "])"),
    NodeType.SUBWORKFLOW: ("[[", "]]"),
    NodeType.WAIT: ("{{", "}}"),
}


def mermaid(graph: Graph, name: str, statuses: Mapping[str, str]) -> str:
    """The text of the flowchart."""
    lines = [f"---\ntitle: {json.dumps(name)}\n---", "flowchart TD", *_graph(graph, "  ")]
    for status, (fill, line) in COLOURS.items():
        ids = [_id(node.id) for _, node in graph.walk() if statuses.get(node.id) == status]
        if ids:
            lines.append(f"  classDef {status} fill:{fill},stroke:{line},color:#111827")
            lines.append(f"  class {','.join(ids)} {status}")
    return "\n".join(lines) + "\n"


def _graph(graph: Graph, indent: str) -> Iterator[str]:
    for node in graph.nodes:
        yield from _node(node, indent)
    for link in links(graph):
        arrow = "-.->" if link.is_error else "-->"
        label = f"|{_quoted(link.label)}|" if link.label else ""
        yield f"{indent}{_id(link.source)} {arrow}{label} {_id(link.target)}"


def _node(node: Node, indent: str) -> Iterator[str]:
    label = _quoted("<br/>".join(_escaped(line) for line in (title(node), *details(node))), escape=False)
    if not isinstance(node.work, Parallel):
        left, right = _SHAPES[node.type]
        yield f"{indent}{_id(node.id)}{left}{label}{right}"
        return
    yield f"{indent}subgraph {_id(node.id)}[{label}]"
    if node.work.body is not None:
        yield from _graph(node.work.body, indent + "  ")
    for number, branch in enumerate(node.work.branches):
        yield f"{indent}  subgraph {_id(node.id)}-{number}[{_quoted(branch.name)}]"
        yield from _graph(branch.graph, indent + "    ")
        yield f"{indent}  end"
    yield f"{indent}end"


def _id(node_id: str) -> str:
    return f"node-{node_id}" if node_id.lower() in RESERVED else node_id


def _quoted(text: str, *, escape: bool = True) -> str:
    return f'"{_escaped(text) if escape else text}"'


def _escaped(text: str) -> str:
    """Mermaid's own entities, which need no backslash."""
    for character, entity in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return " ".join(text.split())
