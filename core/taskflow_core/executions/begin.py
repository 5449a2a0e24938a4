"""Starting a node that is reached: what each kind of node does first."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from taskflow_core.executions.paths import branch_path, item_path
from taskflow_core.executions.plan import Plan
from taskflow_core.executions.planned import PlannedChild, PlannedTask, reserved_task
from taskflow_core.executions.schemas import schema_error
from taskflow_core.executions.signals import take_signal
from taskflow_core.executions.state import ChildWorkflow, Need, Run, Scope, WorkflowRef
from taskflow_core.executions.values import fields_of, items_of, time_of, truth_of
from taskflow_core.payloads import canonical_json
from taskflow_core.service_tasks import DELAY
from taskflow_core.states import ExecutionEventKind, NodeRunStatus, ScopeStatus
from taskflow_core.tasks.create import NewTask
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.graph import (
    DEFAULT_BRANCH,
    Condition,
    Delay,
    Edge,
    Node,
    Parallel,
    Subworkflow,
    TaskTemplate,
    Wait,
)

BAD_EXPRESSION = "BadExpression"
STARTED = ExecutionEventKind.NODE_STARTED
WAITING = ExecutionEventKind.NODE_WAITING


class NotStarted(Exception):
    """A node cannot start; the type and the message of its error."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def begin(plan: Plan, run: Run, node: Node, edges: list[Edge]) -> None:
    """Start a PENDING run over the edges that lead to it. What cannot start FAILED."""
    if node.timeout is not None:
        run = plan.change(run.path, deadline_at=plan.now + timedelta(seconds=node.timeout))
    try:
        match node.work:
            case TaskTemplate():
                _begin_task(plan, run, node.work, edges)
            case Condition():
                _decide(plan, run, node.work)
            case Delay():
                _begin_delay(plan, run, node.work)
            case Parallel():
                _begin_parallel(plan, run, node.work)
            case Subworkflow():
                begin_child(plan, run, node.work, edges)
            case Wait():
                _begin_wait(plan, run, node.work)
    except ExpressionError as error:
        plan.fail(run.path, BAD_EXPRESSION, str(error))
    except NotStarted as error:
        plan.fail(run.path, error.kind, error.message)


def _begin_task(plan: Plan, run: Run, template: TaskTemplate, edges: list[Edge]) -> None:
    payload = _input(plan, run, template.payload, template.payload_expressions, edges)
    task = PlannedTask(plan.new_id(), run.node_id, task_of(plan, run, template, payload))
    plan.tasks.append(task)
    plan.begin(run.path, NodeRunStatus.RUNNING, STARTED, task_id=task.id)


def task_of(plan: Plan, run: Run, template: TaskTemplate, payload: Mapping[str, Any]) -> NewTask:
    """The task of a template. Raises NotStarted if its payload is too large."""
    execution = plan.execution
    return NewTask(
        tenant_id=execution.tenant_id,
        actor=plan.actor,
        name=f"{execution.name}: {run.path}"[:200],
        task_type=template.task_type,
        queue=template.queue or execution.queue,
        priority=template.priority or execution.priority,
        payload=_bounded(plan, canonical_json(payload), "payload"),
        payload_form="STRUCT" if execution.input_form == "STRUCT" else "JSON",
        tags=tuple(execution.tags),
        retry_policy=template.retry_policy,
        attempt_timeout=template.attempt_timeout,
    )


def _input(
    plan: Plan, run: Run, fields: Mapping[str, Any], expressions: Mapping[str, str], edges: list[Edge]
) -> dict[str, Any]:
    """What a node gets; the one that a rerun starts at gets what its caller said."""
    if run.path == plan.execution.rerun_node_id and plan.execution.rerun_input is not None:
        given: dict[str, Any] = json.loads(plan.execution.rerun_input)
        return given
    return fields_of(plan, run.scope, fields, expressions, *(edge.input_expressions for edge in edges))


def _bounded(plan: Plan, text: str, what: str) -> str:
    size = len(text.encode())
    if size > plan.limits.payload_bytes:
        raise NotStarted(
            "PayloadTooLarge",
            f"{what}: {size} bytes of JSON; at most {plan.limits.payload_bytes} are allowed"
            " (setting TASKFLOW_MAX_PAYLOAD_BYTES)",
        )
    return text


