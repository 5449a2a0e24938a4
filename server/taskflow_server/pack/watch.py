"""The messages of watches. An event goes to many watchers, and is packed and serialised once."""

from functools import lru_cache

from taskflow_core.tasks import watch, watch_all
from taskflow_proto.v1 import task_service_pb2
from taskflow_server.pack.tasks import event, task, with_result

StreamClosing = task_service_pb2.StreamClosing

# Events whose bytes are kept. Those who watch the same are rarely further apart.
KEPT = 1024


def watch_message(message: watch.Message) -> task_service_pb2.WatchTaskResponse:
    """One message of a watch on a task."""
    response = task_service_pb2.WatchTaskResponse(resume_token=message.token)
    match message:
        case watch.Snapshot():
            response.snapshot.task.CopyFrom(with_result(message.task))
            response.snapshot.reset = message.reset
        case watch.Event():
            response.event.CopyFrom(event(message.event))
        case watch.KeepAlive():
            response.keep_alive.time.GetCurrentTime()
        case watch.Closing():
            response.closing.MergeFrom(_closing(message))
    return response


def watch_bytes(message: watch.Message) -> bytes:
    """The same, serialised."""
    if isinstance(message, watch.Event):
        return _event_bytes(message)
    return watch_message(message).SerializeToString()


def watch_all_message(message: watch_all.TenantMessage) -> task_service_pb2.WatchTasksResponse:
    """One message of a watch on many tasks."""
    response = task_service_pb2.WatchTasksResponse(resume_token=message.token)
    match message:
        case watch.Snapshot():
            response.snapshot.task.CopyFrom(task(message.task, full=False))
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


def watch_all_bytes(message: watch_all.TenantMessage) -> bytes:
    """The same, serialised."""
    if isinstance(message, watch_all.TenantEvent):
        return _tenant_event_bytes(message)
    return watch_all_message(message).SerializeToString()


@lru_cache(KEPT)
def _event_bytes(message: watch.Event) -> bytes:
    return watch_message(message).SerializeToString()


@lru_cache(KEPT)
def _tenant_event_bytes(message: watch_all.TenantEvent) -> bytes:
    return watch_all_message(message).SerializeToString()


def _closing(message: watch.Closing) -> task_service_pb2.StreamClosing:
    task_at_end = None if message.task is None else with_result(message.task)
    return StreamClosing(reason=message.reason, task=task_at_end)
