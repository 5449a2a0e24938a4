"""Stopping what is open: because the execution ends, a join had enough, or time is up.

A task or a child that runs is asked to stop, and its run stays open until it has: how it ends then stands.
"""

from taskflow_core.executions.plan import Plan
from taskflow_core.executions.planned import engine_error
from taskflow_core.executions.state import Error, Run
from taskflow_core.states import ExecutionEventKind, ExecutionStatus, NodeRunStatus
from taskflow_core.workflows.graph import CancelPolicy, Subworkflow


def stop_open(plan: Plan, place: str) -> None:
    """Stop all that is open in a graph, or in the graphs of a PARALLEL run."""
    for run in plan.open_under(place):
        current = plan.run(run.path)
        if current.is_open:
            stop_run(plan, current)


def stop_run(plan: Plan, run: Run, error: Error | None = None) -> None:
    """Stop one open run: it becomes FAILED with the error, CANCELLED without."""
    if run.stop is not None:
        return
    run = plan.change(run.path, stop={"error": error})
    if run.task_id is not None:
        plan.cancelled_tasks[run.task_id] = run.path
    elif _has_child_to_stop(plan, run):
        assert run.child_execution_id is not None  # noqa: S101 - it was looked for
        plan.cancelled_children.append(run.child_execution_id)
    else:
        end_stopped(plan, run)


def end_stopped(plan: Plan, run: Run) -> None:
    """An open run that is being stopped has stopped."""
    error = None if run.stop is None else run.stop["error"]
    status = NodeRunStatus.CANCELLED if error is None else NodeRunStatus.FAILED
    plan.end(run.path, status, error=error)


def fail_execution(plan: Plan, error: Error, node_id: str | None = None) -> None:
    """The execution is to become FAILED, once what runs has stopped and what was done is undone."""
    if plan.is_ending:
        return
    plan.execution.ending = ExecutionStatus.FAILED
    plan.execution.error = error
    plan.execution.failed_node_id = node_id
    stop_open(plan, "")


def cancel_execution(plan: Plan, reason: str, *, skip_compensation: bool) -> None:
    """The execution is to become CANCELLED; a second request changes nothing."""
    if plan.is_ending or plan.execution.finished_at is not None:
        return
    plan.execution.ending = ExecutionStatus.CANCELLED
    plan.execution.cancel_requested_at = plan.now
    plan.execution.cancel_reason = reason
    plan.execution.skip_compensation = skip_compensation
    plan.log(ExecutionEventKind.CANCEL_REQUESTED, message=reason)
    stop_open(plan, "")


def run_out_of_time(plan: Plan, path: str) -> None:
    """A run is past its deadline."""
    run = plan.run(path)
    if not run.is_open or run.stop is not None:
        return
    stop_run(plan, run, engine_error("NodeTimeout", "the node ran past its timeout", run.attempt))
    if run.scopes is not None:
        stop_open(plan, path)


def _has_child_to_stop(plan: Plan, run: Run) -> bool:
    """Whether a child runs that does not go on by itself; that of a PENDING run was not told to run on yet."""
    if run.child_execution_id is None or run.status is NodeRunStatus.PENDING:
        return False
    work = plan.node_at(run.path).work
    return isinstance(work, Subworkflow) and work.cancel_policy is CancelPolicy.CANCEL
