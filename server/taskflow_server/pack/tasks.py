"""Tasks, their events and attempts."""

import json
from collections.abc import Mapping
from typing import Any

from taskflow_core.tasks.create import NewTask
from taskflow_core.tasks.rows import Row
from taskflow_proto.v1 import task_pb2
from taskflow_server.pack.values import duration, id_text, retry_policy, time_of, timestamp
from taskflow_server.structs import fits_in_value, set_value

Task = task_pb2.Task
TaskEvent = task_pb2.TaskEvent
TaskAttempt = task_pb2.TaskAttempt


def task(row: Row, *, full: bool = True) -> task_pb2.Task:
    """A task; `full` with payload and, if the row has it, result."""
    message = Task(
        id=str(row["id"]),
        name=row["name"],
        task_type=row["task_type"],
        priority=row["priority"],
        queue=row["queue"],
        tags=row["tags"],
        retry_policy=retry_policy(row["retry_policy"]) if row["retry_policy"] else None,
        attempt_timeout=duration(row["attempt_timeout"]),
        schedule_time=timestamp(row["run_at"]) if row["status"] == "SCHEDULED" else None,
        expire_time=timestamp(row["expire_at"]),
        unique_key=unique_key(row["unique_key"], row["unique_scope"]),
        status=row["status"],
        progress=progress(row["progress"]) if row["progress"] else None,
        error=error(row["error"]) if row["error"] else None,
        attempt=row["attempt"],
        failed_attempts=row["failed_attempts"],
        cancel_requested=row["cancel_requested_at"] is not None,
        last_sequence=row["last_sequence"],
        create_time=timestamp(row["created_at"]),
        start_time=timestamp(row["started_at"]),
        end_time=timestamp(row["finished_at"]),
        next_attempt_time=timestamp(row["run_at"]) if row["status"] in ("SCHEDULED", "RETRYING") else None,
        schedule_id=id_text(row["schedule_id"]),
        execution_id=id_text(row["execution_id"]),
        node_id=row["node_id"] or "",
    )
    if full:
        _add_payload(message, row)
    return message


def preview(new: NewTask) -> task_pb2.Task:
    """A task as it would be created: without id, status and times."""
    message = Task(
        name=new.name,
        task_type=new.task_type,
        priority=new.priority,
        queue=new.queue,
        tags=new.tags,
        retry_policy=retry_policy(new.retry_policy) if new.retry_policy else None,
        attempt_timeout=duration(new.attempt_timeout),
        schedule_time=timestamp(new.schedule_time),
        expire_time=timestamp(new.expire_time),
        unique_key=unique_key(new.unique_key.key, new.unique_key.scope) if new.unique_key else None,
    )
    _add_payload(message, new._asdict())
    return message


def with_result(row: Row) -> task_pb2.Task:
    """A task with everything, from a row that was read with its result."""
    message = task(row)
    if row["status"] != "SUCCEEDED":
        return message
    if row["result_url"] is not None:
        message.result_url = row["result_url"]
    elif row["result"] is not None:
        _set_result(message, row)
    return message


def event(row: Row) -> task_pb2.TaskEvent:
    """A line of a task's log."""
    data: Mapping[str, Any] = row["data"] or {}
    return TaskEvent(
        task_id=str(row["task_id"]),
        sequence=row["sequence"],
        kind=row["kind"],
        event_time=timestamp(row["created_at"]),
        status=row["status"],
        attempt=row["attempt"],
        actor=row["actor"],
        progress=progress(data["progress"]) if data.get("progress") else None,
        error=error(data["error"]) if data.get("error") else None,
        message=data.get("message") or "",
        next_attempt_time=timestamp(time_of(data.get("next_attempt_time"))),
    )


def attempt(row: Row) -> task_pb2.TaskAttempt:
    """An ended attempt."""
    return TaskAttempt(
        task_id=str(row["task_id"]),
        attempt=row["attempt"],
        outcome=row["outcome"],
        error=error(row["error"]) if row["error"] else None,
        worker=row["worker"],
        start_time=timestamp(row["started_at"]),
        end_time=timestamp(row["ended_at"]),
    )


def task_type(row: Row) -> task_pb2.TaskType:
    """What a worker has registered under a name."""
    return task_pb2.TaskType(
        name=row["name"],
        description=row["description"],
        workers=row["workers"],
        attempt_timeout=duration(row["attempt_timeout"]),
        retry_policy=retry_policy(row["retry_policy"]),
        queues=row["queues"],
    )


def unique_key(key: str | None, scope: str | None) -> task_pb2.UniqueKey | None:
    """What keeps a second task out."""
    return None if key is None else task_pb2.UniqueKey(key=key, scope=scope)


def progress(data: Mapping[str, Any]) -> task_pb2.TaskProgress:
    """How far an attempt has come."""
    return task_pb2.TaskProgress(
        percent=data["percent"] or 0.0,
        message=data["message"],
        current=data["current"] or 0.0,
        total=data["total"] or 0.0,
        unit=data["unit"],
    )


def error(data: Mapping[str, Any]) -> task_pb2.TaskError:
    """Why an attempt failed."""
    return task_pb2.TaskError(
        type=data["type"],
        message=data["message"],
        stack_trace=data["stack_trace"],
        attempt=data["attempt"],
    )


def _add_payload(message: task_pb2.Task, row: Row) -> None:
    """The payload in the form in which it came."""
    if row["payload_form"] == "JSON":
        message.payload_json = row["payload"]
    else:
        message.payload.SetInParent()
        message.payload.update(json.loads(row["payload"]))


def _set_result(message: task_pb2.Task, row: Row) -> None:
    """The result in the form in which the payload came, or as text if a Value cannot carry it."""
    if row["payload_form"] == "STRUCT":
        value = json.loads(row["result"])
        if fits_in_value(value):
            set_value(message.result, value)
            return
    message.result_json = row["result"]
