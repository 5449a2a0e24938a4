"""Boxes on paper: each node with its lines of text, and with what lies inside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from taskflow_core.workflows.drawing.labels import Link, details, links, title
from taskflow_core.workflows.drawing.layers import Layout, Point, Size, lay_out
from taskflow_core.workflows.graph import Graph, Node, NodeType, Parallel

TITLE_CHARACTER = 7.6  # width, about, at 13 px and bold
DETAIL_CHARACTER = 6.3  # at 11 px
LINE_HEIGHT = 16.0
PADDING = 14.0
MIN_WIDTH = 120.0
MARGIN = 18.0  # around a graph inside a node
BRANCH_GAP = 18.0
# Types whose box has a point at both sides.
POINTED = frozenset({NodeType.CONDITION, NodeType.WAIT})


@dataclass(frozen=True)
class Inner:
    """A graph inside a node, with its place there."""

    name: str
    picture: "Picture"
    corner: Point  # from the corner of the node


@dataclass(frozen=True)
class Box:
    """A node, with its size."""

    node: Node
    title: str
    details: tuple[str, ...]
    status: str  # empty if it has none
    size: Size
    header: float  # height of the texts
    inner: tuple[Inner, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A graph that is laid out."""

    graph: Graph
    boxes: dict[str, Box]
    corners: dict[str, Point]
    links: tuple[Link, ...]
    layout: Layout
    size: Size


def picture(graph: Graph, statuses: Mapping[str, str]) -> Picture:
    """Lay out a graph and all inside it. Nodes stand where the definition puts them, if it does so for all."""
    boxes = {node.id: _box(node, statuses) for node in graph.nodes}
    shown = tuple(links(graph))
    layout = lay_out(
        {node_id: box.size for node_id, box in boxes.items()}, [(link.source, link.target) for link in shown]
    )
    placed = {node.id: node.position for node in graph.nodes if node.position is not None}
    if len(placed) < len(boxes):
        corners = {
            node_id: Point(
                layout.centres[node_id].x - box.size.width / 2,
                layout.centres[node_id].y - box.size.height / 2,
            )
            for node_id, box in boxes.items()
        }
        return Picture(graph, boxes, corners, shown, layout, layout.size)
    left, top = min(p.x for p in placed.values()), min(p.y for p in placed.values())
    corners = {node_id: Point(p.x - left, p.y - top) for node_id, p in placed.items()}
    size = Size(
        max(corners[node_id].x + box.size.width for node_id, box in boxes.items()),
        max(corners[node_id].y + box.size.height for node_id, box in boxes.items()),
    )
    return Picture(graph, boxes, corners, shown, Layout(size, {}, {}), size)


def _box(node: Node, statuses: Mapping[str, str]) -> Box:
    first, others, status = title(node), tuple(details(node)), statuses.get(node.id, "")
    width = max(
        MIN_WIDTH,
        len(first) * TITLE_CHARACTER + 2 * PADDING,
        *(len(line) * DETAIL_CHARACTER + 2 * PADDING for line in others),
    )
    if node.type in POINTED:
        width += PADDING
    header = LINE_HEIGHT * (1 + len(others) + bool(status)) + PADDING
    inner = tuple(_inner(node, header, statuses))
    if not inner:
        return Box(node, first, others, status, Size(width, header + PADDING / 2), header)
    right = max(one.corner.x + one.picture.size.width for one in inner)
    bottom = max(one.corner.y + one.picture.size.height for one in inner)
    size = Size(max(width, right + MARGIN), bottom + MARGIN)
    shift = (size.width - MARGIN - right) / 2
    centred = tuple(replace(one, corner=Point(one.corner.x + shift, one.corner.y)) for one in inner)
    return Box(node, first, others, status, size, header, centred)


def _inner(node: Node, header: float, statuses: Mapping[str, str]) -> Iterator[Inner]:
    if not isinstance(node.work, Parallel):
        return
    if node.work.body is not None:
        yield Inner("", picture(node.work.body, statuses), Point(MARGIN, header + MARGIN / 2))
    left = MARGIN
    for branch in node.work.branches:
        drawn = picture(branch.graph, statuses)
        # The name of a branch stands above it.
        yield Inner(branch.name, drawn, Point(left, header + MARGIN / 2 + LINE_HEIGHT))
        left += max(drawn.size.width, len(branch.name) * DETAIL_CHARACTER) + BRANCH_GAP
