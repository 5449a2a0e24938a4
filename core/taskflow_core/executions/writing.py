"""Writing plans: array statements over all executions of a batch, each status moved by a guarded UPDATE.

The executions are locked meanwhile, so a guard that does not hold is a defect: it undoes the transaction.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from taskflow_core.db import Connection
from taskflow_core.executions.plan import Plan, PlannedTask
from taskflow_core.executions.state import Execution, Run
from taskflow_core.tasks.rows import Row

# What a plan may change of an execution.
_CHANGED = (
    *("status", "ending", "output", "error", "failed_node_id", "cancel_requested_at", "cancel_reason"),
    *("skip_compensation", "open_runs", "reached_runs", "last_sequence", "expire_at", "deadline_at"),
    "finished_at",
)
_RUN_COLUMNS = tuple(field.name for field in fields(Run))
_RUN_CHANGED = tuple(
    name
    for name in _RUN_COLUMNS
    if name
    not in ("id", "path", "scope", "node_id", "type", "place", "created_at", "parent_node_run_id", "result")
)


class GuardFailed(Exception):
    """A row is not as the plan found it."""


MOVE_EXECUTIONS = f"""
UPDATE workflow_executions e SET {", ".join(f"{name} = new.{name}" for name in _CHANGED)}
FROM jsonb_populate_recordset(NULL::workflow_executions, $1::text::jsonb) AS new
JOIN unnest($2::uuid[], $3::text[]) AS before (id, status) ON before.id = new.id
WHERE e.id = ANY($2::uuid[]) AND e.id = new.id AND e.status = before.status
RETURNING e.id
"""  # noqa: S608 - the columns are our own

INSERT_RUNS = f"""
INSERT INTO node_runs (execution_id, tenant_id, {", ".join(_RUN_COLUMNS)})
SELECT execution_id, tenant_id, {", ".join(_RUN_COLUMNS)}
FROM jsonb_populate_recordset(NULL::node_runs, $1::text::jsonb)
"""  # noqa: S608

# A result that the plan did not read stays; one of a run that starts anew goes.
MOVE_RUNS = f"""
UPDATE node_runs n SET {", ".join(f"{name} = new.{name}" for name in _RUN_CHANGED)},
  result = CASE WHEN new.status = 'PENDING' THEN NULL ELSE coalesce(new.result, n.result) END
FROM jsonb_populate_recordset(NULL::node_runs, $1::text::jsonb) AS new
JOIN unnest($2::uuid[], $3::text[]) AS before (id, status) ON before.id = new.id
WHERE n.id = ANY($2::uuid[]) AND n.id = new.id AND n.status = before.status
RETURNING n.id
"""  # noqa: S608

INSERT_SCOPES = """
INSERT INTO execution_scopes (execution_id, path, node_run_id, place, item, status, result)
SELECT execution_id, path, node_run_id, place, item, status, result
FROM jsonb_populate_recordset(NULL::execution_scopes, $1::text::jsonb)
"""
MOVE_SCOPES = """
UPDATE execution_scopes s SET status = new.status, result = new.result
FROM jsonb_populate_recordset(NULL::execution_scopes, $1::text::jsonb) AS new
WHERE s.execution_id = ANY($2::uuid[]) AND s.path = ANY($3::text[])
  AND s.execution_id = new.execution_id AND s.path = new.path
