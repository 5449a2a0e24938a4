"""Executions of workflows: their node runs, the graphs inside PARALLEL nodes, their signals and their logs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Boolean, CheckConstraint, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from taskflow_core.models.base import Base, TransactionId, is_one_of
from taskflow_core.states import (
    EXECUTION_FINAL,
    NODE_RUN_OPEN,
    ExecutionEventKind,
    ExecutionStatus,
    NodeRunStatus,
    Priority,
    ScopeStatus,
)


class WorkflowExecution(Base):
    """One run of one version of a workflow. Whoever moves anything of it holds the lock of this row."""

    __tablename__ = "workflow_executions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    workflow_id: Mapped[UUID]
    workflow_name: Mapped[str]
    workflow_version: Mapped[int] = mapped_column(Integer)
    name: Mapped[str]
    input: Mapped[str]  # JSON text of an object, kept as it came
    input_form: Mapped[str]  # how the caller wrote it, and how results are answered
    priority: Mapped[str]
    queue: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    expire_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]  # from the timeout of the workflow

    status: Mapped[str]
    ending: Mapped[str | None]  # FAILED | CANCELLED: what it becomes once nothing runs and all is undone
    output: Mapped[str | None]  # JSON text
    error: Mapped[dict[str, Any] | None]
    failed_node_id: Mapped[str | None]
    cancel_requested_at: Mapped[datetime | None]
    cancel_reason: Mapped[str | None]
    skip_compensation: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    open_runs: Mapped[int] = mapped_column(Integer, server_default=text("0"))  # node runs that are not final
    reached_runs: Mapped[int] = mapped_column(Integer, server_default=text("0"))  # node runs in all
    last_sequence: Mapped[int] = mapped_column(Integer, server_default=text("1"))

    request_id: Mapped[str | None]
    request_digest: Mapped[str | None]
    schedule_id: Mapped[UUID | None]
    parent_execution_id: Mapped[UUID | None]
    parent_node_run_id: Mapped[UUID | None]
    source_execution_id: Mapped[UUID | None]
    rerun_node_id: Mapped[str | None]  # the node that a rerun starts at, and the input that it gets
    rerun_input: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(is_one_of("status", ExecutionStatus), name="status"),
        CheckConstraint(is_one_of("priority", Priority), name="priority"),
        CheckConstraint("input_form IN ('STRUCT', 'JSON')", name="input_form"),
        CheckConstraint("ending IN ('CANCELLED', 'FAILED')", name="ending"),
        CheckConstraint(
            f"(finished_at IS NOT NULL) = ({is_one_of('status', EXECUTION_FINAL)})", name="finished"
        ),
        CheckConstraint("open_runs >= 0", name="open_runs"),
        Index("workflow_executions_created", "tenant_id", "created_at", "id"),
        Index("workflow_executions_status", "tenant_id", "status"),
        Index("workflow_executions_of_workflow", "tenant_id", "workflow_id", "created_at", "id"),
        Index(
            "workflow_executions_finished",
            "tenant_id",
            "finished_at",
            "id",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        # What retention walks, oldest first, over all tenants.
        Index(
            "workflow_executions_done",
            "finished_at",
            "id",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        Index(
            "workflow_executions_children",
            "parent_execution_id",
            postgresql_where=text("parent_execution_id IS NOT NULL"),
        ),
        Index(
            "workflow_executions_expiring",
            "expire_at",
            postgresql_where=text("expire_at IS NOT NULL AND ending IS NULL AND finished_at IS NULL"),
        ),
        Index(
            "workflow_executions_timed",
            "deadline_at",
            postgresql_where=text("deadline_at IS NOT NULL AND ending IS NULL AND finished_at IS NULL"),
        ),
        Index(
            "workflow_executions_request_id",
            "tenant_id",
            "request_id",
            unique=True,
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": "60"}},
    )


class NodeRun(Base):
    """One run of a node, at its own place in the execution, such as `fetch_all[3].parse`."""

    __tablename__ = "node_runs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    execution_id: Mapped[UUID]
    tenant_id: Mapped[str]
    path: Mapped[str]
    scope: Mapped[str]  # the path without the node: the graph that it lies in; empty for the workflow's own
    node_id: Mapped[str]
    parent_node_run_id: Mapped[UUID | None]
    type: Mapped[str]
    place: Mapped[int] = mapped_column(Integer)  # in the order in which they were reached
    status: Mapped[str]
    attempt: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    result: Mapped[str | None]  # JSON text; that of a task is with the task
    error: Mapped[dict[str, Any] | None]
    # While it is open: why it is being stopped. Its task or child may still end otherwise.
    stop: Mapped[dict[str, Any] | None]
    task_id: Mapped[UUID | None]
    child_execution_id: Mapped[UUID | None]
    compensation_task_id: Mapped[UUID | None]
    branch: Mapped[str | None]
    signal: Mapped[str | None]
    # Of the outgoing edges, by their places, those that are taken. Decided once, when it is final.
    edges_taken: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    taken_over: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    # Of a PARALLEL node: its graphs, those that were started, that have ended, and that succeeded.
    scopes: Mapped[int | None] = mapped_column(Integer)
    scopes_opened: Mapped[int | None] = mapped_column(Integer)
    scopes_settled: Mapped[int | None] = mapped_column(Integer)
    scopes_succeeded: Mapped[int | None] = mapped_column(Integer)
    ended_sequence: Mapped[int | None] = mapped_column(Integer)  # the number of the event of its end
    wake_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]  # while it is open
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(is_one_of("status", NodeRunStatus), name="status"),
        CheckConstraint(f"(finished_at IS NULL) = ({is_one_of('status', NODE_RUN_OPEN)})", name="finished"),
        # None of these indexes names what the end of a run changes, so that its end writes to none of them.
        Index("node_runs_graph", "execution_id", "scope", "node_id", unique=True),
        Index("node_runs_place", "execution_id", "place", unique=True),
        # Not unique: a rerun refers to the tasks whose results it has taken over.
        Index("node_runs_task", "task_id", postgresql_where=text("task_id IS NOT NULL")),
        Index(
            "node_runs_compensation",
            "compensation_task_id",
            unique=True,
            postgresql_where=text("compensation_task_id IS NOT NULL"),
        ),
        Index(
            "node_runs_timed",
            "deadline_at",
            postgresql_where=text("deadline_at IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": "60"}},
    )


class ExecutionScope(Base):
    """One graph inside a PARALLEL node: a branch, or an item of a map."""

    __tablename__ = "execution_scopes"

    execution_id: Mapped[UUID] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)  # fetch_all[3], or fork.left
    node_run_id: Mapped[UUID]
    place: Mapped[int] = mapped_column(Integer)
    item: Mapped[str | None]  # JSON text, in a map
    status: Mapped[str]
    result: Mapped[str | None]  # JSON text

    __table_args__ = (
        CheckConstraint(is_one_of("status", ScopeStatus), name="status"),
        Index("execution_scopes_place", "node_run_id", "place", unique=True),
        Index(
            "execution_scopes_pending",
            "node_run_id",
            "place",
            postgresql_where=text("status = 'PENDING'"),
        ),
    )


class ExecutionSignal(Base):
    """A signal that was sent to an execution. One node run takes it, at once or when it gets there."""

    __tablename__ = "execution_signals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    execution_id: Mapped[UUID]
    tenant_id: Mapped[str]
    name: Mapped[str]
    payload: Mapped[str]  # JSON text
    sender: Mapped[str]
    node_run_id: Mapped[UUID | None]  # the only one that may take it
    taken_by: Mapped[UUID | None]
    request_id: Mapped[str | None]
    request_digest: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        Index("execution_signals_of_execution", "execution_id", "created_at", "id"),
        Index(
            "execution_signals_request_id",
            "tenant_id",
            "request_id",
            unique=True,
            postgresql_where=text("request_id IS NOT NULL"),
        ),
    )


class ExecutionEvent(Base):
    """One line of an execution's log, numbered without gaps: audit trail, streams and webhooks read it."""

    __tablename__ = "execution_events"

    execution_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str]
    kind: Mapped[str]
    status: Mapped[str]  # of the execution, after the event
    actor: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    data: Mapped[dict[str, Any] | None]  # node_run, error, message: by kind
    # As in task_events.
    xid: Mapped[int] = mapped_column(TransactionId, server_default=text("pg_current_xact_id()"))

    __table_args__ = (
        CheckConstraint(is_one_of("kind", ExecutionEventKind), name="kind"),
        CheckConstraint(is_one_of("status", ExecutionStatus), name="status"),
        Index("execution_events_written", "xid"),
    )
