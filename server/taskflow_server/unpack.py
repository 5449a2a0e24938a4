"""From the messages of the contract to what core takes: values, defaults, and the checks across fields."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from taskflow_core.dead_letters.replay import ReplayOrder
from taskflow_core.dead_letters.selection import Selection
from taskflow_core.errors import InvalidArgument
from taskflow_core.payloads import check_payload, payload_text
from taskflow_core.service_tasks import PREFIX, is_reserved
from taskflow_core.settings import Settings
from taskflow_core.tasks.create import NewTask, UniqueKey
from taskflow_core.tasks.retry import NewPayload
from taskflow_proto.v1 import (
    dead_letter_service_pb2,
    queue_pb2,
    queue_service_pb2,
    retry_policy_pb2,
    task_pb2,
    task_service_pb2,
)
from taskflow_server.auth import Principal
from taskflow_server.masks import fields_to_change
from taskflow_server.structs import fields_of

DEFAULT_QUEUE = "default"


def new_task(
    request: task_service_pb2.CreateTaskRequest,
    principal: Principal,
    settings: Settings,
    request_id: str = "",
) -> NewTask:
    """The task that a request asks for; `request_id` is that of the call's headers, if any.

    Raises InvalidArgument (INVALID_FIELDS, NUMBER_NOT_EXACT, LIMIT_EXCEEDED) with paths in the request.
    """
    task = request.task
    schedule_time = (
        _time(task.schedule_time, "task.schedule_time") if task.HasField("schedule_time") else None
    )
    expire_time = _time(task.expire_time, "task.expire_time") if task.HasField("expire_time") else None
    _check_times(schedule_time, expire_time)
    payload = _payload(task, settings.max_payload_bytes, within="task.")
    return NewTask(
        tenant_id=principal.tenant_id,
        actor=principal.subject,
        name=task.name or task.task_type,
        task_type=_task_type(task.task_type),
        queue=task.queue or DEFAULT_QUEUE,
        priority=task_pb2.Task.Priority.Name(task.priority or task_pb2.Task.NORMAL),
        payload=payload.text,
        payload_form=payload.form,
        tags=tuple(task.tags),
        retry_policy=_retry_policy(task.retry_policy) if task.HasField("retry_policy") else None,
        attempt_timeout=seconds(task.attempt_timeout) if task.HasField("attempt_timeout") else None,
        schedule_time=schedule_time,
        expire_time=expire_time,
        unique_key=_unique_key(task.unique_key) if task.HasField("unique_key") else None,
        request_id=request.request_id or request_id or None,
    )


def new_tasks(
    request: task_service_pb2.BatchCreateTasksRequest, principal: Principal, settings: Settings
) -> list[NewTask]:
    """The tasks that a batch asks for. Raises as `new_task`, for the first that is wrong."""
    tasks = []
    for index, item in enumerate(request.requests):
        place = f"requests[{index}]"
        if item.validate_only:
            raise InvalidArgument.at(f"{place}.validate_only", "is not allowed in a batch")
        try:
            tasks.append(new_task(item, principal, settings))
        except InvalidArgument as error:
            raise error.under(place) from error
    return tasks


def task_ids(ids: task_service_pb2.TaskIds) -> list[UUID]:
    """Ids that the contract has checked."""
    return [UUID(task_id) for task_id in ids.task_ids]


def dead_letters(
    request: dead_letter_service_pb2.ReplayDeadLettersRequest
    | dead_letter_service_pb2.DiscardDeadLettersRequest,
) -> Selection:
    """Which dead letters a call is about."""
    if request.WhichOneof("selection") == "ids":
        return Selection(ids=tuple(task_ids(request.ids)))
    return Selection(filter=request.filter)


def replay_order(
    request: dead_letter_service_pb2.ReplayDeadLettersRequest, settings: Settings
) -> ReplayOrder:
    """What a replay is to do. Raises InvalidArgument (INVALID_FIELDS, NUMBER_NOT_EXACT, LIMIT_EXCEEDED)."""
    with_payload = request.WhichOneof("payload_kind") is not None
    return ReplayOrder(
        dead_letters(request),
        _payload(request, settings.max_payload_bytes) if with_payload else None,
        request.max_rate,
        request.reason,
    )


def seconds(duration: Duration) -> float:
    """A duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def _check_times(schedule_time: datetime | None, expire_time: datetime | None) -> None:
    if expire_time is None:
        return
    if expire_time <= datetime.now(UTC):
        raise InvalidArgument.at(
            "task.expire_time", f"{expire_time.isoformat()} has passed; it must lie ahead"
        )
    if schedule_time is not None and expire_time <= schedule_time:
        raise InvalidArgument.at("task.expire_time", "must be after schedule_time")


