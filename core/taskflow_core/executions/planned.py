"""What plans want written: tasks, children and lines of the log, and how these are made."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from taskflow_core.executions.state import ChildWorkflow, Error, Execution, Run
from taskflow_core.payloads import storable
from taskflow_core.service_tasks import STEP
from taskflow_core.states import ExecutionEventKind, ExecutionStatus
from taskflow_core.tasks.create import NewTask

SERVICE = "service"


@dataclass(frozen=True)
class PlannedTask:
    """A task to create, for a node or for the engine itself."""

    id: UUID
    node_id: str
    new: NewTask


@dataclass(frozen=True)
class PlannedChild:
    """An execution to start for a SUBWORKFLOW node."""

    id: UUID
    run: Run
    workflow: ChildWorkflow
    input: dict[str, Any]


@dataclass(frozen=True)
class PlannedEvent:
    """A line of the log."""

    sequence: int
    kind: ExecutionEventKind
    status: ExecutionStatus
    actor: str
    data: dict[str, Any] | None


def engine_error(kind: str, message: str, attempt: int = 0) -> Error:
    """An error in the form in which tasks have theirs."""
    return {"type": kind, "message": storable(message[:4000]), "stack_trace": "", "attempt": attempt}


_OUTLINE_IDS = ("parent_node_run_id", "task_id", "child_execution_id", "compensation_task_id")
_OUTLINE_TIMES = ("started_at", "finished_at", "wake_at")
_OUTLINE_REST = ("error", "branch", "signal")


def outline(run: Run) -> dict[str, Any]:
    """A run as a line of the log has it: without input and result, and what is not set."""
    values = vars(run)
    outlined = {
        "id": str(run.id),
        "node_id": run.node_id,
        "path": run.path,
        "type": run.type,
        "status": run.status,
        "attempt": run.attempt,
        "created_at": run.created_at.isoformat(),
    }
    outlined |= {name: str(values[name]) for name in _OUTLINE_IDS if values[name] is not None}
    outlined |= {name: values[name].isoformat() for name in _OUTLINE_TIMES if values[name] is not None}
    outlined |= {name: values[name] for name in _OUTLINE_REST if values[name] is not None}
    if run.taken_over:
        outlined["taken_over"] = True
    if run.progress is not None:
        outlined["progress"] = run.progress
    return outlined


def step_task(execution: Execution, node_run_id: UUID) -> NewTask:
    """A task whose end makes the engine look at a node run again."""
    return reserved_task(execution, STEP, {"node_run_id": str(node_run_id)})


def reserved_task(
    execution: Execution, task_type: str, payload: dict[str, Any], schedule_time: datetime | None = None
) -> NewTask:
    """A task of the service's own for an execution."""
    return NewTask(
        tenant_id=execution.tenant_id,
        actor=SERVICE,
        name=execution.name,
        task_type=task_type,
        queue=execution.queue,
        priority=execution.priority,
        payload=json.dumps(payload),
        payload_form="JSON",
        schedule_time=schedule_time,
    )
