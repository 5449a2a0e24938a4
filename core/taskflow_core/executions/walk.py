"""Walking on: what follows from runs that have ended, until nothing more follows without a task or a time.

The joins of nodes are counted over the runs of their graph; those of PARALLEL nodes are counters in its run.
"""

from typing import Any

from taskflow_core.executions.begin import begin
from taskflow_core.executions.paths import ROOT, branch_of, owner_of, run_path
from taskflow_core.executions.plan import Plan
from taskflow_core.executions.planned import engine_error
from taskflow_core.executions.schemas import schema_error
from taskflow_core.executions.state import Run, Scope
from taskflow_core.executions.stop import fail_execution, stop_open
from taskflow_core.executions.undo import undo_next
from taskflow_core.executions.values import json_of, result_of, truth_of
from taskflow_core.executions.ways import ways_into
from taskflow_core.payloads import canonical_json
from taskflow_core.states import ExecutionEventKind, ExecutionStatus, NodeRunStatus, ScopeStatus
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.graph import (
    Edge,
    Join,
    JoinMode,
    Node,
    OnError,
    Parallel,
)


def walk_on(plan: Plan) -> None:
    """Take all that is queued to its end, and end the execution if nothing is left."""
    while True:
        if plan.ended:
            _follow(plan, plan.ended.pop(0))
        elif plan.looks:
            scope, node_id = next(iter(plan.looks))
            del plan.looks[scope, node_id]
            _look(plan, scope, node_id)
        elif plan.touched:
            scope = next(iter(plan.touched))
            del plan.touched[scope]
            _end_scope_if_done(plan, scope)
        elif plan.openings:
            path = next(iter(plan.openings))
            del plan.openings[path]
            _open_scopes(plan, plan.run(path))
        elif not _conclude(plan):
            return


def enter(plan: Plan, scope: str) -> None:
    """Look at all nodes of a graph: when it starts, or goes on after a retry."""
    plan.require_whole([scope])
    for node in plan.graph_of(scope).nodes:
        plan.looks[scope, node.id] = None
    plan.touched[scope] = None


def _follow(plan: Plan, run: Run) -> None:
    """What a run that has ended leads to."""
    if not plan.is_alive(run.scope):
        return
    node = plan.node_at(run.path)
    if run.status is NodeRunStatus.FAILED and node.on_error is OnError.FAIL:
        _fail_scope(plan, run.scope, run)
        return
    plan.require_whole([run.scope])
    graph = plan.graph_of(run.scope)
    taken = []
    for place, edge in enumerate(graph.outgoing[node.id]):
        try:
            if _leads_on(plan, plan.run(run.path), node, edge):
                taken.append(place)
        except ExpressionError as error:
            _fail_target(plan, run.scope, graph.by_id[edge.target], edge, error)
        plan.looks[run.scope, edge.target] = None
    plan.change(run.path, edges_taken=taken)
    if node.error_node_id is not None:
        plan.looks[run.scope, node.error_node_id] = None
    plan.touched[run.scope] = None


def _leads_on(plan: Plan, run: Run, node: Node, edge: Edge) -> bool:
    """Whether an edge is taken. Raises ExpressionError."""
    if run.status is not NodeRunStatus.SUCCEEDED and not (
        run.status is NodeRunStatus.FAILED and node.on_error is OnError.CONTINUE
    ):
        return False
    if edge.branch is not None and edge.branch != run.branch:
        return False
    return edge.condition is None or truth_of(plan, run.scope, edge.condition)


def _fail_target(plan: Plan, scope: str, target: Node, edge: Edge, error: ExpressionError) -> None:
    run = plan.reach(scope, target)
    if run.status is NodeRunStatus.PENDING:
        plan.fail(run.path, "BadExpression", f"condition of the edge {edge.source} -> {edge.target}: {error}")