RETURNING s.path
"""

INSERT_TASKS = """
WITH created AS (
  INSERT INTO tasks (
    id, tenant_id, name, task_type, queue, priority, payload, payload_form, tags, retry_policy, attempt_timeout,
    execution_id, node_id, run_at, status)
  SELECT id, tenant_id, name, task_type, queue, priority, payload, payload_form, tags, retry_policy,
    attempt_timeout, execution_id, node_id, greatest(run_at, statement_timestamp()),
    CASE WHEN run_at > statement_timestamp() THEN 'SCHEDULED' ELSE 'QUEUED' END
  FROM jsonb_populate_recordset(NULL::tasks, $1::text::jsonb)
  RETURNING id, tenant_id, status, queue, priority, attempt, run_at
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
  SELECT id, 1, tenant_id, 'CREATED', status, 0, $2,
    CASE WHEN status = 'SCHEDULED' THEN jsonb_build_object('next_attempt_time', run_at) END FROM created
)
SELECT id, queue, priority, attempt, run_at, statement_timestamp() AS now FROM created
"""

INSERT_EVENTS = """
INSERT INTO execution_events (execution_id, sequence, tenant_id, kind, status, actor, data)
SELECT execution_id, sequence, tenant_id, kind, status, actor, data
FROM jsonb_populate_recordset(NULL::execution_events, $1::text::jsonb)
"""

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
    """Write all that these plans change, but for children; the rows of the tasks are good for hints."""
    forgotten = [(key, path) for key, plan in plans.items() for path in plan.dropped]
    if forgotten:
        await connection.execute(FORGET, [key for key, _ in forgotten], [path for _, path in forgotten])
    await _move_runs(connection, plans)
    await _write_scopes(connection, plans)
    await _take_signals(connection, plans)
    moved = await connection.fetch(
        MOVE_EXECUTIONS,
        _json([_columns_of(plan.execution, ("id", *_CHANGED)) for plan in plans.values()]),
        list(plans),
        [plan.state.execution.status for plan in plans.values()],
    )
    _expect(len(plans), len(moved), "executions")
    # Webhooks tell of the executions as the events left them.
    await _write_events(connection, plans)
    tasks = [(plan.execution.id, task) for plan in plans.values() for task in plan.tasks]
    return await insert_tasks(connection, tasks)


async def insert_tasks(connection: Connection, tasks: Sequence[tuple[UUID, PlannedTask]]) -> list[Row]:
    """Create tasks of executions; the rows are good for hints."""
    if not tasks:
        return []
    rows = []
    for execution_id, task in tasks:
        new = task.new
        rows.append(
            {
                "id": task.id,
                "tenant_id": new.tenant_id,
                "name": new.name,
                "task_type": new.task_type,
                "queue": new.queue,
                "priority": new.priority,
                "payload": new.payload,
                "payload_form": new.payload_form,
                "tags": list(new.tags),
                "retry_policy": new.retry_policy,
                "attempt_timeout": new.attempt_timeout,
                "execution_id": execution_id,
                "node_id": task.node_id,
                "run_at": new.schedule_time,
            }
        )
    return list(await connection.fetch(INSERT_TASKS, _json(rows), "service"))


async def _move_runs(connection: Connection, plans: Mapping[UUID, Plan]) -> None:
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    before: list[str] = []
    for plan in plans.values():
        owner = {"execution_id": plan.execution.id, "tenant_id": plan.execution.tenant_id}
        for path, run in plan.runs.items():
            row = owner | _columns_of(run, _RUN_COLUMNS)
            known = plan.state.runs.get(path)
            if known is None or known.id != run.id:
                new.append(row)
            else:
                changed.append(row)
                before.append(known.status)
    if changed:
        moved = await connection.fetch(MOVE_RUNS, _json(changed), [row["id"] for row in changed], before)
        _expect(len(changed), len(moved), "node runs")
    if new:
        await connection.execute(INSERT_RUNS, _json(new))


async def _write_scopes(connection: Connection, plans: Mapping[UUID, Plan]) -> None:
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for plan in plans.values():
        for path, scope in plan.scopes.items():
            row = {"execution_id": plan.execution.id, **vars(scope)}
            (changed if path in plan.read_scopes else new).append(row)
    if new:
        await connection.execute(INSERT_SCOPES, _json(new))
    if changed:
        executions = list({row["execution_id"] for row in changed})
        paths = [row["path"] for row in changed]
        moved = await connection.fetch(MOVE_SCOPES, _json(changed), executions, paths)
        _expect(len(changed), len(moved), "graphs")


async def _take_signals(connection: Connection, plans: Mapping[UUID, Plan]) -> None:
    taken = {signal: run for plan in plans.values() for signal, run in plan.taken_signals.items()}
    if taken:
        moved = await connection.fetch(TAKE_SIGNALS, list(taken), list(taken.values()))
        _expect(len(taken), len(moved), "signals")


async def _write_events(connection: Connection, plans: Mapping[UUID, Plan]) -> None:
    rows = [
        {"execution_id": plan.execution.id, "tenant_id": plan.execution.tenant_id, **vars(event)}
        for plan in plans.values()
        for event in plan.events
    ]
    if rows:
        await connection.execute(INSERT_EVENTS, _json(rows))


def _expect(wanted: int, moved: int, what: str) -> None:
    if wanted != moved:
        raise GuardFailed(f"{wanted} {what} were to move, and {moved} did")


def _columns_of(thing: Execution | Run, names: Iterable[str]) -> dict[str, Any]:
    values = vars(thing)
    return {name: values[name] for name in names}


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
