"""taskflow.v1.TaskService: unpack, call core, pack."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody

from taskflow_core.app import App
from taskflow_core.states import TASK_FINAL, TaskStatus
from taskflow_core.tasks.read import PageRequest, get_task
from taskflow_proto.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc
from taskflow_server import pack, sse, unpack
from taskflow_server.auth import current_principal
from taskflow_server.metadata import Context, header, idempotency_key
from taskflow_server.options import call_options
from taskflow_server.submit import submit_each

# What one batch call moves at most; its answer says if there is more.
BATCH_LIMIT = 10_000
DEFAULT_WAIT = 20.0  # seconds
MAX_WAIT = 600.0  # seconds, as the contract has it


class TaskService(task_service_pb2_grpc.TaskServiceServicer):
    """Submits, reads, steers and watches tasks. Calls that are not here are not built yet."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def CreateTask(
        self, request: task_service_pb2.CreateTaskRequest, context: Context
    ) -> task_pb2.Task:
        new = unpack.new_task(
            request,
            current_principal(),
            self._app.settings,
            self._app.clock.now(),
            idempotency_key(context),
        )
        if request.validate_only:
            return pack.preview(new)
        return pack.task(await self._app.creation.create(new))

    async def BatchCreateTasks(
        self, request: task_service_pb2.BatchCreateTasksRequest, context: Context
    ) -> task_service_pb2.BatchCreateTasksResponse:
        tasks = unpack.new_tasks(request, current_principal(), self._app.settings, self._app.clock.now())
        rows = await self._app.creation.create_all(tasks)
        return task_service_pb2.BatchCreateTasksResponse(tasks=map(pack.task, rows))

    # Each item is checked on its own, so that a wrong one leaves the others alone.
    @call_options(checked=False)
    async def SubmitTasks(
        self, request_iterator: AsyncIterator[task_service_pb2.SubmitTasksRequest], context: Context
    ) -> AsyncIterator[task_service_pb2.SubmitTasksResponse]:
        async with aclosing(submit_each(self._app, current_principal(), request_iterator)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def GetTask(self, request: task_service_pb2.GetTaskRequest, context: Context) -> task_pb2.Task:
        row = await get_task(self._app.database, current_principal().tenant_id, UUID(request.task_id))
        if request.view == task_service_pb2.BASIC:
            return pack.task(row, full=False)
        return pack.with_result(row)

    async def ListTasks(
        self, request: task_service_pb2.ListTasksRequest, context: Context
    ) -> task_service_pb2.ListTasksResponse:
        full = request.view == task_service_pb2.FULL
        page = await self._app.reader.list_tasks(
            current_principal().tenant_id,
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
            order_by=request.order_by,
            full=full,
        )
        tasks = [pack.with_result(row) if full else pack.task(row, full=False) for row in page.rows]
        return task_service_pb2.ListTasksResponse(tasks=tasks, next_page_token=page.next_page_token)

    async def CancelTask(
        self, request: task_service_pb2.CancelTaskRequest, context: Context
    ) -> task_pb2.Task:
        principal = current_principal()
        row = await self._app.cancellation.cancel(
            principal.tenant_id, UUID(request.task_id), principal.subject, request.reason
        )
        return pack.with_result(row)

    async def RetryTask(self, request: task_service_pb2.RetryTaskRequest, context: Context) -> task_pb2.Task:
        principal = current_principal()
        row = await self._app.retry.retry(
            principal.tenant_id, UUID(request.task_id), principal.subject, request.reason
        )
        return pack.task(row)

    async def BatchCancelTasks(
        self, request: task_service_pb2.BatchCancelTasksRequest, context: Context
    ) -> task_service_pb2.BatchCancelTasksResponse:
        principal = current_principal()
        unfinished = [status for status in TaskStatus if status not in TASK_FINAL]
        task_ids, more = await self._select(request, unfinished)
        done = await self._app.cancellation.cancel_all(
            principal.tenant_id, task_ids, principal.subject, request.reason
        )
        return task_service_pb2.BatchCancelTasksResponse(
            cancelled_count=done.cancelled, requested_count=done.requested, more=more
        )

    async def BatchRetryTasks(
        self, request: task_service_pb2.BatchRetryTasksRequest, context: Context
    ) -> task_service_pb2.BatchRetryTasksResponse:
        principal = current_principal()
        task_ids, more = await self._select(request, [TaskStatus.FAILED, TaskStatus.CANCELLED])
        retried = await self._app.retry.retry_all(
            principal.tenant_id, task_ids, principal.subject, request.reason
        )
        return task_service_pb2.BatchRetryTasksResponse(retried_count=retried, more=more)

    @call_options(timeout=MAX_WAIT + 5)
    async def WaitTask(self, request: task_service_pb2.WaitTaskRequest, context: Context) -> task_pb2.Task:
        timeout = unpack.seconds(request.timeout) if request.HasField("timeout") else DEFAULT_WAIT
        row = await self._app.watch.wait(current_principal().tenant_id, UUID(request.task_id), timeout)
        return pack.with_result(row)

    # Watches yield bytes: an event that goes to many is serialised once.
    async def WatchTask(  # type: ignore[override]
        self, request: task_service_pb2.WatchTaskRequest, context: Context
    ) -> AsyncIterator[bytes]:
        messages = self._app.watch.watch(
            current_principal().tenant_id,
            UUID(request.task_id),
            request.resume_token,
            unpack.seconds(request.min_progress_interval),
        )
        async with aclosing(messages):
            async for message in messages:
                yield pack.watch_bytes(message)

    async def WatchTasks(  # type: ignore[override]
        self, request: task_service_pb2.WatchTasksRequest, context: Context
    ) -> AsyncIterator[bytes]:
        messages = self._app.watch_all.watch(
            current_principal().tenant_id,
            filter=request.filter,
            kinds=unpack.event_kinds(request.kinds),
            resume_token=request.resume_token,
        )
        async with aclosing(messages):
            async for message in messages:
                yield pack.watch_all_bytes(message)

    async def StreamTaskEvents(  # type: ignore[override]
        self, request: task_service_pb2.StreamTaskEventsRequest, context: Context
    ) -> AsyncIterator[bytes]:
        token = header(context, "last-event-id") or request.resume_token
        messages = self._app.watch.watch(current_principal().tenant_id, UUID(request.task_id), token)
        async with aclosing(sse.frames(messages, sse.task_bytes)) as frames:
            async for frame in frames:
                yield frame

    async def GetTaskResult(
        self, request: task_service_pb2.GetTaskResultRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        chunks = self._app.results.read(current_principal().tenant_id, UUID(request.task_id))
        async with aclosing(chunks):
            async for chunk in chunks:
                yield HttpBody(content_type="application/json", data=chunk)

    async def ListTaskEvents(
        self, request: task_service_pb2.ListTaskEventsRequest, context: Context
    ) -> task_service_pb2.ListTaskEventsResponse:
        page = await self._app.reader.list_events(
            current_principal().tenant_id,
            UUID(request.task_id),
            PageRequest(request.page_size, request.page_token),
        )
        return task_service_pb2.ListTaskEventsResponse(
            events=map(pack.event, page.rows), next_page_token=page.next_page_token
        )

    async def ListTaskAttempts(
        self, request: task_service_pb2.ListTaskAttemptsRequest, context: Context
    ) -> task_service_pb2.ListTaskAttemptsResponse:
        page = await self._app.reader.list_attempts(
            current_principal().tenant_id,
            UUID(request.task_id),
            PageRequest(request.page_size, request.page_token),
        )
        return task_service_pb2.ListTaskAttemptsResponse(
            attempts=map(pack.attempt, page.rows), next_page_token=page.next_page_token
        )

    async def ListTaskTypes(
        self, request: task_service_pb2.ListTaskTypesRequest, context: Context
    ) -> task_service_pb2.ListTaskTypesResponse:
        page = await self._app.reader.list_types(PageRequest(request.page_size, request.page_token))
        return task_service_pb2.ListTaskTypesResponse(
            task_types=map(pack.task_type, page.rows), next_page_token=page.next_page_token
        )

    async def _select(
        self,
        request: task_service_pb2.BatchCancelTasksRequest | task_service_pb2.BatchRetryTasksRequest,
        statuses: list[TaskStatus],
    ) -> tuple[list[UUID], bool]:
        """The tasks that a batch call is about, and whether more of them match than one call moves."""
        if request.WhichOneof("selection") == "ids":
            return unpack.task_ids(request.ids), False
        found = await self._app.reader.find_ids(
            current_principal().tenant_id, request.filter, statuses, BATCH_LIMIT + 1
        )
        return found[:BATCH_LIMIT], len(found) > BATCH_LIMIT
