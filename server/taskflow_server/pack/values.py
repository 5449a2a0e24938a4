"""Values that many messages share."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from taskflow_proto.v1 import retry_policy_pb2

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def retry_policy(data: Mapping[str, Any]) -> retry_policy_pb2.RetryPolicy:
    """The fields of a policy that are set."""
    return retry_policy_pb2.RetryPolicy(
        max_attempts=data.get("max_attempts"),
        initial_backoff=duration(data.get("initial_backoff")),
        max_backoff=duration(data.get("max_backoff")),
        backoff_multiplier=data.get("backoff_multiplier"),
        jitter=data.get("jitter"),
        non_retryable_error_types=data.get("non_retryable_error_types", ()),
    )


def duration(seconds: float | None) -> Duration | None:
    """Seconds on the wire."""
    if seconds is None:
        return None
    message = Duration()
    message.FromNanoseconds(round(seconds * 1_000_000_000))
    return message


def timestamp(time: datetime | None) -> Timestamp | None:
    """A time on the wire."""
    if time is None:
        return None
    # As Timestamp.FromDatetime does it, in a third of its time: tasks have three to six of them.
    since = time - EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def time_of(text: str | None) -> datetime | None:
    """A time that was kept in JSON."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def id_text(value: object) -> str:
    """An id, or nothing."""
    return "" if value is None else str(value)
