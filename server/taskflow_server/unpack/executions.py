"""Executions to start, to steer and to rerun."""

from datetime import datetime
from typing import Any
from uuid import UUID

from taskflow_core.errors import InvalidArgument
from taskflow_core.executions.rerun import RerunOrder
from taskflow_core.executions.start import NewExecution
from taskflow_core.executions.steer import NewSignal
from taskflow_core.payloads import check_payload, payload_text
from taskflow_core.settings import Settings
from taskflow_core.tasks.retry import NewPayload
from taskflow_proto.v1 import task_pb2, workflow_service_pb2
from taskflow_server.auth import Principal
from taskflow_server.structs import fields_of
from taskflow_server.unpack.values import time


def new_execution(
    request: workflow_service_pb2.StartExecutionRequest,
    principal: Principal,
    settings: Settings,
    now: datetime,
    request_id: str = "",
) -> NewExecution:
    """The execution that a request of this moment asks for; `request_id` is that of the call's headers, if any.

    Raises InvalidArgument (INVALID_FIELDS, NUMBER_NOT_EXACT, LIMIT_EXCEEDED) with paths in the request.
    """
    execution = request.execution
    expire_time = (
        time(execution.expire_time, "execution.expire_time") if execution.HasField("expire_time") else None
    )
    if expire_time is not None and expire_time <= now:
        raise InvalidArgument.at(
            "execution.expire_time", f"{expire_time.isoformat()} has passed; it must lie ahead"
        )
    content = json_content(execution, "input", settings.max_payload_bytes, within="execution.")
    return NewExecution(
        tenant_id=principal.tenant_id,
        actor=principal.subject,
        workflow_id=UUID(request.workflow_id),
        version=execution.workflow_version or None,
        name=execution.name,
        input=content.text,
        input_form=content.form,
        priority=task_pb2.Task.Priority.Name(execution.priority) if execution.priority else None,
        tags=tuple(execution.tags),
        expire_time=expire_time,
        request_id=request.request_id or request_id or None,
    )


def new_signal(
    request: workflow_service_pb2.SignalExecutionRequest, settings: Settings, request_id: str = ""
) -> NewSignal:
    """The signal that a request sends. Raises InvalidArgument as `new_execution`."""
    return NewSignal(
        name=request.signal,
        payload=json_content(request, "payload", settings.max_payload_bytes).text,
        node_run_id=UUID(request.node_run_id) if request.node_run_id else None,
        request_id=request.request_id or request_id or None,
    )


def rerun_order(
    request: workflow_service_pb2.RerunExecutionRequest, settings: Settings, request_id: str = ""
) -> RerunOrder:
    """Where a rerun starts, and with what. Raises InvalidArgument as `new_execution`."""
    content = None
    if request.WhichOneof("input_kind") is not None:
        content = json_content(request, "input", settings.max_payload_bytes)
    return RerunOrder(
        node_id=request.node_id or None,
        input=content,
        reason=request.reason,
        request_id=request.request_id or request_id or None,
    )


def json_content(message: Any, name: str, limit: int, *, within: str = "") -> NewPayload:
    """The JSON object of a message that has it as `name` or as `name_json`, in the form in which it came."""
    as_text = f"{name}_json"
    if message.HasField(as_text):
        text: str = getattr(message, as_text)
        check_payload(text, f"{within}{as_text}", limit)
        return NewPayload(text, "JSON")
    field = f"{within}{name}"
    return NewPayload(payload_text(fields_of(getattr(message, name), field), field, limit), "STRUCT")
