"""Payload fields that fires compute: what they see, what they give, and what they may not do."""

from datetime import UTC, datetime
from typing import Any

import pytest

from taskflow_core.errors import InvalidArgument
from taskflow_core.schedules.expressions import check_expressions, compute
from taskflow_core.workflows.expression_syntax import ExpressionError

SCOPE = {
    "fire": {"time": datetime(2026, 1, 1, 23, 30, tzinfo=UTC), "run_number": 7, "trigger": "CATCH_UP"},
    "schedule": {"id": "s-1", "name": "Report", "time_zone": "Europe/Berlin"},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("fire.run_number", 7),
        ("fire.time", "2026-01-01T23:30:00Z"),
        ("fire.time - duration('24h')", "2025-12-31T23:30:00Z"),
        ("duration('90m')", "5400s"),
        ("fire.time.getDate()", 1),
        ("fire.time.getDate(schedule.time_zone)", 2),
        ("fire.time.getHours(schedule.time_zone)", 0),
        ("fire.time.getDayOfWeek('Asia/Tokyo')", 5),
        ("fire.trigger == 'CATCH_UP' ? 'late' : 'on time'", "late"),
        ("{'name': schedule.name, 'runs': [fire.run_number]}", {"name": "Report", "runs": [7]}),
    ],
)
def test_an_expression_sees_the_fire_and_its_schedule(source: str, value: Any):
    assert compute(source, SCOPE) == value


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("fire.nothing", "nothing"),
        ("nothing", "nothing"),
        ("1 +", "its end"),
        ("1 / 0", "zero"),
        ("fire.time.getDate('Mars/Olympus')", "Mars/Olympus"),
        ("b'bytes'", "bytes"),
    ],
)
def test_an_expression_without_a_value_says_why(source: str, complaint: str):
    with pytest.raises(ExpressionError, match=complaint):
        compute(source, SCOPE)


@pytest.mark.parametrize(
    "source",
    [
        "[1, 2].map(x, x)",
        "[1].all // hidden\n(x, x > 0)",
        "[1] . exists (x, true)",
        "[1].existsOne(x, true)",
        "schedule.name.replace('a', schedule.name)",
    ],
)
def test_expressions_that_repeat_are_refused(source: str):
    with pytest.raises(InvalidArgument, match="is not allowed to repeat") as refused:
        check_expressions({"field": source}, "payload_expressions")
    assert refused.value.fields[0].field == 'payload_expressions["field"]'