def _task_type(name: str) -> str:
    if is_reserved(name):
        raise InvalidArgument.at(
            "task.task_type",
            f"{name!r} is the service's own; names that begin with {PREFIX!r} are reserved",
            task_type=name,
            reserved=PREFIX,
        )
    return name


def _payload(
    message: task_pb2.Task | dead_letter_service_pb2.ReplayDeadLettersRequest, limit: int, *, within: str = ""
) -> NewPayload:
    """The payload of a message that is `within` its request, in the form in which it came."""
    if message.WhichOneof("payload_kind") == "payload_json":
        check_payload(message.payload_json, f"{within}payload_json", limit)
        return NewPayload(message.payload_json, "JSON")
    field = f"{within}payload"
    return NewPayload(payload_text(fields_of(message.payload, field), field, limit), "STRUCT")


def queue_limits(request: queue_service_pb2.UpdateQueueRequest) -> dict[str, Any]:
    """The limits to change, with their new values; zero lifts a limit, as if it were not set.

    Raises InvalidArgument at `update_mask` or `queue.task_type_limits`.
    """
    queue = request.queue
    values = {
        "max_concurrency": queue.max_concurrency or None,
        "max_rate": queue.max_rate or None,
        "task_type_limits": _task_type_limits(queue.task_type_limits),
    }
    wanted = fields_to_change(request.update_mask, queue, values)
    return {name: value for name, value in values.items() if name in wanted}


def _task_type_limits(limits: Iterable[queue_pb2.TaskTypeLimit]) -> dict[str, dict[str, Any]]:
    by_type: dict[str, dict[str, Any]] = {}
    for index, limit in enumerate(limits):
        if limit.task_type in by_type:
            raise InvalidArgument.at(
                f"queue.task_type_limits[{index}].task_type",
                f"{limit.task_type!r} occurs twice",
                found=limit.task_type,
            )
        by_type[limit.task_type] = {
            "max_concurrency": limit.max_concurrency or None,
            "max_rate": limit.max_rate or None,
        }
    return by_type


def _retry_policy(policy: retry_policy_pb2.RetryPolicy) -> dict[str, Any]:
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


def _unique_key(key: task_pb2.UniqueKey) -> UniqueKey:
    scopes: dict[int, Literal["UNFINISHED", "WAITING"]] = {task_pb2.UniqueKey.WAITING: "WAITING"}
    policies: dict[int, Literal["RETURN_EXISTING", "REPLACE_QUEUED"]] = {
        task_pb2.UniqueKey.RETURN_EXISTING: "RETURN_EXISTING",
        task_pb2.UniqueKey.REPLACE_QUEUED: "REPLACE_QUEUED",
    }
    return UniqueKey(
        key.key,
        scope=scopes.get(key.scope, "UNFINISHED"),
        on_conflict=policies.get(key.on_conflict, "REJECT"),
    )


def _time(time: Timestamp, field: str) -> datetime:
    try:
        return time.ToDatetime(tzinfo=UTC)
    except (OverflowError, ValueError) as error:
        raise InvalidArgument.at(field, f"not a time between the years 1 and 9999: {error}") from error
