"""Conditions on events, waits between attempts, and the moves that a delivery may make."""

import random
import time

import pytest

from taskflow_core.errors import InvalidArgument
from taskflow_core.states import DELIVERY_FINAL, DELIVERY_MOVES, WEBHOOK_MOVES, DeliveryStatus, WebhookStatus
from taskflow_core.webhooks.conditions import check_condition, holds
from taskflow_core.webhooks.settle import policy_of
from taskflow_core.workflows.evaluation import Expressions
from taskflow_core.workflows.sandbox import Sandbox

EVENT = {
    "type": "task.success",
    "sequence": 3,
    "data": {"task": {"queue": "billing", "tags": ["a"], "attempt": 2}},
}


@pytest.mark.parametrize(
    ("condition", "result"),
    [
        ("", True),
        ('event.data.task.queue == "billing"', True),
        ('event.type.startsWith("task.") && event.sequence > 2', True),
        ('"b" in event.data.task.tags', False),
        ("event.data.task.error.type == 'x'", False),
        ("has(event.data.task.error)", False),
        ("event.data.task.attempt / 0 == 1", False),
        ("event.sequence", False),
    ],
)
async def test_a_condition_holds_if_it_is_true_and_only_then(condition: str, result: bool):
    check_condition(condition, "condition")
    assert await holds(Expressions(Sandbox()), condition, EVENT) is result


@pytest.mark.parametrize(
    "condition",
    [
        "1 +",
        "nonsense",
        "event.shout()",
        "[1].existsOne(a, [1].existsOne(b, [1].existsOne(c, true)))",
        "true " * 500,
        "[1].all(a, [1].exists(b, [1].map(c, c) == []))",
        "[1].all // hidden\n(a, [1].all // hidden\n(b, [1].all // hidden\n(c, true)))",
    ],
)
def test_a_condition_that_is_wrong_or_could_take_long_is_refused(condition: str):
    with pytest.raises(InvalidArgument):
        check_condition(condition, "condition")


async def test_the_worst_condition_that_is_allowed_takes_a_bounded_time():
    numbers = f"[{','.join('1' * 440)}]"
    condition = f"{numbers}.all(a,{numbers}.all(b,a==b))"
    check_condition(condition, "condition")
    sandbox = Sandbox()
    started = time.process_time()
    assert await holds(Expressions(sandbox), condition, EVENT)
    await sandbox.close()
    assert time.process_time() - started < 0.5  # all but what the sandbox bounds


def test_attempts_go_on_for_about_a_day():
    policy = policy_of(None)
    waits = [policy.backoff(failures, random.Random(1)) for failures in range(1, policy.max_attempts)]
    assert waits[:4] == [5, 20, 80, 320]
    assert 20 < sum(waits) / 3600 < 30
    assert policy_of({"max_attempts": 2}).initial_backoff == 5


def test_final_deliveries_start_anew_and_no_status_is_a_dead_end_of_the_machine():
    assert set(DELIVERY_MOVES) == set(DeliveryStatus)
    assert set(WEBHOOK_MOVES) == set(WebhookStatus)
    assert all(DELIVERY_MOVES[status] == {DeliveryStatus.PENDING} for status in DELIVERY_FINAL)
    assert all(
        WebhookStatus.ENABLED in WEBHOOK_MOVES[status]
        for status in set(WebhookStatus) - {WebhookStatus.ENABLED}
    )
