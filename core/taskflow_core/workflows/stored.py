"""Workflows and their versions as they are stored: statements, rows, and the definition that a row holds."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, Text, cast, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB, array

from taskflow_core.models import Workflow, WorkflowVersion
from taskflow_core.tasks.rows import Row

# What a list leaves out.
LARGE_FIELDS = ("nodes", "edges", "input_schema", "output_schema", "output_expression")
GRAPH_FIELDS = (*LARGE_FIELDS, "priority", "queue", "execution_timeout")
FIELDS = ("name", "description", "tags", *GRAPH_FIELDS)

INSERT = """
WITH created AS (
  INSERT INTO workflows (id, tenant_id, name, version, request_id, request_digest)
  VALUES ($1, $2, $3, 1, $4, $5) ON CONFLICT DO NOTHING RETURNING id, created_at
)
INSERT INTO workflow_versions (workflow_id, version, name, description, tags, graph)
SELECT id, 1, $3, $6, $7::text[], $8 FROM created RETURNING workflow_id
"""

# Guarded: whoever made a version meanwhile goes first.
ADD_VERSION = """
WITH moved AS (
  UPDATE workflows SET version = version + 1, name = $4, updated_at = now()
  WHERE id = $1 AND tenant_id = $2 AND version = $3 AND deleted_at IS NULL RETURNING id, version, updated_at
)
INSERT INTO workflow_versions (workflow_id, version, name, description, tags, graph, created_at)
SELECT id, version, $4, $5, $6::text[], $7, updated_at FROM moved RETURNING workflow_id
"""

DELETE = """
UPDATE workflows SET deleted_at = now()
WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL AND ($3 = '' OR version::text = $3) RETURNING id
"""

COLUMNS = """
  w.id, w.tenant_id, v.version, v.name, v.description, v.tags, v.graph, w.created_at, v.created_at AS updated_at,
  w.version AS latest_version, w.deleted_at, w.request_id, w.request_digest
"""
GET = f"""
SELECT {COLUMNS} FROM workflows w JOIN workflow_versions v
  ON v.workflow_id = w.id AND v.version = CASE $3::int WHEN 0 THEN w.version ELSE $3 END
WHERE w.id = $1 AND w.tenant_id = $2
"""  # noqa: S608 - the columns are our own
FIND_HOLDERS = f"""
SELECT {COLUMNS} FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.version
WHERE w.id = $1 OR (w.tenant_id = $2 AND (w.request_id = $3 OR (w.name = $4 AND w.deleted_at IS NULL)))
"""  # noqa: S608


def etag_of(workflow: Row) -> str:
    """Another one for every version."""
    return str(workflow["version"])


def definition_of(row: Row) -> dict[str, Any]:
    """The FIELDS of a version that are set, as over REST."""
    described = {name: row[name] for name in ("name", "description", "tags") if row[name]}
    return {**described, **row["graph"]}


def merged(definition: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with these changes; None takes a field away."""
    return {name: value for name, value in {**definition, **changes}.items() if value is not None}


def columns_of(definition: Mapping[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
    """The columns of a definition beside its name: description, tags and graph."""
    graph = {name: definition[name] for name in GRAPH_FIELDS if name in definition}
    return definition.get("description", ""), definition.get("tags", []), graph


def unstored_row(current: Row | Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a version that is not stored."""
    description, tags, graph = columns_of(definition)
    return {
        **{name: current[name] for name in ("id", "tenant_id", "created_at", "updated_at")},
        "version": current["version"] + 1,
        "name": definition["name"],
        "description": description,
        "tags": tags,
        "graph": graph,
    }


def select_versions(*, full: bool) -> Select[Any]:
    """Versions with their workflows; the graph without LARGE_FIELDS unless `full`."""
    graph: ColumnElement[Any] = WorkflowVersion.__table__.c.graph
    if not full:
        graph = graph.op("-")(cast(array(LARGE_FIELDS), ARRAY(Text)))
    return select(
        Workflow.id,
        Workflow.tenant_id,
        WorkflowVersion.version,
        WorkflowVersion.name,
        WorkflowVersion.description,
        WorkflowVersion.tags,
        type_coerce(graph, JSONB).label("graph"),
        Workflow.created_at,
        WorkflowVersion.created_at.label("updated_at"),
    ).join(WorkflowVersion, WorkflowVersion.workflow_id == Workflow.id)
