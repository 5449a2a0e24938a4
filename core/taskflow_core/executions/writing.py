"""Writing plans: array statements over all executions of a batch, each status moved by a guarded UPDATE.

The executions are locked meanwhile, so a guard that does not hold is a defect: it undoes the transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from taskflow_core.arrays import Arrays, crossing
from taskflow_core.db import Connection
from taskflow_core.executions.plan import Plan
from taskflow_core.executions.planned import PlannedTask
from taskflow_core.executions.state import Run
from taskflow_core.models.execution import ExecutionEvent, ExecutionScope, NodeRun, WorkflowExecution
from taskflow_core.models.task import Task
from taskflow_core.tasks.rows import Row

# What a plan may change of an execution.
_CHANGED = (
    *("status", "ending", "output", "error", "failed_node_id", "cancel_requested_at", "cancel_reason"),
    *("skip_compensation", "open_runs", "reached_runs", "last_sequence", "expire_at", "deadline_at"),
    "finished_at",
)
_RUN = tuple(field.name for field in fields(Run))
_RUN_KEPT = ("path", "scope", "node_id", "type", "place", "created_at", "parent_node_run_id")
_RUN_CHANGED = tuple(name for name in _RUN if name not in _RUN_KEPT)
_EVENT = ("execution_id", "sequence", "tenant_id", "kind", "status", "actor", "data")
_SCOPE = ("execution_id", "path", "node_run_id", "place", "item", "status", "result")
_TASK = (
    *("id", "tenant_id", "name", "task_type", "queue", "priority", "payload", "payload_form", "tags"),
    *("retry_policy", "attempt_timeout", "execution_id", "node_id", "run_at"),
)


class GuardFailed(Exception):
    """A row is not as the plan found it."""


EXECUTIONS = Arrays(WorkflowExecution, ("id", *_CHANGED), guarded=True)
RUNS = Arrays(NodeRun, _RUN_CHANGED, first=EXECUTIONS.next, guarded=True)
NEW_RUNS = Arrays(NodeRun, ("execution_id", "tenant_id", *_RUN), first=RUNS.next)
EVENTS = Arrays(ExecutionEvent, _EVENT, first=NEW_RUNS.next)

# A result that the plan did not read stays; one of a run that starts anew goes.
_RESULT = "CASE WHEN new.status = 'PENDING' THEN NULL ELSE coalesce(new.result, n.result) END"

# One trip for what every step writes. The statuses before are the guards. Webhooks tell of executions as this leaves
# them.
WRITE = f"""
WITH executions AS (
  UPDATE workflow_executions e SET {EXECUTIONS.moves("id")}
  FROM {EXECUTIONS.rows}
  WHERE e.id = ANY($1::uuid[]) AND e.id = new.id AND e.status = new.before
  RETURNING e.id
), runs AS (
  UPDATE node_runs n SET {RUNS.moves("id", result=_RESULT)}
  FROM {RUNS.rows}
  WHERE n.id = ANY(${RUNS.first}::uuid[]) AND n.id = new.id AND n.status = new.before
  RETURNING n.id
), new_runs AS (
  INSERT INTO node_runs ({NEW_RUNS.names}) SELECT {NEW_RUNS.values()} FROM {NEW_RUNS.rows}
), events AS (
  INSERT INTO execution_events ({EVENTS.names}) SELECT {EVENTS.values()} FROM {EVENTS.rows}
)
SELECT (SELECT count(*) FROM executions) AS executions, (SELECT count(*) FROM runs) AS runs
"""  # noqa: S608 - the columns are our own

NEW_SCOPES = Arrays(ExecutionScope, _SCOPE)
INSERT_SCOPES = f"""
INSERT INTO execution_scopes ({NEW_SCOPES.names}) SELECT {NEW_SCOPES.values()} FROM {NEW_SCOPES.rows}
"""  # noqa: S608
SCOPES = Arrays(ExecutionScope, ("execution_id", "path", "status", "result"))
MOVE_SCOPES = f"""
UPDATE execution_scopes s SET {SCOPES.moves("execution_id", "path")} FROM {SCOPES.rows}
WHERE s.execution_id = ANY($1::uuid[]) AND s.path = ANY($2::text[])
  AND s.execution_id = new.execution_id AND s.path = new.path
