"""The data of test events."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from taskflow_core.tasks.rows import Row

# The id of what does not exist.
NOTHING = str(UUID(int=0))
STATUS_AFTER = {
    "task.created": "QUEUED",
    "task.retrying": "RETRYING",
    "task.success": "SUCCEEDED",
    "task.failed": "FAILED",
    "task.dead_lettered": "FAILED",
    "task.cancelled": "CANCELLED",
    "workflow.success": "SUCCEEDED",
    "workflow.failed": "FAILED",
    "workflow.cancelled": "CANCELLED",
}


def made_up(event_type: str, webhook: Row) -> dict[str, Any]:
    """What a delivery of this type has as its data: rows of what there never was, by kind."""
    match event_type.split("."):
        case ["task", _]:
            return {"task": _task(event_type)}
        case ["schedule", outcome]:
            return {"fire": _fire(outcome.upper())}
        case ["workflow", "node_completed"]:
            return {"execution": _execution(event_type), "node_run": _node_run("TASK", "SUCCEEDED")}
        case ["workflow", "waiting"]:
            return {"execution": _execution(event_type), "node_run": _node_run("WAIT", "WAITING")}
        case ["workflow", _]:
            return {"execution": _execution(event_type)}
    return {"webhook": _disabled(webhook)}


def _disabled(webhook: Row) -> dict[str, Any]:
    names = ("name", "description", "url", "event_types", "status", "note", "consecutive_failures")
    kept = {name: webhook[name] for name in names}
    unset = dict.fromkeys(("last_success_at", "failing_since", "created_at", "updated_at"))
    return kept | unset | {"id": str(webhook["id"])}


def _task(event_type: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    unset = (
        *("retry_policy", "attempt_timeout", "expire_at", "cancel_requested_at", "progress", "error"),
        *(
            "unique_key",
            "unique_scope",
            "schedule_id",
            "execution_id",
            "node_id",
            "started_at",
            "finished_at",
        ),
    )
    return dict.fromkeys(unset) | {
        "id": NOTHING,
        "name": "a test",
        "task_type": "test",
        "queue": "default",
        "priority": "NORMAL",
        "tags": [],
        "status": STATUS_AFTER.get(event_type, "RUNNING"),
        "run_at": now,
        "attempt": 1,
        "failed_attempts": 0,
        "last_sequence": 1,
        "created_at": now,
    }


def _execution(event_type: str) -> dict[str, Any]:
    unset = (
        *("expire_at", "error", "failed_node_id", "cancel_requested_at", "finished_at", "schedule_id"),
        *("parent_execution_id", "parent_node_run_id", "source_execution_id"),
    )
    return dict.fromkeys(unset) | {
        "id": NOTHING,
        "name": "a test",
        "workflow_id": NOTHING,
        "workflow_name": "test",
        "workflow_version": 1,
        "priority": "NORMAL",
        "tags": [],
        "status": STATUS_AFTER.get(event_type, "RUNNING"),
        "last_sequence": 1,
        "created_at": datetime.now(UTC).isoformat(),
    }


def _fire(outcome: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "schedule_id": NOTHING,
        "fire_time": now,
        "outcome": outcome,
        "trigger": "TIME",
        "actual_time": now,
        "start_time": now,
        "run_number": 1,
        "task_id": NOTHING if outcome == "FIRED" else None,
        "execution_id": None,
        "reason": "a test",
    }


def _node_run(node_type: str, status: str) -> dict[str, Any]:
    return {
        "id": NOTHING,
        "execution_id": NOTHING,
        "node_id": "test",
        "path": "test",
        "type": node_type,
        "status": status,
        "attempt": 1,
        "created_at": datetime.now(UTC).isoformat(),
    }