def _look(plan: Plan, scope: str, node_id: str) -> None:
    """Start a node whose join is met, skip one whose join never will be."""
    if not plan.is_alive(scope):
        return
    graph = plan.graph_of(scope)
    node = graph.by_id[node_id]
    run = plan.find(run_path(scope, node_id))
    if run is not None and run.status is not NodeRunStatus.PENDING:
        if run.scopes:
            plan.openings[run.path] = None  # after a retry its graphs go on
        return
    ways = ways_into(plan, scope, graph, node)
    starts = True if not ways.all else ways.verdict(node.join)
    if starts is None:
        if ways.settled:
            plan.reach(scope, node)
        return
    run = plan.reach(scope, node)
    if starts:
        begin(plan, run, node, ways.edges)
    else:
        plan.end(run.path, NodeRunStatus.SKIPPED)


def _end_scope_if_done(plan: Plan, scope: str) -> None:
    """A graph inside a PARALLEL node ends with its last node; that of the workflow in `_conclude`."""
    if scope == ROOT or not plan.is_alive(scope) or not _is_done(plan, scope):
        return
    try:
        result = _output(plan, scope)
    except ExpressionError as error:
        plan.change_scope(scope, status=ScopeStatus.FAILED)
        _scope_settled(plan, scope, engine_error("BadExpression", f"output_expression: {error}"))
        return
    plan.change_scope(scope, status=ScopeStatus.SUCCEEDED, result=canonical_json(result))
    _scope_settled(plan, scope, None)


def _is_done(plan: Plan, scope: str) -> bool:
    plan.require_whole([scope])
    for node in plan.graph_of(scope).nodes:
        run = plan.find(run_path(scope, node.id))
        if run is None or run.is_open:
            return False
    return True


def _output(plan: Plan, scope: str) -> Any:
    """What a graph gives. Raises ExpressionError."""
    graph = plan.graph_of(scope)
    if graph.output_expression is not None:
        return json_of(plan, scope, graph.output_expression)
    results = {node.id: result_of(plan, plan.run(run_path(scope, node.id))) for node in graph.leaves}
    if scope != ROOT and len(results) == 1:
        return next(iter(results.values()))
    return results


def _fail_scope(plan: Plan, scope: str, run: Run) -> None:
    """A node failed for good: so does the graph that it lies in."""
    error = run.error or engine_error("Unknown", "the node failed")
    if scope == ROOT:
        fail_execution(plan, error, run.node_id)
        return
    plan.change_scope(scope, status=ScopeStatus.FAILED)
    stop_open(plan, scope)
    _scope_settled(plan, scope, {**error, "message": f"{run.path}: {error['message']}"[:4000]})


def _scope_settled(plan: Plan, scope: str, error: dict[str, Any] | None) -> None:
    """Count a graph of a PARALLEL node that has ended, and end the node if its join says so."""
    path = owner_of(scope)
    run = plan.run(path)
    settled = run.scopes_settled or 0
    run = plan.change(
        path,
        scopes_settled=settled + 1,
        scopes_succeeded=(run.scopes_succeeded or 0) + (error is None),
    )
    parallel = plan.node_at(path).work
    assert isinstance(parallel, Parallel)  # noqa: S101 - it has graphs
    if run.status is NodeRunStatus.SUCCEEDED:
        plan.openings[path] = None  # the rest runs on
        return
    succeeds = _parallel_verdict(run, parallel.join)
    if succeeds is None:
        plan.openings[path] = None
        # In whole percents, so that the log of a large map does not grow with it.
        if run.scopes and 100 * settled // run.scopes < 100 * (settled + 1) // run.scopes:
            plan.log(ExecutionEventKind.NODE_PROGRESS, run)
    elif succeeds:
        _end_parallel(plan, run, parallel)
    else:
        failed = (run.scopes_settled or 0) - (run.scopes_succeeded or 0)
        cause = "" if error is None else f"; the last: {error['type']} at {error['message']}"
        plan.fail(path, "JoinNotMet", f"{failed} of {run.scopes} failed{cause}")
        stop_open(plan, path)


def _parallel_verdict(run: Run, join: Join) -> bool | None:
    total, settled, succeeded = run.scopes or 0, run.scopes_settled or 0, run.scopes_succeeded or 0
    failed = settled - succeeded
    match join.mode:
        case JoinMode.ALL:
            return False if failed else (True if settled == total else None)
        case JoinMode.ALL_SETTLED:
            return True if settled == total else None
    needed = 1 if join.mode is JoinMode.ANY else join.count
    if succeeded >= needed:
        return True
    return False if total - failed < needed else None


