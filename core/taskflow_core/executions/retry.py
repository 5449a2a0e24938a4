"""FAILED | CANCELLED -> RUNNING: an execution runs on from the nodes that failed, were cancelled or were undone.

What succeeded keeps its result, unless it comes after something that runs again. Inside a PARALLEL node only the
graphs that did not succeed run again, and the child of a SUBWORKFLOW node runs on in the same way.
"""

from dataclasses import replace
from datetime import timedelta

from taskflow_core.executions.paths import ROOT, run_path
from taskflow_core.executions.plan import Plan
from taskflow_core.executions.state import Need, Run
from taskflow_core.executions.walk import enter
from taskflow_core.states import ExecutionEventKind, ExecutionStatus, NodeRunStatus, ScopeStatus
from taskflow_core.workflows.graph import Graph, Node, OnError, Parallel


def retry_execution(plan: Plan, reason: str) -> None:
    """Start what did not succeed anew. Its timeout starts anew, too, and its time to expire is lifted if it is over."""
    if not plan.state.knows_all:
        raise Need(everything=True)
    execution = plan.execution
    execution.status = ExecutionStatus.RUNNING
    execution.ending = None
    execution.error = None
    execution.failed_node_id = None
    execution.cancel_requested_at = None
    execution.cancel_reason = None
    execution.skip_compensation = False
    execution.finished_at = None
    timeout = plan.state.definition.execution_timeout
    execution.deadline_at = None if timeout is None else plan.now + timedelta(seconds=timeout)
    if execution.expire_at is not None and execution.expire_at <= plan.now:
        execution.expire_at = None
    plan.log(ExecutionEventKind.RETRIED, message=reason)
    _reset(plan, ROOT)
    enter(plan, ROOT)


def _reset(plan: Plan, scope: str) -> bool:
    """Put back the runs of a graph that are to run again; False if there are none."""
    graph = plan.graph_of(scope)
    own = {node.id for node in graph.nodes if _runs_again(plan, scope, node)}
    after = nodes_after(graph, own)
    for node in graph.nodes:
        run = plan.find(run_path(scope, node.id))
        if run is None or node.id not in own | after:
            continue
        keeps_graphs = isinstance(node.work, Parallel) and run.scopes is not None and node.id not in after
        if keeps_graphs:
            _reset_parallel(plan, run)
        else:
            if run.scopes is not None:
                plan.dropped.append(run.path)
            _put_back(plan, run, keeps_child=node.id not in after)
    return bool(own)


def _runs_again(plan: Plan, scope: str, node: Node) -> bool:
    """Whether a node must run again for its own sake, or for the sake of what lies in it."""
    run = plan.find(run_path(scope, node.id))
    if run is None:
        return False
    if run.status is NodeRunStatus.FAILED:
        return node.on_error is OnError.FAIL
    if run.status in (NodeRunStatus.CANCELLED, NodeRunStatus.COMPENSATED) or run.is_open:
        return True
    return any(
        _runs_again(plan, inner.path, node)
        for inner in (plan.scopes_of(run) if run.scopes else ())
        for node in plan.graph_of(inner.path).nodes
        if inner.status is ScopeStatus.SUCCEEDED
    )


def nodes_after(graph: Graph, node_ids: set[str]) -> set[str]:
    """The nodes that come after others."""
    found: set[str] = set()
    waiting = list(node_ids)
    while waiting:
        node = graph.by_id[waiting.pop()]
        following = {edge.target for edge in graph.outgoing[node.id]}
        if node.error_node_id is not None:
            following.add(node.error_node_id)
        waiting += following - found
        found |= following
    return found


def _put_back(plan: Plan, run: Run, *, keeps_child: bool = False) -> Run:
    """A final run becomes PENDING, as if it had just been reached; its attempts count on.

    With `keeps_child` a child that did not succeed runs on when the run begins; else it gets another.
    """
    keeps_child &= run.status in (NodeRunStatus.FAILED, NodeRunStatus.CANCELLED)
    if not run.is_open:
        plan.execution.open_runs += 1
    plan.runs[run.path] = replace(
        Run(
            id=run.id,
            path=run.path,
            scope=run.scope,
            node_id=run.node_id,
            type=run.type,
            place=run.place,
            status=NodeRunStatus.PENDING,
            created_at=run.created_at,
            parent_node_run_id=run.parent_node_run_id,
        ),
        attempt=run.attempt,
        child_execution_id=run.child_execution_id if keeps_child else None,
    )
    return plan.runs[run.path]


def _reset_parallel(plan: Plan, run: Run) -> None:
    """Its graphs that did not succeed, or in which something was undone, run again."""
    opened = settled = 0
    for scope in plan.scopes_of(run):
        runs_again = scope.status is not ScopeStatus.PENDING and _reset(plan, scope.path)
        if scope.status is ScopeStatus.SUCCEEDED and not runs_again:
            opened += 1
            settled += 1
        elif scope.status is not ScopeStatus.PENDING:
            plan.change_scope(scope.path, status=ScopeStatus.PENDING, result=None)
    total = run.scopes
    _put_back(plan, run)
    plan.begin(
        run.path,
        NodeRunStatus.RUNNING,
        ExecutionEventKind.NODE_STARTED,
        scopes=total,
        scopes_opened=opened,
        scopes_settled=settled,
        scopes_succeeded=settled,
    )
