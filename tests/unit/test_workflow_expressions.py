"""Expressions: what they read, what they give, and what is wrong with them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.executions import NOW, Simulation, definition, task
from support.expressions import value_of
from taskflow_core.executions.paths import ROOT
from taskflow_core.executions.plan import Plan
from taskflow_core.executions.values import fields_of, items_of, time_of, truth_of
from taskflow_core.ids import new_id
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.expressions import compile_expression

SCOPE: dict[str, Any] = {
    "input": {"n": 30, "rate": 2.0, "big": 2**60, "huge": 10**30, "list": [1, 2, 3], "name": "Zoë"},
    "nodes": {
        "extract": {"result": {"rows": [{"id": 1}, {"id": 2}]}, "status": "SUCCEEDED", "error": None},
        "skipped": {"result": None, "status": "SKIPPED", "error": None},
    },
    "execution": {"id": "x", "create_time": datetime(2026, 1, 31, 9, tzinfo=UTC)},
}


def same(found: Any, wanted: Any) -> bool:
    """Equal, and integers are integers."""
    return repr(found) == repr(wanted)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("input.n", 30),
        ("input.n + 1", 31),
        ("input.rate", 2.0),
        ("input.rate * 2.0", 4.0),
        ("input.big + 1", 2**60 + 1),
        ("input.huge", 10**30),
        ('input["name"]', "Zoë"),
        ("input.list[2]", 3),
        ("nodes.extract.result.rows[1].id", 2),
        ("nodes.extract.result", {"rows": [{"id": 1}, {"id": 2}]}),
        ("nodes.skipped.result == null", True),
        ("{'a': [input.n, 1.5, null, true]}", {"a": [30, 1.5, None, True]}),
        ("has(input.zz) ? input.zz : 0", 0),
        ("'a' + input.name", "aZoë"),
        ("size(nodes.extract.result.rows)", 2),
        ("execution.create_time", "2026-01-31T09:00:00Z"),
        ("execution.create_time + duration('90m')", "2026-01-31T10:30:00Z"),
        ("{'in': duration('1.5s')}", {"in": "1.5s"}),
        ("1u + 2u", 3),
    ],
)
async def test_an_expression_gives_exact_json(source: str, wanted: Any):
    found = await value_of(source, SCOPE)
    assert same(found, wanted), found


@pytest.mark.parametrize(
    ("source", "what", "position"),
    [
        ("input.n +", "its end", 10),
        ("input.n\n  + )", "')'", 13),
        ("shout(input.name)", "unknown function 'shout'", 1),
        ("input.name.shout()", "unknown function 'shout'", 12),
        ("'" + "x" * 2000 + "'", "2002 characters", None),
    ],
)
def test_a_text_that_is_no_expression_is_refused_with_its_place(source: str, what: str, position: int | None):
    with pytest.raises(ExpressionError) as refused:
        compile_expression(source)
    assert what in refused.value.message
    assert refused.value.position == position


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("input.zz", "no such member 'zz'"),
        ("input.zz + 1", "no such member 'zz'"),
        ("nodes.load.result", "node 'load' is not final"),
        ("nodes.load.result + 1", "node 'load' is not final"),
        ("item.x", "unknown variable 'item'"),
        ("item.x + 1", "unknown variable 'item'"),
        ("input.n + 1.5", "No such overload"),
        ("input.n / 0", "division by zero"),
        ("1.0 / 0.0", "gives inf"),
        ("b'x'", "gives a bytes"),
        ("{1: 2}", "keys must be texts"),
        ("input.huge + 1", "more than 64 bits"),
        ("input.list[7]", "no element 7"),
        ("input.n.x", "no member 'x' in a number"),
    ],
)
async def test_a_value_that_cannot_be_had_is_refused_with_the_reason(source: str, what: str):
    with pytest.raises(ExpressionError) as refused:
        await value_of(source, SCOPE)
    assert what in refused.value.message


def test_an_expression_says_which_nodes_and_variables_it_reads():
    found = compile_expression(
        "nodes.a.result.x + nodes['b'].result.filter(i, i > input.n && 'nodes.c' != i)[0] // nodes.d"
    )
    assert found.node_ids == {"a", "b"}
    assert found.variables == {"nodes", "input"}


def a_plan() -> Plan:
    simulation = Simulation(definition([task("a")]), input=SCOPE["input"])
    return Plan(simulation.state, new_id)


def test_computed_fields_lie_over_those_that_are_taken_as_they_are():
    fields = {"text": "{{ input.n }} stays", "n": 1}
    found = fields_of(a_plan(), ROOT, fields, {"n": "input.n + 1", "m": "input.rate"})
    assert same(found, {"text": "{{ input.n }} stays", "n": 31, "m": 2.0})
    with pytest.raises(ExpressionError, match="n: no such member 'zz'"):
        fields_of(a_plan(), ROOT, {}, {"n": "input.zz"})


def test_conditions_lists_and_times_must_be_what_they_are_needed_for():
    plan = a_plan()
    assert truth_of(plan, ROOT, "input.n > 29")
    with pytest.raises(ExpressionError, match="gives a number, not true or false"):
        truth_of(plan, ROOT, "input.n")
    assert items_of(plan, ROOT, "input.list") == [1, 2, 3]
    with pytest.raises(ExpressionError, match="gives an object, not a list"):
        items_of(plan, ROOT, "input")
    assert time_of(plan, ROOT, "duration('1h')") == NOW + timedelta(hours=1)
    until = time_of(plan, ROOT, "timestamp('2026-01-31T09:00:00+01:00')")
    assert until == datetime(2026, 1, 31, 8, tzinfo=UTC)
    with pytest.raises(ExpressionError, match="gives a text, not a timestamp"):
        time_of(plan, ROOT, "'1h'")


@dataclass(frozen=True)
class Text:
    """An expression, with what it reads and whether it repeats anything, known from how it was made."""

    source: str
    reads: frozenset[str] = frozenset()
    repeats: bool = False


def joined(pattern: str, *parts: Text, repeats: bool = False) -> Text:
    return Text(
        pattern.format(*(part.source for part in parts)),
        frozenset().union(*(part.reads for part in parts)),
        repeats or any(part.repeats for part in parts),
    )


LEAVES = st.sampled_from(
    [
        *(Text(source) for source in ("1", "2.5", "'a.b(c)'", '"input.x"', "r'\\'", "b'x'", "true", "null")),
        *(Text(source) for source in ("'''it's \"nodes.a\"'''", "0x1F", "[]", "{}")),
        Text("input", frozenset({"input"})),
        Text("nodes . a // input.b.map(x, x)\n. result", frozenset({"nodes"})),
        Text("nodes['a'].result[0]", frozenset({"nodes"})),
        Text("execution.id", frozenset({"execution"})),
        Text("item", frozenset({"item"})),
    ]
)
# Names that macros bind, one of which hides a variable.
NAMES = st.sampled_from(["x", "row", "input"])


def wider(inner: st.SearchStrategy[Text]) -> st.SearchStrategy[Text]:
    def repeated(macro: str, name: str, target: Text, body: Text) -> Text:
        free = Text(body.source, body.reads - {name})
        return joined("({0})." + f"{macro}({name}, " + "{1})", target, free, repeats=True)

    return st.one_of(
        st.builds(lambda a, b: joined("({0} + {1})", a, b), inner, inner),
        st.builds(lambda a, b, c: joined("({0} ? {1} : {2})", a, b, c), inner, inner, inner),
        st.builds(lambda a: joined("size({0})", a), inner),
        st.builds(lambda a: joined("({0}).contains('x')", a), inner),
        st.builds(lambda a: joined("[{0}][0]", a), inner),
        st.builds(lambda a, b: joined("{{'k': {0}, 'l': {1}}}.k", a, b), inner, inner),
        st.builds(
            repeated, st.sampled_from(["map", "filter", "all", "exists", "exists_one"]), NAMES, inner, inner
        ),
    )


@given(st.recursive(LEAVES, wider, max_leaves=12))
@settings(max_examples=300, deadline=None)
def test_what_an_expression_reads_and_repeats_is_found_whatever_its_shape(text: Text):
    assume(len(text.source) <= 2000)
    found = compile_expression(text.source)
    assert (found.variables, found.syntax.needs_bounds) == (text.reads, text.repeats)
    assert (found.syntax.loops > 0) == text.repeats
