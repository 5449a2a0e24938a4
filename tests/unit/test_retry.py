"""When a failed attempt is followed by another, and what becomes of it otherwise."""

import random
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskflow_core.retry import RetryPolicy
from taskflow_core.tasks.fail import Failure, effective_policy, settle_failure
from taskflow_core.tasks.settle import Settlement


def settled(failure: Failure, policy: RetryPolicy, failed_attempts: int) -> Settlement:
    return settle_failure(
        failure,
        policy,
        random.Random(1),
        task_id=uuid4(),
        task_type="it",
        attempt=failed_attempts + 1,
        session_id=1,
        worker="host:1",
        failed_attempts=failed_attempts,
    )


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (500, 10)])
def test_backoff_doubles_up_to_its_bound(failures, seconds):
    policy = RetryPolicy(initial_backoff=1, backoff_multiplier=2, max_backoff=10, jitter="NONE")
    assert policy.backoff(failures, random.Random(0)) == seconds


@given(st.integers(1, 1000), st.integers())
def test_full_jitter_stays_between_zero_and_the_bound(failures, seed):
    policy = RetryPolicy(initial_backoff=1, max_backoff=30)
    bound = RetryPolicy(initial_backoff=1, max_backoff=30, jitter="NONE").backoff(failures, random.Random(0))
    assert 0 <= policy.backoff(failures, random.Random(seed)) <= bound


def test_attempts_are_retried_until_they_are_used_up():
    policy = RetryPolicy(max_attempts=3)
    outcomes = [settled(Failure("ValueError", "no"), policy, failed) for failed in (0, 1, 2)]
    assert [outcome.status for outcome in outcomes] == ["RETRYING", "RETRYING", "FAILED"]
    assert outcomes[-1].dead_letter_reason == "EXHAUSTED"


def test_a_non_retryable_error_type_is_final_at_once():
    policy = RetryPolicy(max_attempts=10, non_retryable_error_types=("ValueError",))
    outcome = settled(Failure("ValueError", "no"), policy, 0)
    assert (outcome.status, outcome.dead_letter_reason) == ("FAILED", "NOT_RETRYABLE")


def test_a_final_failure_ends_the_task_whatever_the_policy_says():
    outcome = settled(Failure("Fail", "never", final=True), RetryPolicy(max_attempts=10), 0)
    assert (outcome.status, outcome.dead_letter_reason) == ("FAILED", "NOT_RETRYABLE")


def test_a_handler_may_choose_when_it_is_tried_again():
    assert settled(Failure("Retry", "later", delay=77), RetryPolicy(), 0).delay == 77


def test_what_is_kept_of_an_error_is_bounded_and_free_of_nul():
    error = Failure("E" * 999, "a\0b" + "m" * 9_999, "s" * 99_999 + "the end").as_error(2)
    assert len(error["type"]) == 200
    assert len(error["message"]) == 4_000
    assert "\0" not in error["message"]
    assert error["stack_trace"].endswith("the end")
    assert len(error["stack_trace"]) == 16_000


def test_a_task_overrides_its_type_and_the_type_the_default():
    of_type = {"max_attempts": 5, "initial_backoff": 9.0}
    of_task = {"max_attempts": 7, "non_retryable_error_types": ["KeyError"]}
    policy = effective_policy(of_task, of_type, RetryPolicy(max_backoff=11))
    assert policy == RetryPolicy(
        max_attempts=7, initial_backoff=9.0, max_backoff=11, non_retryable_error_types=("KeyError",)
    )
