"""New executions as rows: those that callers start, and those that SUBWORKFLOW nodes do."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from taskflow_core.db import Connection
from taskflow_core.executions.plan import PlannedChild
from taskflow_core.executions.reading import EXECUTION_COLUMNS
from taskflow_core.executions.state import State
from taskflow_core.payloads import canonical_json
from taskflow_core.tasks.rows import Row

DEFAULT_QUEUE = "default"

_COLUMNS = (
    *("id", "tenant_id", "workflow_id", "workflow_name", "workflow_version", "name", "input", "input_form"),
    *("priority", "queue", "tags", "expire_at", "deadline_at", "status", "request_id", "request_digest"),
    *("schedule_id", "parent_execution_id", "parent_node_run_id", "source_execution_id"),
    *("rerun_node_id", "rerun_input", "open_runs", "reached_runs"),
)

# What is missing in a row takes its default here.
INSERT = f"""
WITH created AS (
  INSERT INTO workflow_executions ({", ".join(_COLUMNS)})
  SELECT {", ".join(_COLUMNS)} FROM jsonb_populate_recordset(NULL::workflow_executions, $1::text::jsonb)
  ON CONFLICT DO NOTHING
  RETURNING {", ".join(EXECUTION_COLUMNS)}, statement_timestamp() AS now
), logged AS (
  INSERT INTO execution_events (execution_id, sequence, tenant_id, kind, status, actor, data)
  SELECT created.id, 1, created.tenant_id, 'CREATED', created.status, origins.actor,
    CASE WHEN origins.reason <> '' THEN jsonb_build_object('message', origins.reason) END
  FROM created JOIN unnest($2::uuid[], $3::text[], $4::text[]) AS origins (id, actor, reason) USING (id)
)
SELECT * FROM created
"""  # noqa: S608 - the columns are our own


async def insert_executions(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[Row]:
    """Insert executions, and return those that were: a request id may be taken. `actor` and `reason` go to their logs."""
    defaults = {"status": "RUNNING", "open_runs": 0, "reached_runs": 0}
    whole = [defaults | row for row in rows]
    return list(
        await connection.fetch(
            INSERT,
            json.dumps(whole, default=_plain),
            [row["id"] for row in rows],
            [row["actor"] for row in rows],
            [row.get("reason", "") for row in rows],
        )
    )


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
        "actor": "service",
    }


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
