"""The RPCs of taskflow.v1.WorkflowService that define workflows: unpack, call core, pack."""

import asyncio
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from taskflow_core.app import App
from taskflow_core.tasks.read import PageRequest
from taskflow_core.workflows.checks import drawable
from taskflow_core.workflows.drawing import draw
from taskflow_core.workflows.parse import parse
from taskflow_core.workflows.problems import in_order
from taskflow_proto.v1 import workflow_pb2, workflow_service_pb2, workflow_service_pb2_grpc
from taskflow_server import pack, unpack
from taskflow_server.auth import current_principal
from taskflow_server.metadata import Context, idempotency_key

Workflow = workflow_pb2.Workflow


class DefinitionRpcs(workflow_service_pb2_grpc.WorkflowServiceServicer):
    """Saves, reads, checks and draws definitions."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def CreateWorkflow(
        self, request: workflow_service_pb2.CreateWorkflowRequest, context: Context
    ) -> workflow_pb2.Workflow:
        new = unpack.new_workflow(request, current_principal(), idempotency_key(context))
        return pack.workflow(await self._app.workflows.create(new, validate_only=request.validate_only))

    async def GetWorkflow(
        self, request: workflow_service_pb2.GetWorkflowRequest, context: Context
    ) -> workflow_pb2.Workflow:
        row = await self._app.workflows.get(
            current_principal().tenant_id, UUID(request.workflow_id), request.version
        )
        return pack.workflow(row, full=request.view != Workflow.BASIC)

    async def ListWorkflows(
        self, request: workflow_service_pb2.ListWorkflowsRequest, context: Context
    ) -> workflow_service_pb2.ListWorkflowsResponse:
        full = request.view == Workflow.FULL
        page = await self._app.workflows.list(
            current_principal().tenant_id,
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
            order_by=request.order_by,
            full=full,
        )
        return workflow_service_pb2.ListWorkflowsResponse(
            workflows=[pack.workflow(row, full=full) for row in page.rows],
            next_page_token=page.next_page_token,
        )

    async def UpdateWorkflow(
        self, request: workflow_service_pb2.UpdateWorkflowRequest, context: Context
    ) -> workflow_pb2.Workflow:
        row = await self._app.workflows.update(
            current_principal().tenant_id,
            UUID(request.workflow_id),
            unpack.workflow_changes(request),
            request.workflow.etag,
            validate_only=request.validate_only,
        )
        return pack.workflow(row)

    async def DeleteWorkflow(
        self, request: workflow_service_pb2.DeleteWorkflowRequest, context: Context
    ) -> Empty:
        await self._app.workflows.delete(
            current_principal().tenant_id,
            UUID(request.workflow_id),
            request.etag,
            allow_missing=request.allow_missing,
        )
        return Empty()

    async def ListWorkflowVersions(
        self, request: workflow_service_pb2.ListWorkflowVersionsRequest, context: Context
    ) -> workflow_service_pb2.ListWorkflowVersionsResponse:
        full = request.view == Workflow.FULL
        page = await self._app.workflows.list_versions(
            current_principal().tenant_id,
            UUID(request.workflow_id),
            PageRequest(request.page_size, request.page_token),
            full=full,
        )
        return workflow_service_pb2.ListWorkflowVersionsResponse(
            workflows=[pack.workflow(row, full=full) for row in page.rows],
            next_page_token=page.next_page_token,
        )

    async def ValidateWorkflow(
        self, request: workflow_service_pb2.ValidateWorkflowRequest, context: Context
    ) -> workflow_service_pb2.ValidateWorkflowResponse:
        definition, broken = unpack.workflow_problems(request.workflow)
        found = await self._app.workflows.problems(current_principal().tenant_id, definition)
        return workflow_service_pb2.ValidateWorkflowResponse(
            problems=map(pack.workflow_problem, in_order([*broken, *found]))
        )

    async def RenderWorkflow(
        self, request: workflow_service_pb2.RenderWorkflowRequest, context: Context
    ) -> HttpBody:
        if request.WhichOneof("target") == "workflow":
            name, graph = request.workflow.name, drawable(unpack.workflow_to_draw(request.workflow))
        else:
            row = await self._app.workflows.get(
                current_principal().tenant_id, UUID(request.workflow_id), request.version
            )
            name, graph = row["name"], parse(row["graph"])
        # In a thread, as large ones take a second.
        return pack.drawing(await asyncio.to_thread(draw, graph, name, unpack.drawing_format(request.format)))
