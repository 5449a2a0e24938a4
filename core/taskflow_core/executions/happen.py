"""What happens to an execution: each of these, followed by `walk_on`, is one step of its life."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from taskflow_core.executions.begin import BAD_EXPRESSION, NotStarted, begin_child, sleep
from taskflow_core.executions.paths import ROOT
from taskflow_core.executions.plan import Plan
from taskflow_core.executions.planned import engine_error
from taskflow_core.executions.retry import retry_execution
from taskflow_core.executions.signals import take_signal
from taskflow_core.executions.state import Error, Run
from taskflow_core.executions.stop import cancel_execution, end_stopped, fail_execution, run_out_of_time
from taskflow_core.executions.undo import undo_ended
from taskflow_core.executions.walk import enter, undo_on, walk_on
from taskflow_core.executions.ways import ways_into
from taskflow_core.retry import RetryPolicy
from taskflow_core.states import (
    EXECUTION_FINAL,
    ExecutionEventKind,
    ExecutionStatus,
    NodeRunStatus,
    TaskStatus,
)
from taskflow_core.tasks.fail import effective_policy
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.graph import Edge, NodeType, Subworkflow, Wait


@dataclass(frozen=True)
class Started:
    """The execution begins."""


@dataclass(frozen=True, kw_only=True)
class TaskEnded:
    """The task of a node run, or the one that undoes it, is final."""

    path: str
    task_id: UUID
    status: TaskStatus
    attempt: int = 0
    result: Any = None
    error: Error | None = None
    reason: str = ""  # why it was cancelled


@dataclass(frozen=True, kw_only=True)
class TaskRetrying:
    """An attempt of a node run's task failed, and another follows."""

    path: str
    task_id: UUID
    error: Error | None
    attempt: int


@dataclass(frozen=True, kw_only=True)
class ChildEnded:
    """The child of a SUBWORKFLOW node is final."""

    path: str
    child_id: UUID
    status: ExecutionStatus
    output: Any = None
    error: Error | None = None


@dataclass(frozen=True)
class Stepped:
    """A run is to be looked at again."""

    path: str


@dataclass(frozen=True)
class Signalled:
    """A signal has arrived; it is among those of the state."""

    name: str


@dataclass(frozen=True)
class RanOut:
    """The time of a node run is up."""

    path: str


@dataclass(frozen=True)
class TimedOut:
    """The time of the execution is up."""


@dataclass(frozen=True)
class CancelRequested:
    """Somebody wants the execution to stop."""

    reason: str
    skip_compensation: bool = False
    by_parent: bool = False


@dataclass(frozen=True)
class Retried:
    """Somebody wants an execution that did not succeed to run on."""

    reason: str
    by_parent: bool = False


Happening = (
    Started
    | TaskEnded
    | TaskRetrying
    | ChildEnded
    | Stepped
    | Signalled
    | RanOut
    | TimedOut
    | CancelRequested
    | Retried
)


def advance(plan: Plan, happenings: Sequence[Happening]) -> None:
    """All that follows from what has happened. Raises Need."""
    for happening in happenings:
        _take(plan, happening)
    walk_on(plan)


def _take(plan: Plan, happening: Happening) -> None:
    match happening:
        case Started():
            enter(plan, ROOT)
        case TaskEnded():
            _task_ended(plan, happening)
        case TaskRetrying():
            _task_retrying(plan, happening)
        case ChildEnded():
            _child_ended(plan, happening)
        case Stepped():
            plan.openings[happening.path] = None
        case _:
            _obey(plan, happening)


def _obey(plan: Plan, happening: Happening) -> None:
    """What callers and clocks want."""
    match happening:
        case Signalled():
            plan.log(ExecutionEventKind.SIGNALLED, message=happening.name)
            _signalled(plan, happening.name)
        case RanOut():
            run_out_of_time(plan, happening.path)
        case TimedOut():
            fail_execution(plan, engine_error("ExecutionTimeout", "the execution ran past its timeout"))
        case CancelRequested():
            plan.tells_parent |= happening.by_parent and plan.execution.status in EXECUTION_FINAL
            cancel_execution(plan, happening.reason, skip_compensation=happening.skip_compensation)
        case Retried():
            if plan.execution.status in (ExecutionStatus.FAILED, ExecutionStatus.CANCELLED):
                retry_execution(plan, happening.reason)
            # One that succeeded meanwhile gives its output.
            plan.tells_parent |= happening.by_parent and plan.execution.status is ExecutionStatus.SUCCEEDED


