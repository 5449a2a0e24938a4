"""Drawings: every node and line is there, nothing lies over anything else, and odd names break nothing."""

import itertools
import time
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.workflows import chain, edge, task_node
from taskflow_core.workflows.drawing import Drawing, DrawingFormat, draw
from taskflow_core.workflows.drawing.boxes import picture
from taskflow_core.workflows.drawing.layers import Size, lay_out
from taskflow_core.workflows.parse import parse

ROUNDING = 1e-6
SVG = "{http://www.w3.org/2000/svg}"


def drawn(definition: dict[str, Any], language: DrawingFormat, **statuses: str) -> str:
    return draw(parse(definition), definition.get("name", "w"), language, statuses).text


def nested() -> dict[str, Any]:
    inner = chain("", "x", "y")
    return {
        "name": "nested",
        "nodes": [
            task_node("first"),
            {"id": "each", "parallel": {"map": {"items": "input.items", "graph": inner}}},
            {
                "id": "sides",
                "parallel": {
                    "branches": {
                        "branches": [
                            {"name": "left", "graph": chain("", "l")},
                            {"name": "right", "graph": chain("", "r1", "r2")},
                        ]
                    }
                },
            },
        ],
        "edges": [edge("first", "each"), edge("each", "sides", condition="nodes.each.result != null")],
    }


@given(
    st.integers(1, 20).flatmap(
        lambda count: st.tuples(
            st.lists(st.integers(20, 300), min_size=count, max_size=count),
            st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=40),
        )
    )
)
@settings(max_examples=150, deadline=None)
def test_no_two_nodes_overlap_and_lines_go_down_whatever_the_graph(
    case: tuple[list[int], list[tuple[int, int]]],
):
    widths, lines = case
    sizes = {f"n{number}": Size(width, 40) for number, width in enumerate(widths)}
    layout = lay_out(sizes, [(f"n{source}", f"n{target}") for source, target in lines])
    for one, other in itertools.combinations(sizes, 2):
        a, b = layout.centres[one], layout.centres[other]
        apart = (
            abs(a.x - b.x) >= (sizes[one].width + sizes[other].width) / 2 - ROUNDING or abs(a.y - b.y) >= 40
        )
        assert apart, (one, other)
    for node_id, centre in layout.centres.items():
        assert centre.x - sizes[node_id].width / 2 >= -ROUNDING
        assert centre.x + sizes[node_id].width / 2 <= layout.size.width + ROUNDING
        assert centre.y + 20 <= layout.size.height
    if all(source < target for source, target in lines):
        for source, target in lines:
            assert layout.centres[f"n{source}"].y < layout.centres[f"n{target}"].y


def test_a_node_that_is_placed_by_its_definition_stands_there():
    definition = {
        "nodes": [
            task_node("a", node_position={"x": 30, "y": 10}),
            task_node("b", node_position={"x": 500, "y": 90}),
        ]
    }
    placed = picture(parse(definition), {})
    assert (placed.corners["a"].x, placed.corners["b"].x, placed.corners["b"].y) == (0, 470, 80)


def test_every_node_and_line_is_in_each_drawing():
    node_ids = {"first", "each", "x", "y", "sides", "l", "r1", "r2"}
    tree = ET.fromstring(drawn(nested(), DrawingFormat.SVG))
    assert {group.get("id") for group in tree.iter(f"{SVG}g")} == node_ids
    assert len([path for path in tree.iter(f"{SVG}path") if path.get("class") == "edge"]) == 4
    mermaid = drawn(nested(), DrawingFormat.MERMAID)
    assert 'each -->|"nodes.each.result != null"| sides' in mermaid
    assert 'subgraph sides["sides<br/>side by side"]' in mermaid
    dot = drawn(nested(), DrawingFormat.DOT)
    assert '"r1" -> "r2";' in dot
    assert 'subgraph "cluster_sides_left" {' in dot
    assert dot.count("{") == dot.count("}")


@pytest.mark.parametrize("language", DrawingFormat)
def test_names_of_any_kind_break_no_drawing(language: DrawingFormat):
    odd = 'a "b" <c> & \\ #quot; \x01\n{d} [e] | %%'
    nodes = [task_node("end", node_name=odd, node_description=odd), task_node("graph")]
    definition = {
        "name": odd,
        "nodes": nodes,
        "edges": [edge("end", "graph", condition='input.x == "</svg>"')],
    }
    text = drawn(definition, language)
    if language is DrawingFormat.SVG:
        ET.fromstring(text)
    elif language is DrawingFormat.MERMAID:
        assert "node-end[" in text
        assert "node-end -->" in text
        assert '"b"' not in text.partition("---\nflowchart")[2]
    else:
        assert 'label="a \\"b\\"' in text


def test_statuses_colour_the_nodes_that_have_one():
    definition = chain("w", "a", "b", "c")
    mermaid = drawn(definition, DrawingFormat.MERMAID, a="SUCCEEDED", b="FAILED")
    assert "class a SUCCEEDED" in mermaid
    assert "class b FAILED" in mermaid
    svg = ET.fromstring(drawn(definition, DrawingFormat.SVG, a="SUCCEEDED", b="FAILED"))
    statuses = [text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "status"]
    assert statuses == ["SUCCEEDED", "FAILED"]
    assert '"a" [label="a\\necho", fillcolor="#dcfce7"' in drawn(definition, DrawingFormat.DOT, a="SUCCEEDED")


def test_what_is_wrong_is_drawn_all_the_same():
    edges = [edge("a", "b"), edge("b", "a"), edge("a", "nobody"), edge("b", "b")]
    definition = {"nodes": [task_node("a"), task_node("b")], "edges": edges}
    assert isinstance(draw(parse(definition), "", DrawingFormat.SVG), Drawing)
    assert "nobody" not in drawn(definition, DrawingFormat.DOT)


def test_a_thousand_nodes_are_drawn_in_seconds():
    node_ids = [f"n{number}" for number in range(1000)]
    edges = [edge(f"n{number // 3}", f"n{number}") for number in range(1, 1000)]
    definition = {"nodes": [task_node(node_id) for node_id in node_ids], "edges": edges}
    assert drawn(definition, DrawingFormat.SVG).count("<g id=") == 1000


def test_thousands_of_lines_over_hundreds_of_layers_are_drawn_in_seconds():
    node_ids = [f"n{number}" for number in range(500)]
    edges = [edge(f"n{number}", f"n{number + 1}") for number in range(499)]
    edges += [edge(f"n{number % 200}", f"n{499 - number % 250}") for number in range(4000)]
    definition = {"nodes": [task_node(node_id) for node_id in node_ids], "edges": edges}
    start = time.process_time()
    assert drawn(definition, DrawingFormat.SVG).count("<g id=") == 500
    assert time.process_time() - start < 5
