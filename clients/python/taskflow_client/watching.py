"""Following a task over any number of connections."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc

from taskflow_client.backoff import Backoff
from taskflow_client.errors import ApiError, NotFound, Unavailable, from_rpc_error, may_pass
from taskflow_proto.v1.task_pb2 import Task, TaskEvent
from taskflow_proto.v1.task_service_pb2 import StreamClosing, WatchTaskResponse, WatchTasksResponse

Said = TypeVar("Said")


@dataclass(frozen=True)
class Snapshot:
    """The task as it is when the watch starts. `reset`: events before it were lost to a long interruption."""

    task: Task
    reset: bool
    resume_token: str


@dataclass(frozen=True)
class Event:
    """The next line of the task's log: its `kind`, the `status` after it, a `progress`, an `error` ..."""

    event: TaskEvent
    resume_token: str


@dataclass(frozen=True)
class Finished:
    """The task at its end. Nothing comes after it."""

    task: Task
    resume_token: str


@dataclass(frozen=True)
class SnapshotEnd:
    """All snapshots were sent: `count` of them. `reset`: events before them were lost to a long interruption."""

    count: int
    reset: bool
    resume_token: str


Update: TypeAlias = Snapshot | Event | Finished
TenantUpdate: TypeAlias = Snapshot | SnapshotEnd | Event


async def follow(
    open_stream: Callable[[str], "grpc.aio.UnaryStreamCall[Any, Any]"],
    resume_token: str,
    backoff: Backoff,
    said_by: Callable[[Any], Said | None],
    last: type | None = None,
) -> AsyncGenerator[Said, None]:
    """The updates of one watch. A stream that ends too soon is opened again after the last message seen.

    `said_by` is what a message says to the watcher, if anything; an update of type `last` is the last one.

    Raises ApiError: what the service says, or the last failure to reach it once `backoff` gives up.
    """
    while True:
        stream = open_stream(resume_token)
        failure: ApiError = Unavailable(grpc.StatusCode.UNAVAILABLE, "the stream was cut")
        try:
            async for message in stream:
                resume_token = message.resume_token
                backoff.reset()
                update = said_by(message)
                if update is not None:
                    yield update
                if last is not None and isinstance(update, last):
                    return
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error)
            if not may_pass(failure):
                raise failure from error
        finally:
            stream.cancel()
        seconds = backoff.pause()
        if seconds is None:
            raise failure
        await asyncio.sleep(seconds)


def task_update(message: WatchTaskResponse) -> Update | None:
    """What a message says to the watcher; None if it is about the connection only. Raises NotFound."""
    match message.WhichOneof("message"):
        case "snapshot":
            return Snapshot(message.snapshot.task, message.snapshot.reset, message.resume_token)
        case "event":
            return Event(message.event, message.resume_token)
        case "closing" if message.closing.reason == StreamClosing.FINISHED:
            return Finished(message.closing.task, message.resume_token)
        case "closing" if message.closing.reason == StreamClosing.DELETED:
            raise NotFound(grpc.StatusCode.NOT_FOUND, "the task was deleted", reason="NOT_FOUND")
    return None


def tenant_update(message: WatchTasksResponse) -> TenantUpdate | None:
    """What a message says to who watches all tasks; None if it is about the connection only."""
    match message.WhichOneof("message"):
        case "snapshot":
            return Snapshot(message.snapshot.task, message.snapshot.reset, message.resume_token)
        case "snapshot_end":
            end = message.snapshot_end
            return SnapshotEnd(end.count, end.reset, message.resume_token)
        case "event":
            return Event(message.event, message.resume_token)
    return None
