"""A client of executions that asks as a careful one does: again and again, with one request id, until it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import json_format

from support.faults.load import AGAIN
from taskflow_proto.v1 import workflow_pb2, workflow_service_pb2
from taskflow_proto.v1.workflow_service_pb2_grpc import WorkflowServiceStub

PATIENCE = 30.0


class WorkflowClient:
    """Makes workflows and starts executions of one tenant."""

    def __init__(self, channel: grpc.aio.Channel, tenant: str) -> None:
        self._stub = WorkflowServiceStub(channel)
        self._metadata = (("x-tenant-id", tenant),)

    async def create(self, content: dict[str, Any]) -> str:
        """Create a workflow and return its id."""
        workflow = json_format.ParseDict(content, workflow_pb2.Workflow())
        request = workflow_service_pb2.CreateWorkflowRequest(workflow=workflow)
        answer = await self._stub.CreateWorkflow(request, metadata=self._metadata, timeout=20)
        return str(answer.id)

    async def start(self, workflow_id: str, request_id: str) -> str:
        """Start an execution and return its id."""
        request = workflow_service_pb2.StartExecutionRequest(workflow_id=workflow_id, request_id=request_id)
        return str((await self._until_told(self._stub.StartExecution, request)).id)

    async def signal(self, execution_id: str, name: str) -> None:
        """Send a signal to an execution; one that has ended needs none."""
        request = workflow_service_pb2.SignalExecutionRequest(
            execution_id=execution_id, signal=name, request_id=f"{execution_id}-{name}"
        )
        try:
            await self._until_told(self._stub.SignalExecution, request)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                raise

    async def _until_told(self, method: Callable[..., Awaitable[Any]], request: Any) -> Any:
        clock = asyncio.get_running_loop().time
        end = clock() + PATIENCE
        while True:
            try:
                return await method(request, metadata=self._metadata, timeout=10)
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN or clock() > end:
                    raise
                await asyncio.sleep(0.05)
