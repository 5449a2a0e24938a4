"""New tasks: their defaults, and the checks across fields."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from taskflow_core.errors import InvalidArgument
from taskflow_core.service_tasks import PREFIX, is_reserved
from taskflow_core.settings import Settings
from taskflow_core.tasks.create import NewTask, UniqueKey
from taskflow_proto.v1 import task_pb2, task_service_pb2
from taskflow_server.auth import Principal
from taskflow_server.unpack.values import payload, retry_policy, seconds, time

DEFAULT_QUEUE = "default"


def new_task(
    request: task_service_pb2.CreateTaskRequest,
    principal: Principal,
    settings: Settings,
    now: datetime,
    request_id: str = "",
) -> NewTask:
    """The task that a request of this moment asks for; `request_id` is that of the call's headers, if any.

    Raises InvalidArgument (INVALID_FIELDS, NUMBER_NOT_EXACT, LIMIT_EXCEEDED) with paths in the request.
    """
    task = request.task
    schedule_time = time(task.schedule_time, "task.schedule_time") if task.HasField("schedule_time") else None
    expire_time = time(task.expire_time, "task.expire_time") if task.HasField("expire_time") else None
    _check_times(schedule_time, expire_time, now)
    content = payload(task, settings.max_payload_bytes, within="task.")
    return NewTask(
        tenant_id=principal.tenant_id,
        actor=principal.subject,
        name=task.name or task.task_type,
        task_type=task_type(task.task_type),
        queue=task.queue or DEFAULT_QUEUE,
        priority=task_pb2.Task.Priority.Name(task.priority or task_pb2.Task.NORMAL),
        payload=content.text,
        payload_form=content.form,
        tags=tuple(task.tags),
        retry_policy=retry_policy(task.retry_policy) if task.HasField("retry_policy") else None,
        attempt_timeout=seconds(task.attempt_timeout) if task.HasField("attempt_timeout") else None,
        schedule_time=schedule_time,
        expire_time=expire_time,
        unique_key=_unique_key(task.unique_key) if task.HasField("unique_key") else None,
        request_id=request.request_id or request_id or None,
    )


def new_tasks(
    request: task_service_pb2.BatchCreateTasksRequest, principal: Principal, settings: Settings, now: datetime
) -> list[NewTask]:
    """The tasks that a batch asks for. Raises as `new_task`, for the first that is wrong."""
    tasks = []
    for index, item in enumerate(request.requests):
        place = f"requests[{index}]"
        if item.validate_only:
            raise InvalidArgument.at(f"{place}.validate_only", "is not allowed in a batch")
        try:
            tasks.append(new_task(item, principal, settings, now))
        except InvalidArgument as error:
            raise error.under(place) from error
    return tasks


def event_kinds(kinds: Iterable[task_pb2.TaskEvent.Kind]) -> frozenset[str]:
    """The names of these kinds."""
    return frozenset(map(task_pb2.TaskEvent.Kind.Name, kinds))


def _check_times(schedule_time: datetime | None, expire_time: datetime | None, now: datetime) -> None:
    if expire_time is None:
        return
    if expire_time <= now:
        raise InvalidArgument.at(
            "task.expire_time", f"{expire_time.isoformat()} has passed; it must lie ahead"
        )
    if schedule_time is not None and expire_time <= schedule_time:
        raise InvalidArgument.at("task.expire_time", "must be after schedule_time")


def task_type(name: str) -> str:
    """A task type that callers may use. Raises InvalidArgument."""
    if is_reserved(name):
        raise InvalidArgument.at(
            "task.task_type",
            f"{name!r} is the service's own; names that begin with {PREFIX!r} are reserved",
            task_type=name,
            reserved=PREFIX,
        )
    return name


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
