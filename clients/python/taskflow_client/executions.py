"""Executions of workflows: started, steered and watched from Python."""

import json
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import grpc

from taskflow_client.backoff import Backoff
from taskflow_client.calling import PAGE_SIZE, Call, pages
from taskflow_client.errors import NotFound
from taskflow_client.watching import follow
from taskflow_proto.v1 import workflow_service_pb2 as calls
from taskflow_proto.v1.task_service_pb2 import StreamClosing
from taskflow_proto.v1.workflow_pb2 import Execution, ExecutionEvent, NodeRun
from taskflow_proto.v1.workflow_service_pb2_grpc import WorkflowServiceStub

# One question to WaitExecution; what is on the way may cut longer ones.
WAIT_SECONDS = 25.0
FINAL = frozenset({Execution.SUCCEEDED, Execution.FAILED, Execution.CANCELLED})


@dataclass(frozen=True)
class ExecutionSnapshot:
    """The execution as it is when the watch starts. `reset`: events before it were lost to a long interruption."""

    execution: Execution
    reset: bool
    resume_token: str


@dataclass(frozen=True)
class ExecutionHappened:
    """The next line of the execution's log."""

    event: ExecutionEvent
    resume_token: str


@dataclass(frozen=True)
class ExecutionFinished:
    """The execution at its end. Nothing comes after it."""

    execution: Execution
    resume_token: str


ExecutionUpdate: TypeAlias = ExecutionSnapshot | ExecutionHappened | ExecutionFinished


