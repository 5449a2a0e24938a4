"""Workflows: defined, checked, drawn and changed from Python."""

import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import grpc
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask

from taskflow_client.calling import PAGE_SIZE, Call, pages
from taskflow_client.errors import AlreadyExists
from taskflow_client.flow import Flow
from taskflow_proto.v1 import workflow_service_pb2 as calls
from taskflow_proto.v1.workflow_pb2 import Workflow, WorkflowProblem
from taskflow_proto.v1.workflow_service_pb2_grpc import WorkflowServiceStub

# Each graph within a graph is four levels of messages, and payloads are deep themselves.
MAX_LEVELS = 400

Definition: TypeAlias = Workflow | Flow | Mapping[str, Any]
RenderFormat = Literal["MERMAID", "DOT", "SVG"]


class Workflows:
    """The workflows of a tenant: `taskflow.workflows`. Every method raises ApiError, or the class of it that fits.

    A definition is a Flow, a message, or JSON as over REST, such as a YAML file holds. Where a workflow is asked for,
    its id will do.
    """

    def __init__(self, channel: grpc.aio.Channel, call: Call) -> None:
        self._stub = WorkflowServiceStub(channel)
        self._call = call

    async def create(self, definition: Definition, *, request_id: str = "") -> Workflow:
        """Create a workflow, as version 1. Raises InvalidArgument with all that is wrong, AlreadyExists."""
        request = calls.CreateWorkflowRequest(
            workflow=message_of(definition), request_id=request_id or str(uuid.uuid4())
        )
        workflow: Workflow = await self._call(self._stub.CreateWorkflow, request)
        return workflow

    async def apply(self, definition: Definition) -> Workflow:
        """Make the workflow of this name as defined here: create it, or make a version if anything has changed."""
        message = message_of(definition)
        found = await self.find(message.name)
        if found is None:
            try:
                return await self.create(message)
            except AlreadyExists:
                # Somebody else was faster.
                found = await self.find(message.name)
                if found is None:
                    raise
        return await self.update(found, message, ["*"])

    async def update(
        self, workflow: Workflow | str, definition: Definition, fields: Iterable[str] = ()
    ) -> Workflow:
        """Make a version in which these fields are as defined here; by default those that are set.

        Raises InvalidArgument with all that is wrong, and Aborted if the workflow has changed since it was read.
        """
        changed = Workflow()
        changed.CopyFrom(message_of(definition))
        changed.etag = "" if isinstance(workflow, str) else workflow.etag
        request = calls.UpdateWorkflowRequest(
            workflow_id=_id(workflow), workflow=changed, update_mask=FieldMask(paths=list(fields))
        )
        updated: Workflow = await self._call(self._stub.UpdateWorkflow, request)
        return updated

    async def get(self, workflow: Workflow | str, version: int = 0) -> Workflow:
        """One version, by default the latest."""
        request = calls.GetWorkflowRequest(workflow_id=_id(workflow), version=version)
        found: Workflow = await self._call(self._stub.GetWorkflow, request)
        return found

    async def find(self, name: str) -> Workflow | None:
        """The workflow of this name, without its graph; None if there is none."""
        text = name.replace("\\", "\\\\").replace('"', '\\"').replace("*", "\\*")
        async for workflow in self.list(f'name = "{text}"'):
            return workflow
        return None

    async def list(self, filter: str = "", *, order_by: str = "") -> AsyncGenerator[Workflow, None]:
        """The workflows in their latest versions, without graphs, newest first. `filter`: such as `tags : etl`."""
        request = calls.ListWorkflowsRequest(filter=filter, order_by=order_by, page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListWorkflows, request):
            for workflow in page.workflows:
                yield workflow

    async def versions(self, workflow: Workflow | str) -> AsyncGenerator[Workflow, None]:
        """The versions of a workflow, without graphs, newest first."""
        request = calls.ListWorkflowVersionsRequest(workflow_id=_id(workflow), page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListWorkflowVersions, request):
            for version in page.workflows:
                yield version

    async def delete(self, workflow: Workflow | str) -> None:
        """Delete a workflow; what runs goes on. With a workflow that was read: only if it is still like that."""
        etag = "" if isinstance(workflow, str) else workflow.etag
        await self._call(
            self._stub.DeleteWorkflow, calls.DeleteWorkflowRequest(workflow_id=_id(workflow), etag=etag)
        )

    async def validate(self, definition: Definition) -> Sequence[WorkflowProblem]:
        """All that is wrong with a definition. Stores nothing."""
        request = calls.ValidateWorkflowRequest(workflow=message_of(definition))
        answer: calls.ValidateWorkflowResponse = await self._call(self._stub.ValidateWorkflow, request)
        return answer.problems

    async def render(
        self, target: Definition | str, drawing: RenderFormat = "MERMAID", *, version: int = 0
    ) -> str:
        """Draw a workflow by its id, or a definition that does not exist yet."""
        request = calls.RenderWorkflowRequest(format=drawing)
        if isinstance(target, str):
            request.workflow_id = target
            request.version = version
        else:
            request.workflow.CopyFrom(message_of(target))
        answer = await self._call(self._stub.RenderWorkflow, request)
        text: str = answer.data.decode()
        return text


def message_of(definition: Definition) -> Workflow:
    """A definition on the wire. Raises ValueError for a field that there is not, or a value that does not fit."""
    if isinstance(definition, Workflow):
        return definition
    fields = definition.definition() if isinstance(definition, Flow) else dict(definition)
    try:
        return json_format.ParseDict(fields, Workflow(), max_recursion_depth=MAX_LEVELS)
    except json_format.ParseError as error:
        raise ValueError(f"not a workflow: {error}") from error


def _id(workflow: Workflow | str) -> str:
    return workflow if isinstance(workflow, str) else workflow.id