RETURNING s.path
"""  # noqa: S608

NEW_TASKS = Arrays(Task, _TASK)
INSERT_TASKS = f"""
WITH created AS (
  INSERT INTO tasks ({NEW_TASKS.names}, status)
  SELECT {NEW_TASKS.values(run_at="greatest(new.run_at, statement_timestamp())")},
    CASE WHEN new.run_at > statement_timestamp() THEN 'SCHEDULED' ELSE 'QUEUED' END
  FROM {NEW_TASKS.rows}
  RETURNING id, tenant_id, status, queue, priority, attempt, run_at
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
  SELECT id, 1, tenant_id, 'CREATED', status, 0, 'service',
    CASE WHEN status = 'SCHEDULED' THEN jsonb_build_object('next_attempt_time', run_at) END FROM created
)
SELECT id, queue, priority, attempt, run_at, statement_timestamp() AS now FROM created
"""  # noqa: S608

TAKE_SIGNALS = """
UPDATE execution_signals s SET taken_by = taken.run_id
FROM unnest($1::uuid[], $2::uuid[]) AS taken (id, run_id)
WHERE s.id = ANY($1::uuid[]) AND s.id = taken.id AND s.taken_by IS NULL
RETURNING s.id
"""

FORGET = """
WITH runs AS (
  DELETE FROM node_runs n USING unnest($1::uuid[], $2::text[]) AS gone (execution_id, path)
  WHERE n.execution_id = ANY($1::uuid[]) AND n.execution_id = gone.execution_id
    AND (starts_with(n.scope, gone.path || '.') OR starts_with(n.scope, gone.path || '['))
)
DELETE FROM execution_scopes s USING unnest($1::uuid[], $2::text[]) AS gone (execution_id, path)
WHERE s.execution_id = ANY($1::uuid[]) AND s.execution_id = gone.execution_id
  AND (starts_with(s.path, gone.path || '.') OR starts_with(s.path, gone.path || '['))
"""


async def write_plans(connection: Connection, plans: Mapping[UUID, Plan]) -> list[Row]:
    """Write all that these plans change, but for executions that are new; the rows of the tasks are good for hints."""
    forgotten = [(key, path) for key, plan in plans.items() for path in plan.dropped]
    if forgotten:
        await connection.execute(FORGET, [key for key, _ in forgotten], [path for _, path in forgotten])
    await _write_scopes(connection, plans)
    await _take_signals(connection, plans)
    await _write(connection, plans)
    return await insert_tasks(
        connection, [(plan.execution.id, task) for plan in plans.values() for task in plan.tasks]
    )


async def _write(connection: Connection, plans: Mapping[UUID, Plan]) -> None:
    stored = [plan for plan in plans.values() if not plan.state.is_new]
    moved: list[tuple[dict[str, Any], str]] = []  # with the statuses before
    new: list[dict[str, Any]] = []
    for plan in plans.values():
        for path, run in plan.runs.items():
            known = plan.state.runs.get(path)
            if known is not None and known.id == run.id:
                moved.append((vars(run), known.status))
            else:
                new.append({**vars(run), **_owner(plan)})
    [written] = await connection.fetch(
        WRITE,
        *EXECUTIONS.of([vars(plan.execution) for plan in stored]),
        crossing([plan.state.execution.status for plan in stored]),
        *RUNS.of([row for row, _ in moved]),
        crossing([status for _, status in moved]),
        *NEW_RUNS.of(new),
        *EVENTS.of([{**vars(event), **_owner(plan)} for plan in plans.values() for event in plan.events]),
    )
    _expect(len(stored), written["executions"], "executions")
    _expect(len(moved), written["runs"], "node runs")


def _owner(plan: Plan) -> dict[str, Any]:
    return {"execution_id": plan.execution.id, "tenant_id": plan.execution.tenant_id}


async def insert_tasks(connection: Connection, tasks: Sequence[tuple[UUID, PlannedTask]]) -> list[Row]:
    """Create tasks of executions; the rows are good for hints."""
    if not tasks:
        return []
    rows = [
        {
            **task.new._asdict(),
            "id": task.id,
            "execution_id": execution_id,
            "node_id": task.node_id,
            "run_at": task.new.schedule_time,
        }
        for execution_id, task in tasks
    ]
    return list(await connection.fetch(INSERT_TASKS, *NEW_TASKS.of(rows)))


async def _write_scopes(connection: Connection, plans: Mapping[UUID, Plan]) -> None:
    new: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    for plan in plans.values():
        for path, scope in plan.scopes.items():
            row = {"execution_id": plan.execution.id, **vars(scope)}
            (moved if path in plan.read_scopes else new).append(row)
    if new:
        await connection.execute(INSERT_SCOPES, *NEW_SCOPES.of(new))
    if moved:
        _expect(len(moved), len(await connection.fetch(MOVE_SCOPES, *SCOPES.of(moved))), "graphs")


async def _take_signals(connection: Connection, plans: Mapping[UUID, Plan]) -> None:
    taken = {signal: run for plan in plans.values() for signal, run in plan.taken_signals.items()}
    if taken:
        moved = await connection.fetch(TAKE_SIGNALS, list(taken), list(taken.values()))
        _expect(len(taken), len(moved), "signals")


def _expect(wanted: int, moved: int, what: str) -> None:
    if wanted != moved:
        raise GuardFailed(f"{wanted} {what} were to move, and {moved} did")
