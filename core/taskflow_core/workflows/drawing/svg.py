"""A graph as a picture: SVG without scripts, fonts or links."""

import itertools
from collections.abc import Iterator, Mapping
from html import escape

from taskflow_core.workflows.drawing.boxes import LINE_HEIGHT, PADDING, POINTED, Box, Picture, picture
from taskflow_core.workflows.drawing.labels import COLOURS, PLAIN, Link
from taskflow_core.workflows.drawing.layers import Point
from taskflow_core.workflows.graph import Graph, NodeType

MARGIN = 24.0
HEADING = 30.0
LABEL_CHARACTER = 5.9

STYLE = """
text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #111827 }
.heading { font-size: 15px; font-weight: 600 }
.title { font-size: 13px; font-weight: 600 }
.detail, .status, .branch { font-size: 11px; fill: #4b5563 }
.status { font-weight: 600 }
.label { font-size: 10.5px; text-anchor: middle; fill: #4b5563 }
.label-back { fill: #ffffff; fill-opacity: 0.85 }
.edge { fill: none; stroke: #64748b; stroke-width: 1.4 }
.error { stroke: #dc2626; stroke-dasharray: 5 4 }
.skipped { stroke-dasharray: 5 4 }
.paper { fill: #ffffff }
"""


def svg(graph: Graph, name: str, statuses: Mapping[str, str]) -> str:
    """The text of the picture."""
    drawn = picture(graph, statuses)
    width = max(drawn.size.width, len(name) * 8.6) + 2 * MARGIN
    height = drawn.size.height + HEADING + 2 * MARGIN
    heading = _escaped(name)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}"'
            f' width="{_n(width)}" height="{_n(height)}" role="img" aria-label="{heading}">'
        ),
        f"<style>{STYLE}</style>",
        f"<defs>{_arrow_head('arrow', '#64748b')}{_arrow_head('error-arrow', '#dc2626')}</defs>",
        f'<rect class="paper" width="{_n(width)}" height="{_n(height)}" rx="10"/>',
        f'<text class="heading" x="{_n(MARGIN)}" y="{_n(MARGIN + 10)}">{heading}</text>',
        *_picture(drawn, Point((width - drawn.size.width) / 2, MARGIN + HEADING)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _arrow_head(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M 0 1 L 9 5 L 0 9 z" fill="{colour}"/></marker>'
    )


def _picture(drawn: Picture, corner: Point) -> Iterator[str]:
    for link in drawn.links:
        yield from _line(drawn, link, corner)
    for node_id, box in drawn.boxes.items():
        place = drawn.corners[node_id]
        yield from _node(box, Point(corner.x + place.x, corner.y + place.y))
    # Over everything, so that no line runs through a word.
    for link in drawn.links:
        yield from _label(drawn, link, corner)


def _node(box: Box, corner: Point) -> Iterator[str]:
    fill, line = COLOURS.get(box.status, PLAIN)
    tip = _escaped(": ".join(text for text in (box.node.id, box.node.description) if text))
    skipped = ' class="skipped"' if box.status == "SKIPPED" else ""
    yield f'<g id="{_escaped(box.node.id)}"><title>{tip}</title>'
    yield f'<path d="{_outline(box, corner)}" fill="{fill}" stroke="{line}" stroke-width="1.6"{skipped}/>'
    left, top = corner.x + PADDING, corner.y + PADDING + 6
    if box.node.type in POINTED:
        left += PADDING / 2
    yield f'<text class="title" x="{_n(left)}" y="{_n(top)}">{_escaped(box.title)}</text>'
    for number, text in enumerate(box.details, start=1):
        below = top + number * LINE_HEIGHT
        yield f'<text class="detail" x="{_n(left)}" y="{_n(below)}">{_escaped(text)}</text>'
    if box.status:
        below = top + (1 + len(box.details)) * LINE_HEIGHT
        style = f'style="fill:{line}"'
        yield f'<text class="status" x="{_n(left)}" y="{_n(below)}" {style}>{_escaped(box.status)}</text>'
    for inner in box.inner:
        inside = Point(corner.x + inner.corner.x, corner.y + inner.corner.y)
        if inner.name:
            yield (
                f'<text class="branch" x="{_n(inside.x)}" y="{_n(inside.y - 6)}">{_escaped(inner.name)}</text>'
            )
        yield from _picture(inner.picture, inside)
    yield "</g>"


def _outline(box: Box, corner: Point) -> str:
    """The border: its corners tell the type."""
    left, top = corner.x, corner.y
    right, bottom = left + box.size.width, top + box.size.height
    middle = (top + bottom) / 2
    match box.node.type:
        case node_type if node_type in POINTED:
            # A point at both sides: a question that has several answers, or that waits for one.
            cut = 10.0
            points = [
                *((left + cut, top), (right - cut, top), (right, middle)),
                *((right - cut, bottom), (left + cut, bottom), (left, middle)),
            ]
            return "M " + " L ".join(f"{_n(x)} {_n(y)}" for x, y in points) + " Z"
        case NodeType.DELAY:
            radius = (bottom - top) / 2
        case _:
            radius = 7.0
    path = _rounded(left, top, right, bottom, radius)
    if box.node.type is NodeType.SUBWORKFLOW:
        # As flowcharts have what is drawn elsewhere: a second line at each side.
        path += "".join(f" M {_n(x)} {_n(top)} V {_n(bottom)}" for x in (left + 6, right - 6))
    return path


def _rounded(left: float, top: float, right: float, bottom: float, radius: float) -> str:
    r = _n(radius)
    return (
        f"M {_n(left + radius)} {_n(top)} H {_n(right - radius)} A {r} {r} 0 0 1 {_n(right)} {_n(top + radius)}"
        f" V {_n(bottom - radius)} A {r} {r} 0 0 1 {_n(right - radius)} {_n(bottom)}"
        f" H {_n(left + radius)} A {r} {r} 0 0 1 {_n(left)} {_n(bottom - radius)}"
        f" V {_n(top + radius)} A {r} {r} 0 0 1 {_n(left + radius)} {_n(top)} Z"
    )


def _points(drawn: Picture, link: Link, corner: Point) -> list[Point]:
    """From the bottom of the source, through the layers between, to the top of the target."""
    source, target = drawn.boxes[link.source], drawn.boxes[link.target]
    start, end = drawn.corners[link.source], drawn.corners[link.target]
    points = [
        Point(start.x + source.size.width / 2, start.y + source.size.height),
        *drawn.layout.lines.get((link.source, link.target), []),
        Point(end.x + target.size.width / 2, end.y),
    ]
    return [Point(corner.x + point.x, corner.y + point.y) for point in points]


def _line(drawn: Picture, link: Link, corner: Point) -> Iterator[str]:
    points = _points(drawn, link, corner)
    path = f"M {_n(points[0].x)} {_n(points[0].y)}"
    for here, there in itertools.pairwise(points):
        bend = (there.y - here.y) / 2
        path += f" C {_n(here.x)} {_n(here.y + bend)} {_n(there.x)} {_n(there.y - bend)} {_n(there.x)} {_n(there.y)}"
    kind, head = ("edge error", "error-arrow") if link.is_error else ("edge", "arrow")
    yield f'<path class="{kind}" d="{path}" marker-end="url(#{head})"/>'


def _label(drawn: Picture, link: Link, corner: Point) -> Iterator[str]:
    if not link.label:
        return
    here, there = _points(drawn, link, corner)[:2]
    x, y = (here.x + there.x) / 2, (here.y + there.y) / 2
    half = len(link.label) * LABEL_CHARACTER / 2 + 3
    yield (
        f'<rect class="label-back" x="{_n(x - half)}" y="{_n(y - 8)}" width="{_n(2 * half)}" height="14" rx="3"/>'
    )
    yield f'<text class="label" x="{_n(x)}" y="{_n(y + 3)}">{_escaped(link.label)}</text>'


def _n(number: float) -> str:
    """A number with as many digits as a picture needs."""
    return f"{number:.1f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> str:
    """The text for XML, which has no place for control characters."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
