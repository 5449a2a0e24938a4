"""What a definition names outside itself: task types, and other workflows, which may not lead back to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.service_tasks import PREFIX, is_reserved
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.graph import Graph, Subworkflow, TaskTemplate
from taskflow_core.workflows.levels import levels
from taskflow_core.workflows.parse import parse
from taskflow_core.workflows.problems import Problem, Rule
from taskflow_core.workflows.shape_rules import meant

TASK_TYPES = "SELECT name FROM task_types"

# The version is null if the workflow has no such version.
FIND = """
SELECT w.id, w.name, v.version, v.graph FROM workflows w
LEFT JOIN workflow_versions v
  ON v.workflow_id = w.id AND v.version = CASE $4::int WHEN 0 THEN w.version ELSE $4 END
WHERE w.tenant_id = $1 AND w.deleted_at IS NULL AND (w.id = $2::uuid OR w.name = $3::text)
"""

# How many workflows are read to see where the subworkflows of one lead.
MAX_WORKFLOWS = 1000


@dataclass(frozen=True)
class _Call:
    """A SUBWORKFLOW node: where it stands, and the workflows on the way to it."""

    field: str
    work: Subworkflow
    way: tuple[str, ...]


class _Unknown(Exception):
    """There is no such workflow, or no such version; says which field is wrong, and what."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(description)
        self.field = field
        self.description = description


async def reference_problems(
    database: Database, tenant_id: str, name: str, workflow_id: UUID | None, graph: Graph
) -> list[Problem]:
    """The unknown task types and workflows, and recursion. `workflow_id` is None for a new workflow."""
    known = {row["name"] for row in await database.pool.fetch(TASK_TYPES)}
    found = list(_task_type_problems(graph, known))
    return found + await _Search(database, tenant_id, name, workflow_id).problems(graph)


def _task_type_problems(graph: Graph, known: set[str]) -> Iterator[Problem]:
    for level in levels(graph):
        for path, node in level.nodes():
            templates = [(f"{path}.compensation", node.compensation)]
            if isinstance(node.work, TaskTemplate):
                templates.append((f"{path}.task", node.work))
            for field, template in templates:
                if template is None or not template.task_type or template.task_type in known:
                    continue
                if is_reserved(template.task_type):
                    what = f"names that begin with {PREFIX!r} are the service's own"
                else:
                    what = (
                        f"no worker has registered {template.task_type!r}{meant(template.task_type, known)}"
                    )
                yield Problem(f"{field}.task_type", Rule.UNKNOWN_TASK_TYPE, what)


class _Search:
    """Follows the subworkflows of a definition through the database."""

    def __init__(self, database: Database, tenant_id: str, name: str, workflow_id: UUID | None) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._name = name
        self._workflow_id = workflow_id
        self._rows: dict[tuple[UUID | None, str | None, int], Row | None] = {}

    async def problems(self, graph: Graph) -> list[Problem]:
        """What is wrong with the subworkflows of the graph."""
        found = []
        for call in _calls(graph, (self._name,)):
            try:
                way = await self._way_back(call)
            except _Unknown as unknown:
                field = f"{call.field}.{unknown.field}"
                found.append(Problem(field, Rule.UNKNOWN_WORKFLOW, unknown.description))
            else:
                if way:
                    what = f"a workflow may not contain itself: {' -> '.join(way)}"
                    found.append(Problem(call.field, Rule.RECURSION, what))
        return found

    async def _way_back(self, first: _Call) -> tuple[str, ...]:
        """The workflows from this one to itself again; empty if the call does not lead there."""
        if self._is_self(first.work):
            return (self._name, self._name)
        row = await self._find(first.work)
        seen: set[tuple[UUID, int]] = set()
        waiting = [(row, first.way)]
        while waiting and len(seen) < MAX_WORKFLOWS:
            row, way = waiting.pop()
            way = (*way, row["name"])
            if row["id"] == self._workflow_id:
                return way
            if (row["id"], row["version"]) in seen:
                continue
            seen.add((row["id"], row["version"]))
            for call in _calls(parse(row["graph"]), way):
                if self._is_self(call.work):
                    return (*way, self._name)
                try:
                    waiting.append((await self._find(call.work), way))
                except _Unknown:
                    continue  # the other workflow's own affair
        return ()

    def _is_self(self, work: Subworkflow) -> bool:
        return (
            work.workflow_name == self._name
            if work.workflow_id is None
            else work.workflow_id == self._workflow_id
        )

    async def _find(self, work: Subworkflow) -> Row:
        key = (work.workflow_id, work.workflow_name, work.version or 0)
        if key not in self._rows:
            self._rows[key] = await self._database.pool.fetchrow(FIND, self._tenant_id, *key)
        row = self._rows[key]
        if row is None:
            if work.workflow_id is not None:
                raise _Unknown("workflow_id", f"no workflow {str(work.workflow_id)!r} in this tenant")
            raise _Unknown("workflow_name", f"no workflow named {work.workflow_name!r} in this tenant")
        if row["version"] is None:
            raise _Unknown("version", f"workflow {row['name']!r} has no version {work.version}")
        return row


def _calls(graph: Graph, way: tuple[str, ...]) -> Iterator[_Call]:
    for level in levels(graph):
        for path, node in level.nodes():
            if isinstance(node.work, Subworkflow):
                yield _Call(f"{path}.subworkflow", node.work, way)
