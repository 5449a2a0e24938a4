"""From why an attempt failed to how it is settled: RETRYING while the policy allows, else FAILED. Pure."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskflow_core.fingerprint import fingerprint
from taskflow_core.payloads import storable
from taskflow_core.retry import RetryPolicy
from taskflow_core.states import DeadLetterCause
from taskflow_core.tasks.settle import Settlement

MAX_MESSAGE = 4_000
MAX_STACK_TRACE = 16_000


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed.

    `final` ends the task whatever its policy says. `delay` (seconds) is the handler's own choice of when
    to try again.
    """

    type: str
    message: str
    stack_trace: str = ""
    final: bool = False
    delay: float | None = None

    def as_error(self, attempt: int) -> dict[str, Any]:
        """What is kept of it: bounded, and nothing that PostgreSQL refuses."""
        return {
            "type": storable(self.type[:200]),
            "message": storable(self.message[:MAX_MESSAGE]),
            # The innermost frames say most.
            "stack_trace": storable(self.stack_trace[-MAX_STACK_TRACE:]),
            "attempt": attempt,
        }


def settle_failure(
    failure: Failure,
    policy: RetryPolicy,
    rng: random.Random,
    *,
    task_id: UUID,
    task_type: str,
    attempt: int,
    session_id: int,
    worker: str,
    failed_attempts: int,
    execution_id: UUID | None = None,
) -> Settlement:
    """How to settle a failed attempt of a task that had `failed_attempts` failures before it."""
    failures = failed_attempts + 1
    again = not failure.final and policy.allows_retry(failures, failure.type)
    delay = policy.backoff(failures, rng) if failure.delay is None else failure.delay
    return Settlement(
        task_id=task_id,
        attempt=attempt,
        session_id=session_id,
        worker=worker,
        status="RETRYING" if again else "FAILED",
        outcome="FAILED",
        error=failure.as_error(attempt),
        delay=delay if again else 0.0,
        execution_id=execution_id,
        dead_letter_reason=None if again else _cause(failure, policy),
        error_fingerprint=None if again else _fingerprint(task_type, failure, attempt),
    )


def _cause(failure: Failure, policy: RetryPolicy) -> DeadLetterCause:
    if failure.final or failure.type in policy.non_retryable_error_types:
        return DeadLetterCause.NOT_RETRYABLE
    return DeadLetterCause.EXHAUSTED


def _fingerprint(task_type: str, failure: Failure, attempt: int) -> str:
    # Of what is kept, so that it could be made again.
    kept = failure.as_error(attempt)
    return fingerprint(task_type, kept["type"], kept["message"], kept["stack_trace"])


def effective_policy(
    of_task: Mapping[str, Any] | None, of_type: Mapping[str, Any] | None, default: RetryPolicy
) -> RetryPolicy:
    """The policy of a task: what it sets, else what its type sets, else the default."""
    fields = vars(default) | dict(of_type or {}) | dict(of_task or {})
    fields["non_retryable_error_types"] = tuple(fields["non_retryable_error_types"])
    return RetryPolicy(**fields)
