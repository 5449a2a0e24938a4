"""New executions as rows: those that callers start, and those that SUBWORKFLOW nodes do."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from taskflow_core.arrays import Arrays
from taskflow_core.db import Connection
from taskflow_core.executions.planned import PlannedChild
from taskflow_core.executions.state import State
from taskflow_core.models.execution import WorkflowExecution
from taskflow_core.payloads import canonical_json
from taskflow_core.tasks.rows import Row

DEFAULT_QUEUE = "default"

NEW = Arrays(WorkflowExecution, WorkflowExecution.__table__.columns.keys())
_BLANK = dict.fromkeys(WorkflowExecution.__table__.columns.keys()) | {
    "status": "RUNNING",
    "skip_compensation": False,
    "open_runs": 0,
    "reached_runs": 0,
    "last_sequence": 1,
}
_ORIGINS = ", ".join(f"${number}::text[]" for number in (NEW.next, NEW.next + 1))

INSERT = f"""
WITH created AS (
  INSERT INTO workflow_executions ({NEW.names})
  SELECT {NEW.values(created_at="coalesce(new.created_at, now())")} FROM {NEW.rows}
  ON CONFLICT DO NOTHING
  RETURNING *
), logged AS (
  INSERT INTO execution_events (execution_id, sequence, tenant_id, kind, status, actor, data)
  SELECT created.id, 1, created.tenant_id, 'CREATED', 'RUNNING', origins.actor,
    CASE WHEN origins.reason <> '' THEN jsonb_build_object('message', origins.reason) END
  FROM created JOIN unnest($1::uuid[], {_ORIGINS}) AS origins (id, actor, reason) USING (id)
)
SELECT *, statement_timestamp() AS now FROM created
"""  # noqa: S608 - the columns are our own


async def insert_executions(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[Row]:
    """Insert executions, and return those that were: a request id may be taken. `actor` and `reason` go to their logs.

    What is missing in a row takes its default.
    """
    actors = [row["actor"] for row in rows]
    reasons = [row.get("reason", "") for row in rows]
    return list(await connection.fetch(INSERT, *NEW.of([_BLANK | row for row in rows]), actors, reasons))


def child_row(parent: State, child: PlannedChild) -> dict[str, Any]:
    """The execution that a SUBWORKFLOW node starts: with the input form, the urgency and the tags of its parent."""
    execution = parent.execution
    definition = child.workflow.definition
    assert definition is not None  # noqa: S101 - the plan has looked
    timeout = definition.execution_timeout
    return {
        "id": child.id,
        "tenant_id": execution.tenant_id,
        "workflow_id": child.workflow.workflow_id,
        "workflow_name": child.workflow.name,
        "workflow_version": child.workflow.version,
        "name": f"{execution.name}: {child.run.path}"[:200],
        "input": canonical_json(child.input),
        "input_form": execution.input_form,
        "priority": definition.priority or execution.priority,
        "queue": definition.queue or DEFAULT_QUEUE,
        "tags": sorted({*execution.tags, *child.workflow.tags}),
        "deadline_at": None if timeout is None else parent.now + timedelta(seconds=timeout),
        "parent_execution_id": execution.id,
        "parent_node_run_id": child.run.id,
        "created_at": parent.now,
        "actor": "service",
    }