def _end_parallel(plan: Plan, run: Run, parallel: Parallel) -> None:
    texts = {scope.path: scope.result or "null" for scope in plan.scopes_of(run)}
    if parallel.is_map:
        text = f"[{','.join(texts.values())}]"
    else:
        members = (f'"{branch_of(path)}":{text}' for path, text in texts.items())
        text = f"{{{','.join(members)}}}"
    if len(text.encode()) > plan.limits.result_bytes:
        plan.fail(
            run.path,
            "ResultTooLarge",
            f"{len(text.encode())} bytes of JSON; at most {plan.limits.result_bytes} are allowed",
        )
    else:
        plan.end_with_text(run.path, text)
    if not parallel.keep_rest:
        stop_open(plan, run.path)
    else:
        plan.openings[run.path] = None


def _open_scopes(plan: Plan, run: Run) -> None:
    """Start as many graphs of a PARALLEL node as there is room for, in slices."""
    parallel = plan.node_at(run.path).work
    assert isinstance(parallel, Parallel)  # noqa: S101 - it has graphs
    waiting = (run.scopes or 0) - (run.scopes_opened or 0)
    room = waiting
    if parallel.max_concurrency is not None:
        room = min(room, parallel.max_concurrency - (run.scopes_opened or 0) + (run.scopes_settled or 0))
    count = min(room, plan.limits.slice - plan.opened)
    is_over = run.status not in (NodeRunStatus.RUNNING, NodeRunStatus.SUCCEEDED) or run.stop is not None
    if (
        is_over
        or (run.status is NodeRunStatus.SUCCEEDED and not parallel.keep_rest)
        or not plan.is_alive(run.scope)
    ):
        return
    if room > count:
        plan.step(run)
    if count <= 0:
        return
    chosen: list[Scope] = plan.next_pending(run, count)
    plan.require_whole([scope.path for scope in chosen])
    plan.opened += len(chosen)
    plan.change(run.path, scopes_opened=(run.scopes_opened or 0) + len(chosen))
    for scope in chosen:
        plan.change_scope(scope.path, status=ScopeStatus.RUNNING)
        enter(plan, scope.path)


def _conclude(plan: Plan) -> bool:
    """End the execution if nothing of it is open; True if there is more to walk."""
    execution = plan.execution
    if execution.finished_at is not None or execution.open_runs > 0 or plan.steps:
        return False
    if execution.status is ExecutionStatus.COMPENSATING:
        return False
    if execution.ending is None:
        return _succeed(plan)
    if not undo_next(plan):
        finish(plan, execution.ending)
    return False


def _succeed(plan: Plan) -> bool:
    if not _is_done(plan, ROOT):
        raise RuntimeError("nothing of the execution is open, but its graph is not at its end")
    schema = plan.state.definition.output_schema
    try:
        output = _output(plan, ROOT)
    except ExpressionError as error:
        fail_execution(plan, engine_error("BadExpression", f"output_expression: {error}"))
        return True
    wrong = schema_error(schema, output) if schema else None
    if wrong is not None:
        fail_execution(plan, engine_error("InvalidOutput", f"the output does not fit its schema: {wrong}"))
        return True
    plan.execution.output = canonical_json(output)
    finish(plan, ExecutionStatus.SUCCEEDED)
    return False


def undo_on(plan: Plan) -> None:
    """Undo the next run, or end the execution if that was the last."""
    if plan.execution.status is ExecutionStatus.COMPENSATING and not undo_next(plan):
        finish(plan, plan.execution.ending or ExecutionStatus.FAILED)


def finish(plan: Plan, status: ExecutionStatus) -> None:
    """The execution reaches its end."""
    execution = plan.execution
    execution.status = status
    execution.ending = None if status is ExecutionStatus.SUCCEEDED else status
    execution.finished_at = plan.now
    kind = ExecutionEventKind(status.value)
    if status is ExecutionStatus.FAILED:
        plan.log(kind, error=execution.error)
    else:
        plan.log(kind, message=execution.cancel_reason or "")
