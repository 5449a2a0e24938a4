"""Drawings of workflows and of their executions: Mermaid, Graphviz, and pictures of our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from taskflow_core.workflows.drawing.dot import dot
from taskflow_core.workflows.drawing.mermaid import mermaid
from taskflow_core.workflows.drawing.svg import svg
from taskflow_core.workflows.graph import Graph


class DrawingFormat(StrEnum):
    """The language of a drawing."""

    MERMAID = "MERMAID"
    DOT = "DOT"
    SVG = "SVG"


@dataclass(frozen=True)
class Drawing:
    """A drawing, as it goes over HTTP."""

    content_type: str
    text: str


def draw(
    graph: Graph, name: str, drawing_format: DrawingFormat, statuses: Mapping[str, str] | None = None
) -> Drawing:
    """Draw a graph. `statuses` has the status of node runs by node id; nodes without one are drawn plainly."""
    known = statuses or {}
    match drawing_format:
        case DrawingFormat.MERMAID:
            return Drawing("text/vnd.mermaid", mermaid(graph, name, known))
        case DrawingFormat.DOT:
            return Drawing("text/vnd.graphviz", dot(graph, name, known))
        case DrawingFormat.SVG:
            return Drawing("image/svg+xml", svg(graph, name, known))
