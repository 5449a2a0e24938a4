"""A task to submit, in Python's own types."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from taskflow_proto.v1 import retry_policy_pb2, task_pb2
from taskflow_proto.v1.task_service_pb2 import CreateTaskRequest

Priority = Literal["CRITICAL", "HIGH", "NORMAL", "LOW"]
Scope = Literal["UNFINISHED", "WAITING"]
OnConflict = Literal["REJECT", "RETURN_EXISTING", "REPLACE_QUEUED"]


@dataclass(frozen=True)
class RetryPolicy:
    """How often and when a failed attempt is tried again. What is None is up to the task type.

    `max_attempts` counts the first attempt, too. The wait before retry n is drawn from 0 to
    `min(max_backoff, initial_backoff * backoff_multiplier^(n-1))`, and is just that without `jitter`.
    Errors of the types in `non_retryable_error_types`, such as `ValueError`, are final at once.
    """

    max_attempts: int | None = None
    initial_backoff: timedelta | None = None
    max_backoff: timedelta | None = None
    backoff_multiplier: float | None = None
    jitter: bool = True
    non_retryable_error_types: Sequence[str] = ()


@dataclass(frozen=True)
class UniqueKey:
    """Keeps a second task with the same key out: until the first is final, or until it starts (`WAITING`)."""

    key: str
    scope: Scope = "UNFINISHED"
    on_conflict: OnConflict = "REJECT"


@dataclass(frozen=True)
class NewTask:
    """A task to submit; what is left out is the service's default.

    `schedule_time`: not to be started before. `expire_time`: cancelled if it is not done by then. Times
    without a zone are local. `request_id` makes submitting safe to repeat; by default, within this process.
    """

    task_type: str
    payload: Mapping[str, Any] | None = None
    name: str = ""
    priority: Priority | None = None
    queue: str = ""
    tags: Sequence[str] = ()
    retry_policy: RetryPolicy | None = None
    attempt_timeout: timedelta | None = None
    schedule_time: datetime | None = None
    expire_time: datetime | None = None
    unique_key: UniqueKey | str | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def request(self) -> CreateTaskRequest:
        """The task on the wire. Raises TypeError or ValueError if the payload is not JSON."""
        task = task_pb2.Task(
            name=self.name,
            task_type=self.task_type,
            priority=self.priority,
            queue=self.queue,
            # As text: a Struct has doubles only.
            payload_json=json.dumps(dict(self.payload or {}), ensure_ascii=False, allow_nan=False),
            tags=self.tags,
            retry_policy=_retry_policy(self.retry_policy),
            attempt_timeout=_duration(self.attempt_timeout),
            schedule_time=_timestamp(self.schedule_time),
            expire_time=_timestamp(self.expire_time),
            unique_key=_unique_key(self.unique_key),
        )
        return CreateTaskRequest(task=task, request_id=self.request_id)


def _retry_policy(policy: RetryPolicy | None) -> retry_policy_pb2.RetryPolicy | None:
    if policy is None:
        return None
    jitter = retry_policy_pb2.RetryPolicy
    return retry_policy_pb2.RetryPolicy(
        max_attempts=policy.max_attempts,
        initial_backoff=_duration(policy.initial_backoff),
        max_backoff=_duration(policy.max_backoff),
        backoff_multiplier=policy.backoff_multiplier,
        jitter=jitter.JITTER_UNSPECIFIED if policy.jitter else jitter.NONE,
        non_retryable_error_types=policy.non_retryable_error_types,
    )


def _unique_key(key: UniqueKey | str | None) -> task_pb2.UniqueKey | None:
    if key is None:
        return None
    if isinstance(key, str):
        key = UniqueKey(key)
    return task_pb2.UniqueKey(
        key=key.key,
        scope=key.scope,
        on_conflict=key.on_conflict,
    )


def _duration(length: timedelta | None) -> Duration | None:
    if length is None:
        return None
    message = Duration()
    message.FromTimedelta(length)
    return message


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time.astimezone())  # protobuf takes a time without a zone for UTC
    return message
