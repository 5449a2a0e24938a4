"""The client: one method for each thing that can be done with tasks."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from taskflow_client.backoff import Backoff
from taskflow_client.calling import PAGE_SIZE, pages
from taskflow_client.channel import open_channel
from taskflow_client.errors import ApiError, TaskCancelled, TaskFailed, from_rpc_error, from_status, may_pass
from taskflow_client.executions import Executions
from taskflow_client.new_task import NewTask, Priority, RetryPolicy, UniqueKey
from taskflow_client.queues import Queues
from taskflow_client.schedules import Schedules
from taskflow_client.stats import Stats
from taskflow_client.watching import Finished, TenantUpdate, Update, follow, task_update, tenant_update
from taskflow_client.webhooks import Webhooks
from taskflow_client.workflows import Workflows
from taskflow_proto.v1 import task_service_pb2 as calls
from taskflow_proto.v1.task_pb2 import Task, TaskAttempt, TaskEvent, TaskType
from taskflow_proto.v1.task_service_pb2_grpc import TaskServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")

FINAL = frozenset({Task.SUCCEEDED, Task.FAILED, Task.CANCELLED})

# One batch: what the service takes at most, and half of what a message may hold, as the answer is longer.
BATCH_TASKS = 1000
BATCH_BYTES = 8 * 1024 * 1024
# One question to WaitTask; what is on the way may cut longer ones.
WAIT_SECONDS = 30.0


class TaskFlow:
    """A connection to TaskFlow. Make it inside a running event loop, and close it or use `async with`.

        async with TaskFlow("127.0.0.1:50051") as taskflow:
            task = await taskflow.submit("compute", {"operation": "fibonacci", "n": 30})
            print(await taskflow.result(task))

    Every method raises ApiError, or the class of it that fits. Where a task is asked for, its id will do.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:50051",
        *,
        tenant: str = "",
        credentials: grpc.ChannelCredentials | None = None,
        timeout: float = 30.0,
        patience: float = 60.0,
        retries: bool = True,
    ) -> None:
        """Name the server.

        `timeout`: seconds for one call. `patience`: seconds for which a watch or a wait tries to reach a
        server that went away. `retries`: whether calls that are safe to repeat are repeated when the server
        cannot be reached.
        """
        self._channel = open_channel(address, credentials, retries=retries)
        self._stub = TaskServiceStub(self._channel)
        self._metadata = (("x-tenant-id", tenant),) if tenant else ()
        self._timeout = timeout
        self._patience = patience
        self.queues = Queues(self._channel, self._call)
        self.schedules = Schedules(self._channel, self._call)
        self.workflows = Workflows(self._channel, self._call)
        self.executions = Executions(self._channel, self._call, self._metadata, patience)
        self.webhooks = Webhooks(self._channel, self._call)
        self.stats = Stats(self._channel, self._call, self._metadata, lambda: Backoff(patience))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that are under way fail."""
        await self._channel.close()

    async def submit(
        self,
        task_type: str,
        payload: dict[str, Any] | None = None,
        *,
        name: str = "",
        priority: Priority | None = None,
        queue: str = "",
        tags: Sequence[str] = (),
        retry_policy: RetryPolicy | None = None,
        attempt_timeout: timedelta | None = None,
        schedule_time: datetime | None = None,
        expire_time: datetime | None = None,
        unique_key: UniqueKey | str | None = None,
        request_id: str | None = None,
    ) -> Task:
        """Submit one task; the arguments are those of NewTask.

        Calling it again with the same `request_id` answers with the same task. By default, each call has
        an id of its own.
        """
        optional = {} if request_id is None else {"request_id": request_id}
        new = NewTask(
            task_type,
            payload,
            name=name,
            priority=priority,
            queue=queue,
            tags=tags,
            retry_policy=retry_policy,
            attempt_timeout=attempt_timeout,
            schedule_time=schedule_time,
            expire_time=expire_time,
            unique_key=unique_key,
            **optional,
        )
        return await self._call(self._stub.CreateTask, new.request())

    async def submit_many(self, tasks: Iterable[NewTask]) -> Sequence[Task]:
        """Submit many tasks in few calls; they come back in the same order.

        Each call stores up to 1,000 tasks or none. If a later one fails, the tasks of those before are
        stored; submitting the same NewTasks again is safe.
        """
        stored: list[Task] = []
        for batch in _batches(task.request() for task in tasks):
            answer = await self._call(
                self._stub.BatchCreateTasks, calls.BatchCreateTasksRequest(requests=batch)
            )
            stored.extend(answer.tasks)
        return stored

    async def submit_stream(self, tasks: AsyncIterable[NewTask]) -> AsyncGenerator[Task | ApiError, None]:
        """Submit tasks as they come, each on its own: yields each one's outcome, in order.

        Reads `tasks` only as fast as the service stores them. Raises ApiError if the stream is cut;
        submitting NewTasks without an outcome again is safe.
        """

        async def requests() -> AsyncIterator[calls.SubmitTasksRequest]:
            async for task in tasks:
                yield calls.SubmitTasksRequest(request=task.request())

        stream = self._stub.SubmitTasks(requests(), metadata=self._metadata)
        try:
            async for answer in stream:
                yield from_status(answer.error) if answer.HasField("error") else answer.task
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        finally:
            stream.cancel()

    async def get(self, task: Task | str) -> Task:
        """The task as it is now, with payload and result."""
        return await self._call(self._stub.GetTask, calls.GetTaskRequest(task_id=_id(task)))

    async def cancel(self, task: Task | str, reason: str = "") -> Task:
        """Cancel a task. One that runs is told to stop: the answer has `cancel_requested`, not the end."""
        request = calls.CancelTaskRequest(task_id=_id(task), reason=reason)
        return await self._call(self._stub.CancelTask, request)

    async def retry(self, task: Task | str, reason: str = "") -> Task:
        """Put a failed or cancelled task back into its queue, with its attempts counted anew."""
        return await self._call(
            self._stub.RetryTask, calls.RetryTaskRequest(task_id=_id(task), reason=reason)
        )

    async def wait(self, task: Task | str, timeout: float | None = None) -> Task:  # noqa: ASYNC109 - ends a call of the service
        """The task once it is final. Raises TimeoutError if it is not within `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        backoff = Backoff(self._patience)
        while True:
            left = WAIT_SECONDS if end is None else min(WAIT_SECONDS, end - time.monotonic())
            try:
                answer = await self._wait_once(_id(task), max(left, 0.0))
            except ApiError as error:
                pause = backoff.pause() if may_pass(error) else None
                if pause is None:
                    raise
            else:
                if answer.status in FINAL:
                    return answer
                backoff.reset()
                pause = backoff.pause() or 0.0  # a server that stops answers at once
            if end is not None and time.monotonic() + pause >= end:
                raise TimeoutError(f"task {_id(task)} is not final after {timeout:g} s")
            await asyncio.sleep(pause)

    async def result(self, task: Task | str, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as `wait`
        """What the handler returned, once it has, with integers exact.

        Raises TaskFailed or TaskCancelled if the task ends so, and TimeoutError as `wait` does.
        """
        final = await self.wait(task, timeout)
        match final.status:
            case Task.FAILED:
                raise TaskFailed(final)
            case Task.CANCELLED:
                raise TaskCancelled(final)
        if final.HasField("result_json"):
            return json.loads(final.result_json)
        return json.loads(await self._result_text(final.id))

    def watch(
        self,
        task: Task | str,
        *,
        resume_token: str = "",
        min_progress_interval: timedelta | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Follow a task: a Snapshot, each Event of its log as it happens, and Finished.

        Resumes by itself when the connection is cut or the server restarts, with no gap and no duplicate.
        `resume_token`, from the last update of an earlier watch, goes on after that one, without a Snapshot.
        Of progress events that follow each other sooner than `min_progress_interval` some are left out.
        """
        request = calls.WatchTaskRequest(task_id=_id(task))
        if min_progress_interval is not None:
            request.min_progress_interval.FromTimedelta(min_progress_interval)

        def open_stream(token: str) -> Any:
            request.resume_token = token
            return self._stub.WatchTask(request, metadata=self._metadata)

        return follow(open_stream, resume_token, Backoff(self._patience), task_update, Finished)

    def watch_all(
        self, filter: str = "", *, kinds: Iterable[TaskEvent.Kind] = (), resume_token: str = ""
    ) -> AsyncGenerator[TenantUpdate, None]:
        """Follow all tasks that match: a Snapshot of each, SnapshotEnd, then each Event as it happens.

        It does not end, and resumes by itself, with no gap and no duplicate; cut off while the snapshots
        come, it brings them anew. `kinds`: of events; by default all. `resume_token` as for `watch`.
        """
        request = calls.WatchTasksRequest(filter=filter, kinds=kinds)

        def open_stream(token: str) -> Any:
            request.resume_token = token
            return self._stub.WatchTasks(request, metadata=self._metadata)

        return follow(open_stream, resume_token, Backoff(self._patience), tenant_update)

    async def list(
        self, filter: str = "", *, order_by: str = "", full: bool = False, page_size: int = PAGE_SIZE
    ) -> AsyncGenerator[Task, None]:
        """The tasks that match, such as `status = FAILED AND tags : "nightly"`, newest first.

        Pages are fetched as they are needed. `full`: with payload and result.
        """
        request = calls.ListTasksRequest(
            filter=filter, order_by=order_by, page_size=page_size, view=calls.FULL if full else calls.BASIC
        )
        async for page in pages(self._call, self._stub.ListTasks, request):
            for task in page.tasks:
                yield task

    async def events(self, task: Task | str) -> AsyncGenerator[TaskEvent, None]:
        """The log of a task, oldest event first."""
        request = calls.ListTaskEventsRequest(task_id=_id(task), page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListTaskEvents, request):
            for event in page.events:
                yield event

    async def attempts(self, task: Task | str) -> AsyncGenerator[TaskAttempt, None]:
        """The attempts of a task, oldest first."""
        request = calls.ListTaskAttemptsRequest(task_id=_id(task), page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListTaskAttempts, request):
            for attempt in page.attempts:
                yield attempt

    async def task_types(self) -> AsyncGenerator[TaskType, None]:
        """What can be submitted: the task types that workers have registered."""
        request = calls.ListTaskTypesRequest(page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListTaskTypes, request):
            for task_type in page.task_types:
                yield task_type

    async def _wait_once(self, task_id: str, seconds: float) -> Task:
        request = calls.WaitTaskRequest(task_id=task_id)
        request.timeout.FromTimedelta(timedelta(seconds=seconds))
        return await self._call(self._stub.WaitTask, request, seconds + self._timeout)

    async def _result_text(self, task_id: str) -> bytes:
        request = calls.GetTaskResultRequest(task_id=task_id)
        try:
            stream = self._stub.GetTaskResult(request, timeout=self._timeout, metadata=self._metadata)
            return b"".join([piece.data async for piece in stream])
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    async def _call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        seconds: float | None = None,
    ) -> Response:
        try:
            return await method(request, timeout=seconds or self._timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error


def _id(task: Task | str) -> str:
    return task if isinstance(task, str) else task.id


def _batches(requests: Iterable[calls.CreateTaskRequest]) -> Iterable[Sequence[calls.CreateTaskRequest]]:
    batch: list[calls.CreateTaskRequest] = []
    size = 0
    for request in requests:
        length = request.ByteSize()
        if batch and (len(batch) == BATCH_TASKS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += length
    if batch:
        yield batch
