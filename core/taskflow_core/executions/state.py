"""What an execution is at, as far as it was read: the ground that a plan stands on.

A plan that needs something that was not read raises Need, its caller reads it, and the plan is made anew. So
planning itself does no I/O, and an advance reads no more than it needs.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from taskflow_core.states import NODE_RUN_OPEN, ExecutionStatus, NodeRunStatus, ScopeStatus
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.graph import Definition

Error = dict[str, Any]


@dataclass(kw_only=True)
class Execution:
    """An execution, by the columns of its row that a plan reads or changes."""

    id: UUID
    tenant_id: str
    workflow_id: UUID
    workflow_version: int
    name: str
    input: str
    input_form: str
    priority: str
    queue: str
    tags: list[str]
    created_at: datetime
    status: ExecutionStatus = ExecutionStatus.RUNNING
    ending: ExecutionStatus | None = None
    output: str | None = None
    error: Error | None = None
    failed_node_id: str | None = None
    cancel_requested_at: datetime | None = None
    cancel_reason: str | None = None
    skip_compensation: bool = False
    open_runs: int = 0
    reached_runs: int = 0
    last_sequence: int = 1
    expire_at: datetime | None = None
    deadline_at: datetime | None = None
    finished_at: datetime | None = None
    parent_execution_id: UUID | None = None
    parent_node_run_id: UUID | None = None
    rerun_node_id: str | None = None
    rerun_input: str | None = None


@dataclass(kw_only=True)
class Run:
    """A node run, by the columns of its row."""

    id: UUID
    path: str
    scope: str
    node_id: str
    type: str
    place: int
    status: NodeRunStatus
    created_at: datetime
    parent_node_run_id: UUID | None = None
    attempt: int = 0
    result: str | None = None
    error: Error | None = None
    stop: dict[str, Any] | None = None
    task_id: UUID | None = None
    child_execution_id: UUID | None = None
    compensation_task_id: UUID | None = None
    branch: str | None = None
    signal: str | None = None
    edges_taken: list[int] | None = None
    taken_over: bool = False
    scopes: int | None = None
    scopes_opened: int | None = None
    scopes_settled: int | None = None
    scopes_succeeded: int | None = None
    ended_sequence: int | None = None
    wake_at: datetime | None = None
    deadline_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.status in NODE_RUN_OPEN

    @property
    def progress(self) -> dict[str, Any] | None:
        """How far a PARALLEL node has come; that of a task is with the task."""
        return items_progress(self.scopes_settled or 0, self.scopes) if self.scopes else None


def items_progress(done: int, total: int) -> dict[str, Any]:
    """How far a PARALLEL node has come, in the form in which tasks report it."""
    return {"percent": 100 * done / total, "message": "", "current": done, "total": total, "unit": "items"}


@dataclass(kw_only=True)
class Scope:
    """A graph inside a PARALLEL node, by the columns of its row."""

    path: str
    node_run_id: UUID
    place: int
    status: ScopeStatus
    item: str | None = None
    result: str | None = None


Record = TypeVar("Record", Execution, Run, Scope)


def copy_of(record: Record) -> Record:
    """A copy to be changed. Much faster than what the standard library has for all classes."""
    copied = record.__class__.__new__(record.__class__)
    copied.__dict__.update(record.__dict__)
    return copied


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A signal that no node run has taken yet."""

    id: UUID
    name: str
    payload: str
    sender: str
    node_run_id: UUID | None
    created_at: datetime


@dataclass(frozen=True)
class Unreadable:
    """A result that expressions cannot see, and why."""

    why: str


@dataclass(frozen=True, kw_only=True)
class ChildWorkflow:
    """What a SUBWORKFLOW node starts; `why_not` says why it cannot."""

    workflow_id: UUID | None = None
    name: str = ""
    version: int = 0
    tags: tuple[str, ...] = ()
    definition: Definition | None = None
    why_not: str = ""


@dataclass(frozen=True)
class WorkflowRef:
    """Another workflow, as a SUBWORKFLOW node names it."""

    workflow_id: UUID | None
    name: str | None
    version: int | None


@dataclass(frozen=True, kw_only=True)
class Need(Exception):
    """What a plan must know before it can go on."""

    runs: frozenset[str] = frozenset()  # by path
    whole: frozenset[str] = frozenset()  # all runs of these graphs
    scopes: frozenset[str] = frozenset()  # by path
    scopes_of: UUID | None = None  # all graphs of a PARALLEL run
    pending_of: UUID | None = None  # the next graphs of a PARALLEL run that were not started
    pending_limit: int = 0
    results: frozenset[str] = frozenset()  # of runs, by path
    open_under: str | None = None  # open runs in a graph and all that lie in it
    undoable: frozenset[str] | None = None  # runs that succeeded, of these nodes
    everything: bool = False  # all runs and graphs
    signals: bool = False
    workflow: WorkflowRef | None = None
    value: tuple[str, str] | None = None  # an expression in a graph, to be evaluated within bounds
    value_scope: dict[str, Any] = field(default_factory=dict)


@dataclass
class State:
    """What was read. `complete`: there is nothing else. `is_new`: the execution is yet to be inserted."""

    execution: Execution
    definition: Definition
    now: datetime
    runs: dict[str, Run] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)  # runs and graphs that there are not
    results: dict[str, Any] = field(default_factory=dict)
    open_known: set[str] = field(default_factory=set)
    all_scopes_known: set[UUID] = field(default_factory=set)
    undoable_known: bool = False
    everything_known: bool = False
    signals: list[Signal] | None = None
    workflows: dict[WorkflowRef, ChildWorkflow] = field(default_factory=dict)
    depth: int = 0  # of executions above this one, counted when a workflow is read
    values: dict[tuple[str, str], "Any | ExpressionError"] = field(default_factory=dict)
    complete: bool = False
    is_new: bool = False

    @property
    def knows_all(self) -> bool:
        """Whether there are no runs and graphs but those that are here."""
        return self.complete or self.everything_known
