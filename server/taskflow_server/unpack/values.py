"""Values that many requests share."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from taskflow_core.errors import InvalidArgument
from taskflow_core.payloads import check_payload, payload_text
from taskflow_core.tasks.retry import NewPayload
from taskflow_proto.v1 import (
    dead_letter_service_pb2,
    retry_policy_pb2,
    schedule_pb2,
    task_pb2,
    task_service_pb2,
)
from taskflow_server.structs import fields_of


def task_ids(ids: task_service_pb2.TaskIds) -> list[UUID]:
    """Ids that the contract has checked."""
    return [UUID(task_id) for task_id in ids.task_ids]


def seconds(duration: Duration) -> float:
    """A duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def time(time: Timestamp, field: str) -> datetime:
    """A time. Raises InvalidArgument at `field` if there is no such time."""
    try:
        return time.ToDatetime(tzinfo=UTC)
    except (OverflowError, ValueError) as error:
        raise InvalidArgument.at(field, f"not a time between the years 1 and 9999: {error}") from error


def payload(
    message: task_pb2.Task | schedule_pb2.Schedule | dead_letter_service_pb2.ReplayDeadLettersRequest,
    limit: int,
    *,
    within: str = "",
) -> NewPayload:
    """The payload of a message that is `within` its request, in the form in which it came."""
    if message.WhichOneof("payload_kind") == "payload_json":
        check_payload(message.payload_json, f"{within}payload_json", limit)
        return NewPayload(message.payload_json, "JSON")
    field = f"{within}payload"
    return NewPayload(payload_text(fields_of(message.payload, field), field, limit), "STRUCT")


def retry_policy(policy: retry_policy_pb2.RetryPolicy) -> dict[str, Any]:
    """The fields that are set, as `RetryPolicy` of core names them."""
    fields: dict[str, Any] = {}
    if policy.HasField("max_attempts"):
        fields["max_attempts"] = policy.max_attempts
    if policy.HasField("initial_backoff"):
        fields["initial_backoff"] = seconds(policy.initial_backoff)
    if policy.HasField("max_backoff"):
        fields["max_backoff"] = seconds(policy.max_backoff)
    if policy.HasField("backoff_multiplier"):
        fields["backoff_multiplier"] = policy.backoff_multiplier
    if policy.jitter:
        fields["jitter"] = retry_policy_pb2.RetryPolicy.Jitter.Name(policy.jitter)
    if policy.non_retryable_error_types:
        fields["non_retryable_error_types"] = list(policy.non_retryable_error_types)
    return fields
