"""The definitions that executions run, read once in the life of a process: versions never change."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from taskflow_core.db import Connection
from taskflow_core.executions.state import ChildWorkflow, WorkflowRef
from taskflow_core.workflows.graph import Definition
from taskflow_core.workflows.parse import parse_definition

# Definitions kept; a large one may take a megabyte.
KEPT = 1000

READ = """
SELECT v.workflow_id, v.version, v.graph FROM workflow_versions v
JOIN unnest($1::uuid[], $2::int[]) AS wanted (id, version) ON v.workflow_id = wanted.id AND v.version = wanted.version
WHERE v.workflow_id = ANY($1::uuid[]) AND v.version = ANY($2::int[])
"""

# By the id or by the name; the other is NULL.
FIND = """
WITH found AS MATERIALIZED (
  SELECT id, version FROM workflows WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
  UNION
  SELECT id, version FROM workflows WHERE tenant_id = $1 AND name = $3 AND deleted_at IS NULL
)
SELECT v.workflow_id AS id, v.name, v.version, v.tags FROM workflow_versions v
WHERE v.workflow_id = (SELECT id FROM found) AND v.version = coalesce($4, (SELECT version FROM found))
"""

Key = tuple[UUID, int]


class Definitions:
    """Versions of workflows, parsed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Definition] = OrderedDict()

    async def get(self, connection: Connection, keys: Sequence[Key]) -> dict[Key, Definition]:
        """These versions, as far as there are such."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._kept]
        if missing:
            rows = await connection.fetch(READ, [key[0] for key in missing], [key[1] for key in missing])
            for row in rows:
                self._kept[row["workflow_id"], row["version"]] = parse_definition(row["graph"])
        found = {key: self._kept[key] for key in keys if key in self._kept}
        for key in found:
            self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    async def find(self, connection: Connection, tenant_id: str, ref: WorkflowRef) -> ChildWorkflow:
        """What a SUBWORKFLOW node or a caller names, in its latest version unless the name says otherwise."""
        row: Any = await connection.fetchrow(FIND, tenant_id, ref.workflow_id, ref.name, ref.version)
        if row is None:
            version = f" in version {ref.version}" if ref.version is not None else ""
            return ChildWorkflow(
                why_not=f"there is no workflow {str(ref.workflow_id or ref.name)!r}{version}"
            )
        key = (row["id"], row["version"])
        definition = (await self.get(connection, [key]))[key]
        return ChildWorkflow(
            workflow_id=row["id"],
            name=row["name"],
            version=row["version"],
            tags=tuple(row["tags"]),
            definition=definition,
        )
