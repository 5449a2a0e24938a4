"""Definitions of workflows: their messages as the JSON that core checks and stores."""

from collections.abc import Mapping
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from taskflow_core.errors import InvalidArgument
from taskflow_core.payloads import exact_numbers
from taskflow_core.workflows.definitions import NewWorkflow
from taskflow_core.workflows.drawing import DrawingFormat
from taskflow_core.workflows.problems import Problem, in_order, refusal
from taskflow_core.workflows.stored import FIELDS
from taskflow_proto.v1 import workflow_pb2, workflow_service_pb2
from taskflow_server.auth import Principal
from taskflow_server.masks import fields_to_change
from taskflow_server.structs import fields_of
from taskflow_server.validation import violations


def new_workflow(
    request: workflow_service_pb2.CreateWorkflowRequest, principal: Principal, request_id: str = ""
) -> NewWorkflow:
    """The workflow that a request asks for; `request_id` is that of the call's headers, if any.

    Raises InvalidArgument (INVALID_FIELDS, NUMBER_NOT_EXACT) with paths in the request.
    """
    definition, problems = workflow_definition(request.workflow)
    if problems:
        raise _refusal(problems)
    return NewWorkflow(principal.tenant_id, definition, request.request_id or request_id or None)


def workflow_changes(request: workflow_service_pb2.UpdateWorkflowRequest) -> dict[str, Any]:
    """The fields to change, with their new values; None goes back to the default.

    Raises InvalidArgument (INVALID_FIELDS, NUMBER_NOT_EXACT) with paths in the request.
    """
    definition, problems = workflow_definition(request.workflow)
    if problems:
        raise _refusal(problems)
    wanted = fields_to_change(request.update_mask, request.workflow, FIELDS)
    return {name: definition.get(name) for name in FIELDS if name in wanted}


def workflow_to_draw(workflow: workflow_pb2.Workflow) -> dict[str, Any]:
    """The definition of a workflow that is drawn as it comes. Raises InvalidArgument (INVALID_FIELDS)."""
    definition, problems = workflow_definition(workflow)
    if problems:
        raise _refusal(problems)
    return definition


def drawing_format(value: int) -> DrawingFormat:
    """The language of a drawing; Mermaid unless another is asked for."""
    return DrawingFormat(workflow_service_pb2.RenderFormat.Name(value or workflow_service_pb2.MERMAID))


def workflow_problems(workflow: workflow_pb2.Workflow) -> tuple[dict[str, Any], list[Problem]]:
    """A definition that has yet to be checked, and what breaks the contract in it."""
    broken = [Problem(error.field, error.rule, error.description) for error in violations(workflow)]
    definition, problems = workflow_definition(workflow)
    return definition, [*broken, *problems]


def workflow_definition(workflow: workflow_pb2.Workflow) -> tuple[dict[str, Any], list[Problem]]:
    """A definition as JSON, named and written as over REST, without what only answers hold.

    Whole numbers of payloads and schemas are integers again; those that may have been rounded are problems.
    """
    problems: list[Problem] = []
    return _members(workflow, "", problems), problems


def _refusal(problems: list[Problem]) -> InvalidArgument:
    ordered = in_order(problems)
    error = refusal(ordered, "workflow")
    error.reason = ordered[0].rule if ordered[0].rule == "NUMBER_NOT_EXACT" else error.reason
    return error


def _is_not_defined_by_callers(field: FieldDescriptor) -> bool:
    behaviours: Any = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]  # type: ignore[index]
    return field_behavior_pb2.OUTPUT_ONLY in behaviours or field.full_name == "taskflow.v1.Workflow.etag"


def _members(message: Message, path: str, problems: list[Problem]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for field, value in message.ListFields():
        if _is_not_defined_by_callers(field):
            continue
        place = f"{path}.{field.name}" if path else field.name
        # A Struct is a Mapping, too.
        if field.is_repeated and isinstance(value, Mapping):
            members[field.name] = dict(value)
        elif field.is_repeated:
            members[field.name] = [
                _value(field, element, f"{place}[{index}]", problems) for index, element in enumerate(value)
            ]
        else:
            members[field.name] = _value(field, value, place, problems)
    return members


def _value(field: FieldDescriptor, value: Any, path: str, problems: list[Problem]) -> Any:
    match value:
        case Struct():
            return _exact(value, path, problems)
        case Duration() | Timestamp():
            return _text(value, path, problems)
        case Message():
            return _members(value, path, problems)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return f"{field.enum_type.name}_UNSPECIFIED" if known is None else known.name
    return value


def _exact(struct: Struct, path: str, problems: list[Problem]) -> dict[str, Any]:
    try:
        exact: dict[str, Any] = exact_numbers(fields_of(struct, path), path)
    except InvalidArgument as error:
        problems.extend(Problem(fault.field, fault.rule, fault.description) for fault in error.fields)
        return {}
    return exact


def _text(value: Duration | Timestamp, path: str, problems: list[Problem]) -> str:
    try:
        return value.ToJsonString()
    except ValueError as error:
        problems.append(Problem(path, "INVALID_FIELDS", str(error)))
        return "0s" if isinstance(value, Duration) else "1970-01-01T00:00:00Z"