def _decide(plan: Plan, run: Run, condition: Condition) -> None:
    taken = DEFAULT_BRANCH
    for branch in condition.branches:
        try:
            if truth_of(plan, run.scope, branch.condition):
                taken = branch.name
                break
        except ExpressionError as error:
            raise ExpressionError(f"branch {branch.name}: {error.message}", error.position) from None
    plan.change(run.path, started_at=plan.now)
    plan.end(run.path, NodeRunStatus.SUCCEEDED, result=taken, branch=taken)


def _begin_delay(plan: Plan, run: Run, delay: Delay) -> None:
    if delay.duration is not None:
        until = plan.now + timedelta(seconds=delay.duration)
    elif delay.until is not None:
        until = delay.until
    else:
        until = time_of(plan, run.scope, delay.expression or "")
    if until <= plan.now:
        plan.change(run.path, started_at=plan.now)
        plan.end(run.path, NodeRunStatus.SUCCEEDED)
        return
    task = sleep(plan, run, until)
    plan.begin(run.path, NodeRunStatus.WAITING, WAITING, task_id=task.id, wake_at=until)


def sleep(plan: Plan, run: Run, until: datetime) -> PlannedTask:
    """A task that ends at a time, and the execution goes on with it."""
    task = PlannedTask(plan.new_id(), run.node_id, reserved_task(plan.execution, DELAY, {}, until))
    plan.tasks.append(task)
    return task


def _begin_parallel(plan: Plan, run: Run, parallel: Parallel) -> None:
    if parallel.items is None:
        scopes = [
            _scope(run, branch_path(run.path, branch.name), place)
            for place, branch in enumerate(parallel.branches)
        ]
    else:
        items = items_of(plan, run.scope, parallel.items)
        if len(items) > plan.limits.items:
            raise NotStarted("TooManyItems", f"items: {len(items)}; at most {plan.limits.items} are allowed")
        scopes = [
            _scope(run, item_path(run.path, place), place, canonical_json(item))
            for place, item in enumerate(items)
        ]
    plan.begin(
        run.path,
        NodeRunStatus.RUNNING,
        STARTED,
        scopes=len(scopes),
        scopes_opened=0,
        scopes_settled=0,
        scopes_succeeded=0,
    )
    if not scopes:
        plan.end(run.path, NodeRunStatus.SUCCEEDED, result=[])
        return
    plan.scopes |= {scope.path: scope for scope in scopes}
    plan.openings[run.path] = None


def _scope(run: Run, path: str, place: int, item: str | None = None) -> Scope:
    return Scope(path=path, node_run_id=run.id, place=place, item=item, status=ScopeStatus.PENDING)


def begin_child(plan: Plan, run: Run, subworkflow: Subworkflow, edges: list[Edge]) -> None:
    """Start the child of a SUBWORKFLOW node, the first or another after one that failed; or let one run on."""
    if run.status is NodeRunStatus.PENDING and run.child_execution_id is not None:
        plan.resumed.append(plan.begin(run.path, NodeRunStatus.RUNNING, STARTED, attempt=run.attempt + 1))
        return
    ref = WorkflowRef(subworkflow.workflow_id, subworkflow.workflow_name, subworkflow.version)
    if ref not in plan.state.workflows:
        raise Need(workflow=ref)
    workflow = plan.state.workflows[ref]
    if workflow.definition is None:
        raise NotStarted("UnknownWorkflow", workflow.why_not)
    if plan.state.depth >= plan.limits.depth:
        raise NotStarted(
            "TooDeep",
            f"workflow {workflow.name!r} would run inside {plan.state.depth + 1} other executions;"
            f" at most {plan.limits.depth} are allowed",
        )
    content = _input(plan, run, subworkflow.input, subworkflow.input_expressions, edges)
    _bounded(plan, canonical_json(content), "input")
    _check_input(workflow, content)
    child = PlannedChild(plan.new_id(), run, workflow, content)
    plan.children.append(child)
    plan.begin(
        run.path,
        NodeRunStatus.RUNNING,
        STARTED,
        child_execution_id=child.id,
        task_id=None,
        attempt=run.attempt + 1,
        wake_at=None,
    )


def _check_input(workflow: ChildWorkflow, content: dict[str, Any]) -> None:
    schema = workflow.definition and workflow.definition.input_schema
    if schema and (wrong := schema_error(schema, content)):
        raise NotStarted("InvalidInput", f"the input does not fit workflow {workflow.name!r}: {wrong}")


def _begin_wait(plan: Plan, run: Run, wait: Wait) -> None:
    run = plan.begin(run.path, NodeRunStatus.WAITING, WAITING, signal=wait.signal, wake_at=run.deadline_at)
    take_signal(plan, run, wait)
