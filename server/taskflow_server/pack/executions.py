"""Executions, their node runs and events, and the messages of a watch."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from taskflow_core.executions.read import Whole
from taskflow_core.executions.state import items_progress
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.graph import NodeType
from taskflow_proto.v1 import workflow_pb2
from taskflow_server.pack.tasks import error, progress
from taskflow_server.pack.values import id_text, time_of, timestamp
from taskflow_server.structs import fits_in_value, set_value

Execution = workflow_pb2.Execution
NodeRun = workflow_pb2.NodeRun


def execution(
    row: Row,
    *,
    full: bool = True,
    runs: Iterable[Row] = (),
    counts: Mapping[str, int] | None = None,
) -> workflow_pb2.Execution:
    """An execution; `full` with its input and output."""
    message = Execution(
        id=str(row["id"]),
        name=row["name"],
        workflow_id=str(row["workflow_id"]),
        workflow_name=row["workflow_name"],
        workflow_version=row["workflow_version"],
        priority=row["priority"],
        tags=row["tags"],
        expire_time=timestamp(row["expire_at"]),
        status=row["status"],
        error=error(row["error"]) if row["error"] else None,
        failed_node_id=row["failed_node_id"] or "",
        cancel_requested=row["cancel_requested_at"] is not None,
        last_sequence=row["last_sequence"],
        create_time=timestamp(row["created_at"]),
        end_time=timestamp(row["finished_at"]),
        schedule_id=id_text(row["schedule_id"]),
        parent_execution_id=id_text(row["parent_execution_id"]),
        parent_node_run_id=id_text(row["parent_node_run_id"]),
        source_execution_id=id_text(row["source_execution_id"]),
    )
    if full:
        _set_object(message, "input", row["input"], row["input_form"])
        if row["output"] is not None:
            _set_json(message, "output", row["output"], row["input_form"])
    form = row["input_form"]
    message.node_runs.extend(node_run(run, form) for run in runs)
    if counts is not None:
        counted = {status.lower(): count for status, count in counts.items()}
        message.node_run_counts.CopyFrom(workflow_pb2.NodeRunCounts(**counted))
    return message


def execution_preview(row: Mapping[str, Any]) -> workflow_pb2.Execution:
    """An execution as it would be started: without id, status and times."""
    message = Execution(
        name=row["name"],
        workflow_id=str(row["workflow_id"]),
        workflow_name=row["workflow_name"],
        workflow_version=row["workflow_version"],
        priority=row["priority"],
        tags=row["tags"],
        expire_time=timestamp(row["expire_at"]),
    )
    _set_object(message, "input", row["input"], row["input_form"])
    return message


def node_run(row: Row, form: str) -> workflow_pb2.NodeRun:
    """A node run, with what it got and gave in the form of its execution's input."""
    run_error = row["error"] or row["task_error"]
    message = NodeRun(
        id=str(row["id"]),
        execution_id=str(row["execution_id"]),
        node_id=row["node_id"],
        path=row["path"],
        parent_node_run_id=id_text(row["parent_node_run_id"]),
        type=row["type"],
        status=row["status"],
        attempt=row["attempt"],
        error=error(run_error) if run_error else None,
        progress=progress(row["progress"]) if row["progress"] else None,
        # Those of other nodes are the engine's own.
        task_id=id_text(row["task_id"]) if row["type"] == NodeType.TASK else "",
        child_execution_id=id_text(row["child_execution_id"]),
        compensation_task_id=id_text(row["compensation_task_id"]),
        branch=row["branch"] or "",
        signal=row["signal"] or "",
        taken_over=row["taken_over"],
        create_time=timestamp(row["created_at"]),
        start_time=timestamp(row["started_at"]),
        end_time=timestamp(row["finished_at"]),
        wake_time=timestamp(row["wake_at"]),
    )
    if row["scopes"]:
        message.progress.MergeFrom(progress(items_progress(row["scopes_settled"], row["scopes"])))
    if row["input"] is not None:
        _set_object(message, "input", row["input"], form)
    if row["result"] is not None:
        _set_json(message, "result", row["result"], form)
    return message


def execution_event(row: Row) -> workflow_pb2.ExecutionEvent:
    """A line of an execution's log."""
    data: Mapping[str, Any] = row["data"] or {}
    return workflow_pb2.ExecutionEvent(
        execution_id=str(row["execution_id"]),
        sequence=row["sequence"],
        kind=row["kind"],
        event_time=timestamp(row["created_at"]),
        status=row["status"],
        actor=row["actor"],
        node_run=_outline(data["node_run"], row) if data.get("node_run") else None,
        error=error(data["error"]) if data.get("error") else None,
        message=data.get("message") or "",
    )


def whole_execution(whole: Whole) -> workflow_pb2.Execution:
    """An execution with its node runs."""
    return execution(whole.row, runs=whole.runs, counts=whole.counts)


def _outline(data: Mapping[str, Any], row: Row) -> workflow_pb2.NodeRun:
    """A node run as the log kept it: without input and result."""
    return NodeRun(
        id=data["id"],
        execution_id=str(row["execution_id"]),
        node_id=data["node_id"],
        path=data["path"],
        parent_node_run_id=data.get("parent_node_run_id", ""),
        type=data["type"],
        status=data["status"],
        attempt=data["attempt"],
        error=error(data["error"]) if data.get("error") else None,
        progress=progress(data["progress"]) if data.get("progress") else None,
        task_id=data.get("task_id", "") if data["type"] == NodeType.TASK else "",
        child_execution_id=data.get("child_execution_id", ""),
        compensation_task_id=data.get("compensation_task_id", ""),
        branch=data.get("branch", ""),
        signal=data.get("signal", ""),
        taken_over=data.get("taken_over", False),
        create_time=timestamp(time_of(data["created_at"])),
        start_time=timestamp(time_of(data.get("started_at"))),
        end_time=timestamp(time_of(data.get("finished_at"))),
        wake_time=timestamp(time_of(data.get("wake_at"))),
    )


def _set_object(message: Any, name: str, text: str, form: str) -> None:
    """A JSON object, as a Struct or as text."""
    value = json.loads(text)
    if form == "STRUCT" and fits_in_value(value):
        struct = getattr(message, name)
        struct.SetInParent()
        struct.update(value)
    else:
        setattr(message, f"{name}_json", text)


def _set_json(message: Any, name: str, text: str, form: str) -> None:
    """Any JSON, as a Value or as text."""
    value = json.loads(text)
    if form == "STRUCT" and fits_in_value(value):
        set_value(getattr(message, name), value)
    else:
        setattr(message, f"{name}_json", text)
