"""Undoing what succeeded when an execution failed or was cancelled: one run at a time, the last to succeed first."""

from taskflow_core.executions.begin import NotStarted, task_of
from taskflow_core.executions.plan import Plan
from taskflow_core.executions.planned import PlannedTask, engine_error
from taskflow_core.executions.state import Error, Need, Run
from taskflow_core.executions.values import fields_of
from taskflow_core.states import ExecutionEventKind, ExecutionStatus, NodeRunStatus
from taskflow_core.workflows.expression_syntax import ExpressionError


def undo_next(plan: Plan) -> bool:
    """Start undoing the next run; False if nothing is left to undo."""
    if plan.execution.skip_compensation:
        return False
    while (run := _next(plan)) is not None:
        if plan.execution.status is ExecutionStatus.RUNNING:
            plan.execution.status = ExecutionStatus.COMPENSATING
            plan.log(ExecutionEventKind.COMPENSATING)
        template = plan.node_at(run.path).compensation
        assert template is not None  # noqa: S101 - `_next` looks for those that have one
        task_id = plan.new_id()
        plan.change(run.path, compensation_task_id=task_id)
        try:
            payload = fields_of(plan, run.scope, template.payload, template.payload_expressions)
            new = task_of(plan, run, template, payload)
        except (ExpressionError, NotStarted) as error:
            _note_failure(plan, run, engine_error("BadExpression", str(error)))
            continue
        plan.tasks.append(PlannedTask(task_id, run.node_id, new))
        return True
    return False


def undo_ended(plan: Plan, path: str, *, succeeded: bool, error: Error | None) -> None:
    """The task that undoes a run has ended: the next one follows, also after a failure."""
    run = plan.run(path)
    if run.status is not NodeRunStatus.SUCCEEDED or plan.execution.status is not ExecutionStatus.COMPENSATING:
        return
    if succeeded:
        run = plan.change(path, status=NodeRunStatus.COMPENSATED)
        plan.log(ExecutionEventKind.NODE_COMPENSATED, run)
    else:
        _note_failure(plan, run, error or engine_error("Cancelled", "its compensation was cancelled"))


def _note_failure(plan: Plan, run: Run, error: Error) -> None:
    message = f"the compensation of {run.path} failed: {error['message']}"
    if plan.execution.error is not None:
        message = f"{plan.execution.error['message']}; {message}"
    plan.execution.error = {**error, "message": message[:4000]}


def _next(plan: Plan) -> Run | None:
    graph = plan.state.definition.graph
    node_ids = frozenset(node.id for _, node in graph.walk() if node.compensation is not None)
    if not node_ids:
        return None
    if not plan.state.knows_all and not plan.state.undoable_known:
        raise Need(undoable=node_ids)
    known = (plan.state.runs | plan.runs).values()
    undoable = [
        run
        for run in known
        if run.node_id in node_ids
        and run.status is NodeRunStatus.SUCCEEDED
        and run.compensation_task_id is None
        and not run.taken_over
    ]
    return max(undoable, key=lambda run: run.ended_sequence or 0, default=None)
