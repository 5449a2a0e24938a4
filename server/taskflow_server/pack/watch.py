"""The messages of watches. An event goes to many watchers, and is packed and serialised once."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from google.protobuf.message import Message

from taskflow_core import watch
from taskflow_core.executions.read import Whole
from taskflow_core.tasks import watch_all
from taskflow_core.tasks.rows import Row
from taskflow_proto.v1 import task_service_pb2, workflow_service_pb2
from taskflow_server.pack.executions import execution_event, whole_execution
from taskflow_server.pack.tasks import event, task, with_result

StreamClosing = task_service_pb2.StreamClosing

# Events whose bytes are kept. Those who watch the same are rarely further apart.
KEPT = 1024

Sent = TypeVar("Sent")


def serialised(pack: Callable[[Sent], Message]) -> Callable[[Sent], bytes]:
    """What `pack` makes of a message of a watch, as bytes; an event's only once for all who watch it."""

    @lru_cache(KEPT)
    def of_event(message: Any) -> bytes:
        return pack(message).SerializeToString()

    def of_message(message: Sent) -> bytes:
        if isinstance(message, (watch.Event, watch_all.TenantEvent)):
            return of_event(message)
        return pack(message).SerializeToString()

    return of_message


def watch_message(message: watch.Message[Row]) -> task_service_pb2.WatchTaskResponse:
    """One message of a watch on a task."""
    response = task_service_pb2.WatchTaskResponse(resume_token=message.token)
    match message:
        case watch.Snapshot():
            response.snapshot.task.CopyFrom(with_result(message.subject))
            response.snapshot.reset = message.reset
        case watch.Event():
            response.event.CopyFrom(event(message.event))
        case watch.KeepAlive():
            response.keep_alive.time.GetCurrentTime()
        case watch.Closing():
            response.closing.MergeFrom(_closing(message))
    return response


def watch_all_message(message: watch_all.TenantMessage) -> task_service_pb2.WatchTasksResponse:
    """One message of a watch on many tasks."""
    response = task_service_pb2.WatchTasksResponse(resume_token=message.token)
    match message:
        case watch.Snapshot():
            response.snapshot.task.CopyFrom(task(message.subject, full=False))
        case watch_all.SnapshotEnd():
            response.snapshot_end.count = message.count
            response.snapshot_end.reset = message.reset
        case watch_all.TenantEvent():
            response.event.CopyFrom(event(message.event))
        case watch.KeepAlive():
            response.keep_alive.time.GetCurrentTime()
        case watch.Closing():
            response.closing.MergeFrom(_closing(message))
    return response


def execution_watch_message(message: watch.Message[Whole]) -> workflow_service_pb2.WatchExecutionResponse:
    """One message of a watch on an execution."""
    response = workflow_service_pb2.WatchExecutionResponse(resume_token=message.token)
    match message:
        case watch.Snapshot():
            response.snapshot.execution.MergeFrom(whole_execution(message.subject))
            response.snapshot.reset = message.reset
        case watch.Event():
            response.event.CopyFrom(execution_event(message.event))
        case watch.KeepAlive():
            response.keep_alive.time.GetCurrentTime()
        case watch.Closing():
            response.closing.MergeFrom(StreamClosing(reason=message.reason))
            if message.subject is not None:
                response.execution.CopyFrom(whole_execution(message.subject))
    return response


def _closing(message: watch.Closing[Row]) -> task_service_pb2.StreamClosing:
    task_at_end = None if message.subject is None else with_result(message.subject)
    return StreamClosing(reason=message.reason, task=task_at_end)


watch_bytes = serialised(watch_message)
watch_all_bytes = serialised(watch_all_message)
execution_watch_bytes = serialised(execution_watch_message)
