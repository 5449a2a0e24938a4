"""What it means to executions that some of their tasks have moved: read with all that their next steps are sure to need."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from taskflow_core.db import Connection
from taskflow_core.executions.happen import (
    ChildEnded,
    Happening,
    Stepped,
    TaskEnded,
    TaskRetrying,
)
from taskflow_core.executions.orders import from_parent, is_from_parent
from taskflow_core.executions.reading import RUN_COLUMNS, add_graphs, read_around, result_value
from taskflow_core.executions.state import State
from taskflow_core.service_tasks import STEP
from taskflow_core.states import EXECUTION_FINAL, ExecutionStatus, TaskStatus
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.graph import NodeType

TASKS = """
SELECT t.id, t.execution_id, t.task_type, t.status, t.attempt, t.error, t.cancel_reason, r.result, r.result_url,
  CASE WHEN t.task_type = $2 THEN t.payload END AS payload
FROM tasks t LEFT JOIN task_results r ON r.task_id = t.id AND r.task_id = ANY($1::uuid[])
WHERE t.id = ANY($1::uuid[]) ORDER BY t.finished_at, t.id
"""

# The runs of these tasks, those with these ids, and all runs beside them in their graphs.
RUNS = f"""
WITH graphs AS MATERIALIZED (
  SELECT execution_id, scope FROM node_runs WHERE task_id = ANY($1::uuid[]) AND execution_id = ANY($3::uuid[])
  UNION
  SELECT execution_id, scope FROM node_runs WHERE compensation_task_id = ANY($1::uuid[])
  UNION
  SELECT execution_id, scope FROM node_runs WHERE id = ANY($2::uuid[])
)
SELECT n.execution_id, {", ".join(f"n.{name}" for name in RUN_COLUMNS)}
FROM node_runs n JOIN graphs USING (execution_id, scope)
WHERE n.execution_id = ANY(ARRAY(SELECT execution_id FROM graphs)) AND n.scope = ANY(ARRAY(SELECT scope FROM graphs))
"""  # noqa: S608 - the columns are our own

CHILDREN = "SELECT id, status, output, error FROM workflow_executions WHERE id = ANY($1::uuid[])"

Orders = Mapping[UUID, dict[str, Any]]


async def read_ended(
    connection: Connection, states: Mapping[UUID, State], task_ids: Sequence[UUID]
) -> dict[UUID, list[Happening]]:
    """What the ends of tasks mean to their executions, in the order in which they came."""
    tasks = await connection.fetch(TASKS, task_ids, STEP)
    # Of the engine's own tasks: what they are for.
    orders = {task["id"]: json.loads(task["payload"]) for task in tasks if task["payload"] is not None}
    stepped = [UUID(order["node_run_id"]) for order in orders.values() if "node_run_id" in order]
    # Those of others are of parents, from which an order comes.
    found = await connection.fetch(RUNS, task_ids, stepped, list(states))
    runs = [run for run in found if run["execution_id"] in states]
    add_graphs(states, runs)
    await read_around(connection, states, {(run["execution_id"], run["scope"]) for run in runs})
    children = await _children(connection, runs, orders) if stepped else {}
    return _happenings(states, tasks, found, orders, children)


async def _children(connection: Connection, runs: Sequence[Row], orders: Orders) -> dict[UUID, Row]:
    """The children that have ended, of runs that are to be looked at."""
    stepped = {order.get("node_run_id") for order in orders.values()}
    wanted = [
        run["child_execution_id"] for run in runs if run["child_execution_id"] and str(run["id"]) in stepped
    ]
    if not wanted:
        return {}
    rows = await connection.fetch(CHILDREN, wanted)
    return {row["id"]: row for row in rows if row["status"] in EXECUTION_FINAL}


def _happenings(
    states: Mapping[UUID, State],
    tasks: Sequence[Row],
    runs: Sequence[Row],
    orders: Orders,
    children: Mapping[UUID, Row],
) -> dict[UUID, list[Happening]]:
    by_task = {(run["execution_id"], run["task_id"]): run for run in runs}
    by_task |= {(run["execution_id"], run["compensation_task_id"]): run for run in runs}
    by_id = {str(run["id"]): run for run in runs} if orders else {}
    happenings: defaultdict[UUID, list[Happening]] = defaultdict(list)
    for task in tasks:
        order = orders.get(task["id"])
        run = by_task.get((task["execution_id"], task["id"]))
        happening: Happening | None = None
        if order is not None and is_from_parent(order):
            happening = from_parent(order, task["execution_id"], by_id)
        elif order is not None:
            run = by_id.get(order["node_run_id"])
            happening = None if run is None else _step(run, children)
        elif run is not None:
            happening = _task_moved(task, run["path"])
        if happening is not None and task["execution_id"] in states:
            happenings[task["execution_id"]].append(happening)
    return happenings


def _step(run: Row, children: Mapping[UUID, Row]) -> Happening | None:
    if run["type"] != NodeType.SUBWORKFLOW:
        return Stepped(run["path"])
    child = children.get(run["child_execution_id"])
    if child is None:
        return None
    return ChildEnded(
        path=run["path"],
        child_id=child["id"],
        status=ExecutionStatus(child["status"]),
        output=None if child["output"] is None else json.loads(child["output"]),
        error=child["error"],
    )


def _task_moved(task: Row, path: str) -> Happening:
    if task["status"] == TaskStatus.RETRYING:
        return TaskRetrying(path=path, task_id=task["id"], error=task["error"], attempt=task["attempt"])
    return TaskEnded(
        path=path,
        task_id=task["id"],
        status=TaskStatus(task["status"]),
        attempt=task["attempt"],
        result=result_value(task),
        error=task["error"],
        reason=task["cancel_reason"] or "",
    )
