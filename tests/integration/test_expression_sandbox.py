"""What repeats is evaluated in a process of its own, which ends with what takes too much."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from support.expressions import value_of
from taskflow_core.workflows.evaluation import Expressions
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.expressions import compile_expression
from taskflow_core.workflows.sandbox import Sandbox


@pytest.fixture(scope="module")
async def expressions() -> AsyncIterator[Expressions]:
    """In one sandbox for all tests: it has a new child after each that it lost."""
    sandbox = Sandbox(cpu_seconds=0.5, memory_bytes=512 * 1024 * 1024)
    yield Expressions(sandbox)
    await sandbox.close()


SCOPE = {
    "input": {
        "list": [1, 2, 3],
        "long": list(range(3000)),
        "text": "ab" * 50_000,
        "name": "a-b",
        "object": {"a": 1},
    },
    "execution": {"create_time": datetime(2026, 1, 31, tzinfo=UTC)},
}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("input.list.map(x, x * 2)", [2, 4, 6]),
        ("input.list.filter(x, x > 1)", [2, 3]),
        ("input.list.map(x, input.list.map(y, x * y))", [[1, 2, 3], [2, 4, 6], [3, 6, 9]]),
        ("input.list.exists(x, x == 2) && input.list.all(x, x > 0)", True),
        ("[null, 1].filter(x, x != null)", [1]),
        ("sum(input.list)", 6),
        ("input.list.max()", 3),
        ("input.name.split('-').join('+')", "a+b"),
        ("math.greatest(1, 2)", 2),
        ("[execution.create_time].map(t, t + duration('1h'))", ["2026-01-31T01:00:00Z"]),
        ("[1.5, 2.0].map(x, x)", [1.5, 2.0]),
        ("input.long.map(x, [x]).filter(x, x[0] > 2990).map(x, x[0])", list(range(2991, 3000))),
        ("input.list.map(x, x > 1, x * 2)", [4, 6]),
        ("input.object.map(key, key + '!')", ["a!"]),
        ("input.list.map(x, {'in': input.name + '(' + string(x)}).size()", 3),
    ],
)
async def test_what_repeats_gives_exact_json(expressions: Expressions, source: str, wanted: Any):
    found = await value_of(source, SCOPE, expressions)
    assert repr(found) == repr(wanted)


async def test_a_time_stays_a_time(expressions: Expressions):
    source = "[execution.create_time].filter(t, true)[0] + duration('1h')"
    found = await expressions.evaluate(compile_expression(source), SCOPE)
    assert found == datetime(2026, 1, 31, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("input.long.map(a, input.long.map(b, a * b)).size()", "takes more than 0.5 s"),
        ("input.long.map(a, input.text)", "gives more than 4194304 bytes"),
        ("[input.long.map(a, [input.text, input.text])].size()", "takes more than"),
        ("input.list.map(x, x / 0)", "division by zero"),
        ("input.list.map(x, {x: 1})", "keys must be texts"),
    ],
)
async def test_what_takes_too_much_or_is_wrong_is_refused_and_the_next_is_evaluated(
    expressions: Expressions, source: str, what: str
):
    with pytest.raises(ExpressionError, match=what):
        await value_of(source, SCOPE, expressions)
    assert await value_of("input.list.map(x, x)", SCOPE, expressions) == [1, 2, 3]


async def test_what_takes_too_much_memory_is_refused_by_that_name():
    # Time enough to use the memory up, on whatever machine.
    sandbox = Sandbox(cpu_seconds=10, memory_bytes=512 * 1024 * 1024)
    with pytest.raises(ExpressionError, match="takes too much memory"):
        await value_of("input.text.replace('a', input.text)", SCOPE, Expressions(sandbox))
    await sandbox.close()


async def test_a_filter_over_ten_thousand_rows_is_no_matter(expressions: Expressions):
    rows = [{"id": number, "text": "x" * 50} for number in range(10_000)]
    found = await value_of("input.rows.filter(row, row.id >= 9000)", {"input": {"rows": rows}}, expressions)
    assert found == rows[9000:]


async def test_those_that_come_together_each_get_their_own_answer(expressions: Expressions):
    found = await asyncio.gather(
        *(value_of(f"input.list.map(x, x * {number})", SCOPE, expressions) for number in range(20))
    )
    assert found == [[number, 2 * number, 3 * number] for number in range(20)]


async def test_an_evaluation_that_is_given_up_leaves_nothing_behind(expressions: Expressions):
    slow = asyncio.create_task(
        value_of("input.long.map(a, input.long.map(b, a * b)).size()", SCOPE, expressions)
    )
    await value_of("1 + 1", SCOPE, expressions)
    await asyncio.sleep(0)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert await value_of("input.list.map(x, x)", SCOPE, expressions) == [1, 2, 3]


async def test_a_child_that_was_killed_is_replaced():
    sandbox = Sandbox()
    expressions = Expressions(sandbox)
    before = set(psutil.Process().children())
    await value_of("input.list.map(x, x)", SCOPE, expressions)
    [child] = set(psutil.Process().children()) - before
    os.kill(child.pid, signal.SIGKILL)
    assert await value_of("input.list.map(x, x)", SCOPE, expressions) == [1, 2, 3]
    await sandbox.close()


async def test_a_child_that_is_frozen_is_replaced():
    # Long enough for a new child to start on a busy machine.
    sandbox = Sandbox(patience=6)
    expressions = Expressions(sandbox)
    before = set(psutil.Process().children())
    await value_of("input.list.map(x, x)", SCOPE, expressions)
    [child] = set(psutil.Process().children()) - before
    os.kill(child.pid, signal.SIGSTOP)
    assert await value_of("input.list.map(x, x)", SCOPE, expressions) == [1, 2, 3]
    assert not psutil.pid_exists(child.pid)
    await sandbox.close()
