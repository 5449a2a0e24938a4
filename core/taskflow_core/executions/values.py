"""What expressions see of an execution, and what they give: evaluated as far as that is cheap for sure."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from taskflow_core.executions.paths import ROOT, index_of, owner_of, run_path
from taskflow_core.executions.plan import Plan
from taskflow_core.executions.state import Need, Run, Signal, Unreadable
from taskflow_core.states import NodeRunStatus
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.expressions import (
    Expression,
    compile_expression,
    evaluate,
    follow,
    json_value,
    name_of,
    used,
)


def value_of(plan: Plan, scope: str, source: str, signal: Signal | None = None) -> Any:
    """The value of an expression in a graph: JSON, datetime or timedelta. Raises ExpressionError, Need."""
    expression = compile_expression(source)
    variables = _variables(plan, scope, expression, signal)
    if expression.syntax.is_path:
        return follow(expression, variables)
    if not expression.syntax.needs_bounds:
        parts, _ = used(expression, variables)
        return evaluate(expression, parts)
    key = (f"{scope} {'' if signal is None else signal.id}", source)
    if key not in plan.state.values:
        raise Need(value=key, value_scope=variables)
    value = plan.state.values[key]
    if isinstance(value, ExpressionError):
        raise value
    return value


def json_of(plan: Plan, scope: str, source: str) -> Any:
    """The value, as JSON. Raises ExpressionError, Need."""
    return json_value(value_of(plan, scope, source))


def truth_of(plan: Plan, scope: str, source: str, signal: Signal | None = None) -> bool:
    """The value of a condition. Raises ExpressionError if it is neither true nor false, Need."""
    value = value_of(plan, scope, source, signal)
    if not isinstance(value, bool):
        raise ExpressionError(f"gives {name_of(value)}, not true or false")
    return value


def items_of(plan: Plan, scope: str, source: str) -> list[Any]:
    """The list of a map. Raises ExpressionError, Need."""
    value = value_of(plan, scope, source)
    if not isinstance(value, list):
        raise ExpressionError(f"gives {name_of(value)}, not a list")
    return value


def time_of(plan: Plan, scope: str, source: str) -> datetime:
    """Until when a DELAY is. Raises ExpressionError, Need."""
    value = value_of(plan, scope, source)
    if isinstance(value, timedelta):
        return plan.now + value
    if not isinstance(value, datetime):
        raise ExpressionError(
            f"gives {name_of(value)}, not a timestamp or a duration; write timestamp(...) or duration(...)"
        )
    return value


def fields_of(
    plan: Plan, scope: str, fields: Mapping[str, Any], *layers: Mapping[str, str]
) -> dict[str, Any]:
    """The fields, with those of each layer of expressions laid over them.

    Raises ExpressionError, whose message begins with the name of the field, and Need.
    """
    filled = dict(fields)
    for layer in layers:
        for name, source in layer.items():
            try:
                filled[name] = json_of(plan, scope, source)
            except ExpressionError as error:
                raise ExpressionError(f"{name}: {error.message}", error.position) from None
    return filled


def result_of(plan: Plan, run: Run) -> Any:
    """What a run gave; null if it did not succeed. Raises ExpressionError, Need."""
    if run.path in plan.results:
        return plan.results[run.path]
    if run.result is not None:
        return json.loads(run.result)
    if run.status not in (NodeRunStatus.SUCCEEDED, NodeRunStatus.COMPENSATED):
        return None
    if run.path not in plan.state.results:
        raise Need(results=frozenset([run.path]))
    result = plan.state.results[run.path]
    if isinstance(result, Unreadable):
        raise ExpressionError(f"nodes.{run.node_id}.result {result.why}")
    return result


def _variables(plan: Plan, scope: str, expression: Expression, signal: Signal | None) -> dict[str, Any]:
    """Those that there are in a graph; of the nodes only those that the expression names."""
    execution = plan.execution
    variables: dict[str, Any] = {
        "input": None,
        "nodes": {},
        "execution": {
            "id": str(execution.id),
            "name": execution.name,
            "workflow_version": execution.workflow_version,
            "create_time": execution.created_at,
        },
    }
    if "input" in expression.variables:
        variables["input"] = plan.input
    if expression.node_ids:
        variables["nodes"] = _nodes(plan, scope, expression)
    place = _map_item(scope)
    if place is not None and expression.variables & {"item", "index"}:
        variables |= {"item": json.loads(plan.scope(place).item or "null"), "index": index_of(place)}
    if signal is not None:
        variables["signal"] = {
            "name": signal.name,
            "payload": json.loads(signal.payload),
            "sender": signal.sender,
            "time": signal.created_at,
        }
    return variables


def _nodes(plan: Plan, scope: str, expression: Expression) -> dict[str, Any]:
    wants_result = {
        str(reference.steps[0])
        for reference in expression.syntax.references
        if reference.variable == "nodes"
        and reference.steps
        and (len(reference.steps) == 1 or reference.steps[1] == "result")
    }
    nodes: dict[str, Any] = {}
    missing: set[str] = set()
    for node_id in sorted(expression.node_ids):
        run = _visible(plan, scope, node_id)
        if run is None or run.is_open:
            continue
        nodes[node_id] = {"result": None, "status": run.status.value, "error": _error(run)}
        if node_id in wants_result:
            try:
                nodes[node_id]["result"] = result_of(plan, run)
            except Need as need:
                missing |= need.results
    if missing:
        raise Need(results=frozenset(missing))
    return nodes


def _error(run: Run) -> dict[str, Any] | None:
    if run.error is None or run.status is not NodeRunStatus.FAILED:
        return None
    return {"type": run.error["type"], "message": run.error["message"]}


def _visible(plan: Plan, scope: str, node_id: str) -> Run | None:
    """The run of a node in a graph or in one that it lies in."""
    while True:
        if node_id in plan.graph_of(scope).by_id:
            return plan.find(run_path(scope, node_id))
        if scope == ROOT:
            return None
        scope = plan.run(owner_of(scope)).scope


def _map_item(scope: str) -> str | None:
    """The innermost graph of a map that a graph is or lies in."""
    while scope and not scope.endswith("]"):
        scope = owner_of(scope)
        scope = scope[: scope.rindex(".")] if "." in scope else ROOT
    return scope or None
