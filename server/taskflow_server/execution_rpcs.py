"""The RPCs of taskflow.v1.WorkflowService that run workflows: unpack, call core, pack."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody

from taskflow_core.app import App
from taskflow_core.tasks.read import PageRequest
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.drawing import draw
from taskflow_proto.v1 import workflow_pb2, workflow_service_pb2, workflow_service_pb2_grpc
from taskflow_server import pack, sse, unpack
from taskflow_server.auth import current_principal
from taskflow_server.metadata import Context, header, idempotency_key
from taskflow_server.options import call_options

Execution = workflow_pb2.Execution

DEFAULT_WAIT = 20.0  # seconds
MAX_WAIT = 600.0  # seconds, as the contract has it


class ExecutionRpcs(workflow_service_pb2_grpc.WorkflowServiceServicer):
    """Starts, reads, steers and watches executions."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def StartExecution(
        self, request: workflow_service_pb2.StartExecutionRequest, context: Context
    ) -> workflow_pb2.Execution:
        new = unpack.new_execution(
            request, current_principal(), self._app.settings, self._app.clock.now(), idempotency_key(context)
        )
        if request.validate_only:
            return pack.execution_preview(await self._app.executions.start.preview(new))
        return pack.execution(await self._app.executions.start.start(new))

    async def GetExecution(
        self, request: workflow_service_pb2.GetExecutionRequest, context: Context
    ) -> workflow_pb2.Execution:
        tenant_id, execution_id = current_principal().tenant_id, UUID(request.execution_id)
        if request.view == Execution.BASIC:
            row = await self._app.executions.reader.get(tenant_id, execution_id)
            counts = await self._app.executions.reader.counts(execution_id)
            return pack.execution(row, full=False, counts=counts)
        return pack.whole_execution(await self._app.executions.reader.whole(tenant_id, execution_id))

    async def ListExecutions(
        self, request: workflow_service_pb2.ListExecutionsRequest, context: Context
    ) -> workflow_service_pb2.ListExecutionsResponse:
        full = request.view == Execution.FULL
        page = await self._app.executions.reader.list(
            current_principal().tenant_id,
            PageRequest(request.page_size, request.page_token),
            workflow_id=UUID(request.workflow_id) if request.workflow_id else None,
            filter=request.filter,
            order_by=request.order_by,
            full=full,
        )
        return workflow_service_pb2.ListExecutionsResponse(
            executions=[pack.execution(row, full=full) for row in page.rows],
            next_page_token=page.next_page_token,
        )

    async def ListNodeRuns(
        self, request: workflow_service_pb2.ListNodeRunsRequest, context: Context
    ) -> workflow_service_pb2.ListNodeRunsResponse:
        tenant_id, execution_id = current_principal().tenant_id, UUID(request.execution_id)
        page = await self._app.executions.reader.list_runs(
            tenant_id,
            execution_id,
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
        )
        form = (await self._app.executions.reader.get(tenant_id, execution_id))["input_form"]
        return workflow_service_pb2.ListNodeRunsResponse(
            node_runs=[pack.node_run(row, form) for row in page.rows], next_page_token=page.next_page_token
        )

    async def ListExecutionEvents(
        self, request: workflow_service_pb2.ListExecutionEventsRequest, context: Context
    ) -> workflow_service_pb2.ListExecutionEventsResponse:
        page = await self._app.executions.reader.list_events(
            current_principal().tenant_id,
            UUID(request.execution_id),
            PageRequest(request.page_size, request.page_token),
        )
        return workflow_service_pb2.ListExecutionEventsResponse(
            events=map(pack.execution_event, page.rows), next_page_token=page.next_page_token
        )

    async def CancelExecution(
        self, request: workflow_service_pb2.CancelExecutionRequest, context: Context
    ) -> workflow_pb2.Execution:
        principal = current_principal()
        row = await self._app.executions.steering.cancel(
            principal.tenant_id,
            UUID(request.execution_id),
            principal.subject,
            request.reason,
            skip_compensation=request.skip_compensation,
        )
        return await self._whole(row)

    async def RetryExecution(
        self, request: workflow_service_pb2.RetryExecutionRequest, context: Context
    ) -> workflow_pb2.Execution:
        principal = current_principal()
        row = await self._app.executions.steering.retry(
            principal.tenant_id, UUID(request.execution_id), principal.subject, request.reason
        )
        return await self._whole(row)

    async def RerunExecution(
        self, request: workflow_service_pb2.RerunExecutionRequest, context: Context
    ) -> workflow_pb2.Execution:
        principal = current_principal()
        order = unpack.rerun_order(request, self._app.settings, idempotency_key(context))
        row = await self._app.executions.rerun.rerun(
            principal.tenant_id, UUID(request.execution_id), principal.subject, order
        )
        return await self._whole(row)

    async def SignalExecution(
        self, request: workflow_service_pb2.SignalExecutionRequest, context: Context
    ) -> workflow_pb2.Execution:
        principal = current_principal()
        signal = unpack.new_signal(request, self._app.settings, idempotency_key(context))
        row = await self._app.executions.steering.signal(
            principal.tenant_id, UUID(request.execution_id), principal.subject, signal
        )
        return await self._whole(row)

    @call_options(timeout=MAX_WAIT + 5)
    async def WaitExecution(
        self, request: workflow_service_pb2.WaitExecutionRequest, context: Context
    ) -> workflow_pb2.Execution:
        seconds = unpack.seconds(request.timeout) if request.HasField("timeout") else DEFAULT_WAIT
        row = await self._app.executions.watch.wait(
            current_principal().tenant_id, UUID(request.execution_id), seconds
        )
        return await self._whole(row)

    async def RenderExecution(
        self, request: workflow_service_pb2.RenderExecutionRequest, context: Context
    ) -> HttpBody:
        executions = self._app.executions
        row = await executions.reader.get(current_principal().tenant_id, UUID(request.execution_id))
        graph = await executions.reader.graph(row)
        statuses = await executions.reader.statuses(row["id"])
        return pack.drawing(draw(graph, row["name"], unpack.drawing_format(request.format), statuses))

    # Watches yield bytes: an event that goes to many is serialised once.
    async def WatchExecution(  # type: ignore[override]
        self, request: workflow_service_pb2.WatchExecutionRequest, context: Context
    ) -> AsyncIterator[bytes]:
        messages = self._app.executions.watch.watch(
            current_principal().tenant_id,
            UUID(request.execution_id),
            request.resume_token,
            unpack.seconds(request.min_progress_interval),
        )
        async with aclosing(messages):
            async for message in messages:
                yield pack.execution_watch_bytes(message)

    async def StreamExecutionEvents(  # type: ignore[override]
        self, request: workflow_service_pb2.StreamExecutionEventsRequest, context: Context
    ) -> AsyncIterator[bytes]:
        token = header(context, "last-event-id") or request.resume_token
        messages = self._app.executions.watch.watch(
            current_principal().tenant_id, UUID(request.execution_id), token
        )
        async with aclosing(sse.frames(messages, sse.execution_bytes)) as frames:
            async for frame in frames:
                yield frame

    async def _whole(self, row: Row) -> workflow_pb2.Execution:
        """An execution that was just steered, with its node runs."""
        return pack.whole_execution(await self._app.executions.reader.whole(row["tenant_id"], row["id"]))