def _task_ended(plan: Plan, ended: TaskEnded) -> None:
    run = plan.find(ended.path)
    if run is None:
        return
    if run.compensation_task_id == ended.task_id:
        succeeded = ended.status is TaskStatus.SUCCEEDED
        undo_ended(plan, run.path, succeeded=succeeded, error=ended.error)
        undo_on(plan)
        return
    if run.task_id != ended.task_id or not run.is_open:
        return
    if run.type == NodeType.SUBWORKFLOW:
        _try_child_again(plan, run, ended)
        return
    plan.change(run.path, attempt=run.attempt + ended.attempt)
    match ended.status:
        case TaskStatus.SUCCEEDED:
            plan.end(run.path, NodeRunStatus.SUCCEEDED, result=ended.result)
        case TaskStatus.FAILED:
            plan.end(run.path, NodeRunStatus.FAILED, error=ended.error)
        case _ if run.stop is not None:
            end_stopped(plan, run)
        case _:
            plan.fail(
                run.path, "TaskCancelled", f"its task was cancelled: {ended.reason or 'no reason given'}"
            )


def _task_retrying(plan: Plan, retrying: TaskRetrying) -> None:
    run = plan.find(retrying.path)
    if run is not None and run.is_open and run.task_id == retrying.task_id:
        run = plan.change(run.path, error=retrying.error)
        plan.log(ExecutionEventKind.NODE_RETRYING, run)


def _child_ended(plan: Plan, ended: ChildEnded) -> None:
    run = plan.find(ended.path)
    if run is None or not run.is_open or run.child_execution_id != ended.child_id:
        return
    match ended.status:
        case ExecutionStatus.SUCCEEDED:
            plan.end(run.path, NodeRunStatus.SUCCEEDED, result=ended.output)
        case _ if run.stop is not None:
            end_stopped(plan, run)
        case ExecutionStatus.CANCELLED:
            plan.fail(run.path, "ChildCancelled", f"execution {ended.child_id} was cancelled")
        case _:
            _child_failed(plan, run, ended.error or engine_error("Unknown", "the child failed"))


def _child_failed(plan: Plan, run: Run, error: Error) -> None:
    work = plan.node_at(run.path).work
    assert isinstance(work, Subworkflow)  # noqa: S101 - it has a child
    policy = effective_policy({"max_attempts": 1} | (work.retry_policy or {}), None, RetryPolicy())
    error = {**error, "attempt": run.attempt}
    if not policy.allows_retry(run.attempt, error["type"]):
        plan.end(run.path, NodeRunStatus.FAILED, error=error)
        return
    until = plan.now + timedelta(seconds=policy.backoff(run.attempt, plan.rng))
    task = sleep(plan, run, until)
    plan.begin(
        run.path,
        NodeRunStatus.RETRYING,
        ExecutionEventKind.NODE_RETRYING,
        task_id=task.id,
        error=error,
        wake_at=until,
    )


def _try_child_again(plan: Plan, run: Run, ended: TaskEnded) -> None:
    work = plan.node_at(run.path).work
    if run.stop is not None:
        end_stopped(plan, run)
    elif ended.status is TaskStatus.SUCCEEDED and isinstance(work, Subworkflow):
        try:
            begin_child(plan, run, work, _edges_into(plan, run))
        except ExpressionError as error:
            plan.fail(run.path, BAD_EXPRESSION, str(error))
        except NotStarted as error:
            plan.fail(run.path, error.kind, error.message)
    else:
        plan.fail(run.path, "TaskCancelled", "the wait for its next attempt was cancelled")


def _edges_into(plan: Plan, run: Run) -> list[Edge]:
    return ways_into(plan, run.scope, plan.graph_of(run.scope), plan.node_at(run.path)).edges


def _signalled(plan: Plan, name: str) -> None:
    if plan.is_ending:
        return
    for run in plan.open_under(ROOT):
        wait = plan.node_at(run.path).work
        current = plan.run(run.path)
        if isinstance(wait, Wait) and current.status is NodeRunStatus.WAITING and wait.signal == name:
            take_signal(plan, current, wait)