class Executions:
    """The executions of a tenant: `taskflow.executions`. Every method raises ApiError, or the class of it that fits.

    Where an execution is asked for, its id will do.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        call: Call,
        metadata: Sequence[tuple[str, str]] = (),
        patience: float = 60.0,
    ) -> None:
        self._stub = WorkflowServiceStub(channel)
        self._call = call
        self._metadata = tuple(metadata)
        self._patience = patience

    async def start(
        self,
        workflow_id: str,
        input: dict[str, Any] | None = None,
        *,
        name: str = "",
        version: int = 0,
        tags: Sequence[str] = (),
        request_id: str | None = None,
    ) -> Execution:
        """Start an execution of a workflow. Calling it again with the same `request_id` answers with the same one."""
        request = calls.StartExecutionRequest(
            workflow_id=workflow_id,
            execution=Execution(
                name=name, workflow_version=version, tags=tags, input_json=json.dumps(input or {})
            ),
            request_id=uuid.uuid4().hex if request_id is None else request_id,
        )
        return await self._one(self._stub.StartExecution, request)

    async def get(self, execution: Execution | str) -> Execution:
        """The execution as it is now, with its first 1,000 node runs."""
        return await self._one(
            self._stub.GetExecution, calls.GetExecutionRequest(execution_id=_id(execution))
        )

    async def list(self, filter: str = "", *, workflow_id: str = "") -> AsyncGenerator[Execution, None]:
        """The executions that match, such as `status = FAILED`, newest first."""
        request = calls.ListExecutionsRequest(filter=filter, workflow_id=workflow_id, page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListExecutions, request):
            for execution in page.executions:
                yield execution

    async def node_runs(self, execution: Execution | str, filter: str = "") -> AsyncGenerator[NodeRun, None]:
        """The node runs of an execution, in the order in which they were reached."""
        request = calls.ListNodeRunsRequest(execution_id=_id(execution), filter=filter, page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListNodeRuns, request):
            for run in page.node_runs:
                yield run

    async def events(self, execution: Execution | str) -> AsyncGenerator[ExecutionEvent, None]:
        """The log of an execution, oldest event first."""
        request = calls.ListExecutionEventsRequest(execution_id=_id(execution), page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListExecutionEvents, request):
            for event in page.events:
                yield event

    async def wait(self, execution: Execution | str, timeout: float | None = None) -> Execution:  # noqa: ASYNC109 - ends a call of the service
        """The execution once it is final. Raises TimeoutError if it is not within `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = WAIT_SECONDS if end is None else min(WAIT_SECONDS, end - time.monotonic())
            request = calls.WaitExecutionRequest(execution_id=_id(execution))
            request.timeout.FromTimedelta(timedelta(seconds=max(left, 0.0)))
            answer = await self._one(self._stub.WaitExecution, request)
            if answer.status in FINAL:
                return answer
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"execution {_id(execution)} is not final after {timeout:g} s")

    async def cancel(
        self, execution: Execution | str, reason: str = "", *, skip_compensation: bool = False
    ) -> Execution:
        """Cancel an execution, its tasks and its children, then undo what was done."""
        request = calls.CancelExecutionRequest(
            execution_id=_id(execution), reason=reason, skip_compensation=skip_compensation
        )
        return await self._one(self._stub.CancelExecution, request)

    async def retry(self, execution: Execution | str, reason: str = "") -> Execution:
        """Run a failed or cancelled execution on, with the results that it has."""
        request = calls.RetryExecutionRequest(execution_id=_id(execution), reason=reason)
        return await self._one(self._stub.RetryExecution, request)

    async def rerun(
        self,
        execution: Execution | str,
        node_id: str = "",
        input: dict[str, Any] | None = None,
        *,
        reason: str = "",
        request_id: str | None = None,
    ) -> Execution:
        """Start a new execution from a node of a final one, with other input if you like."""
        request = calls.RerunExecutionRequest(
            execution_id=_id(execution),
            node_id=node_id,
            reason=reason,
            request_id=uuid.uuid4().hex if request_id is None else request_id,
        )
        if input is not None:
            request.input_json = json.dumps(input)
        return await self._one(self._stub.RerunExecution, request)

    async def signal(
        self,
        execution: Execution | str,
        signal: str,
        payload: dict[str, Any] | None = None,
        *,
        node_run_id: str = "",
        request_id: str | None = None,
    ) -> Execution:
        """Send a signal: what a WAIT node waits for, or will wait for."""
        request = calls.SignalExecutionRequest(
            execution_id=_id(execution),
            signal=signal,
            payload_json=json.dumps(payload or {}),
            node_run_id=node_run_id,
            request_id=uuid.uuid4().hex if request_id is None else request_id,
        )
        return await self._one(self._stub.SignalExecution, request)

    def watch(
        self,
        execution: Execution | str,
        *,
        resume_token: str = "",
        min_progress_interval: timedelta | None = None,
    ) -> AsyncGenerator[ExecutionUpdate, None]:
        """Follow an execution: a snapshot, each event as it happens, and its end.

        Resumes by itself when the connection is cut or the server restarts, with no gap and no duplicate.
        Of progress events of a node run that follow each other sooner than `min_progress_interval` some are
        left out.
        """
        request = calls.WatchExecutionRequest(execution_id=_id(execution))
        if min_progress_interval is not None:
            request.min_progress_interval.FromTimedelta(min_progress_interval)

        def open_stream(token: str) -> Any:
            request.resume_token = token
            return self._stub.WatchExecution(request, metadata=self._metadata)

        return follow(open_stream, resume_token, Backoff(self._patience), _update, ExecutionFinished)

    async def _one(self, method: Any, request: Any) -> Execution:
        execution: Execution = await self._call(method, request)
        return execution


def _id(execution: Execution | str) -> str:
    return execution if isinstance(execution, str) else execution.id


def _update(message: calls.WatchExecutionResponse) -> ExecutionUpdate | None:
    """What a message says to the watcher; None if it is about the connection only. Raises NotFound."""
    token = message.resume_token
    match message.WhichOneof("message"):
        case "snapshot":
            return ExecutionSnapshot(message.snapshot.execution, message.snapshot.reset, token)
        case "event":
            return ExecutionHappened(message.event, token)
        case "closing" if message.closing.reason == StreamClosing.FINISHED:
            return ExecutionFinished(message.execution, token)
        case "closing" if message.closing.reason == StreamClosing.DELETED:
            raise NotFound(grpc.StatusCode.NOT_FOUND, "the execution was deleted", reason="NOT_FOUND")
    return None
