"""A new execution from a node of an old one: what does not come after that node is taken over."""

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import AlreadyExists, InvalidArgument, NotFound, WrongStatus
from taskflow_core.executions.advance import Advanced, Advancement
from taskflow_core.executions.children import insert_executions
from taskflow_core.executions.read import ExecutionReader
from taskflow_core.executions.retry import nodes_after
from taskflow_core.ids import new_id
from taskflow_core.repeats import digest_of
from taskflow_core.states import EXECUTION_FINAL, NodeRunStatus
from taskflow_core.tasks.retry import NewPayload
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.graph import Definition, Graph, OnError
from taskflow_core.workflows.schemas import violations

PATIENCE = 5.0

GET = "SELECT * FROM workflow_executions WHERE id = $1 AND tenant_id = $2 FOR UPDATE"
FIND_REPEATED = "SELECT id, request_digest FROM workflow_executions WHERE tenant_id = $1 AND request_id = $2"
RUNS = "SELECT node_id, status FROM node_runs WHERE execution_id = $1 AND scope = ''"

# A result too large for the row stays with its task, to which the new run refers.
TAKE_OVER = """
INSERT INTO node_runs (
  id, execution_id, tenant_id, path, scope, node_id, type, place, status, attempt, result, error, task_id, branch,
  signal, edges_taken, taken_over, ended_sequence, created_at, started_at, finished_at)
SELECT gen_random_uuid(), $2, n.tenant_id, n.path, '', n.node_id, n.type, row_number() OVER (ORDER BY n.place),
  n.status, n.attempt, coalesce(n.result, r.result), n.error, CASE WHEN r.result_url IS NOT NULL THEN n.task_id END,
  n.branch, n.signal, n.edges_taken, true, 0, n.created_at, n.started_at, n.finished_at
FROM node_runs n LEFT JOIN task_results r ON r.task_id = n.task_id
WHERE n.execution_id = $1 AND n.scope = '' AND n.node_id = ANY($3::text[])
"""


@dataclass(frozen=True, kw_only=True)
class RerunOrder:
    """Where to start, and what with. Without `node_id` the input is that of the execution."""

    node_id: str | None = None
    input: NewPayload | None = None
    reason: str = ""
    request_id: str | None = None

    def digest(self, execution_id: UUID) -> str:
        """Tells a repeated request from another one under the same request id."""
        text = None if self.input is None else self.input.text
        return digest_of([execution_id, self.node_id, text])


class ExecutionRerun:
    """Starts executions from nodes of old ones."""

    def __init__(self, database: Database, advancement: Advancement, reader: ExecutionReader) -> None:
        self._database = database
        self._advancement = advancement
        self._reader = reader

    async def rerun(self, tenant_id: str, source_id: UUID, actor: str, order: RerunOrder) -> Row:
        """Start a new execution from a final one and return it; an earlier one if `request_id` says so.

        Raises NotFound, InvalidArgument, WrongStatus, AlreadyExists (REQUEST_ID_REUSED).
        """
        execution_id = new_id()

        async def once() -> tuple[UUID, Advanced]:
            async with self._database.pool.acquire() as connection, connection.transaction():
                return await self._start(connection, tenant_id, source_id, execution_id, actor, order)

        started, advanced = await until_answered(once, "rerun", give_up_after=PATIENCE)
        await self._advancement.say(advanced)
        return await self._reader.get(tenant_id, started)

    async def _start(
        self,
        connection: Connection,
        tenant_id: str,
        source_id: UUID,
        execution_id: UUID,
        actor: str,
        order: RerunOrder,
    ) -> tuple[UUID, Advanced]:
        source: Any = await connection.fetchrow(GET, source_id, tenant_id)
        if source is None:
            raise NotFound("execution", str(source_id))
        earlier = await _earlier(connection, tenant_id, source_id, execution_id, order)
        if earlier is not None:
            return earlier, Advanced()
        if source["status"] not in EXECUTION_FINAL:
            raise WrongStatus("execution", str(source_id), source["status"], sorted(EXECUTION_FINAL))
        key = (source["workflow_id"], source["workflow_version"])
        definition = (await self._advancement.definitions.get(connection, [key]))[key]
        _check(definition, order)
        kept = await _kept(connection, source_id, definition.graph, order.node_id)
        row = _row(source, execution_id, actor, order) | {"reached_runs": len(kept)}
        inserted = await insert_executions(connection, [row])
        if not inserted:
            return execution_id, Advanced()  # the answer to the first commit was lost
        await connection.execute(TAKE_OVER, source_id, execution_id, sorted(kept))
        return execution_id, await self._advancement.begin_from(connection, inserted[0], actor)


async def _earlier(
    connection: Connection, tenant_id: str, source_id: UUID, execution_id: UUID, order: RerunOrder
) -> UUID | None:
    """The execution of an earlier call with the same request id. Raises AlreadyExists."""
    if order.request_id is None:
        return None
    row = await connection.fetchrow(FIND_REPEATED, tenant_id, order.request_id)
    if row is None:
        return None
    if row["id"] != execution_id and row["request_digest"] != order.digest(source_id):
        raise AlreadyExists(
            f"request id {order.request_id!r} was used before, with another request",
            reason="REQUEST_ID_REUSED",
            request_id=order.request_id,
        )
    found: UUID = row["id"]
    return found


def _check(definition: Definition, order: RerunOrder) -> None:
    if order.node_id is not None and order.node_id not in definition.graph.by_id:
        known = ", ".join(definition.graph.by_id)
        raise InvalidArgument.at(
            "node_id", f"{order.node_id!r} is not a node of the workflow itself; those are {known}"
        )
    if order.node_id is None and order.input is not None and definition.input_schema:
        field = "input" if order.input.form == "STRUCT" else "input_json"
        for violation in violations(definition.input_schema, json.loads(order.input.text)):
            raise InvalidArgument.at(f"{field}{violation.path}", violation.description)


async def _kept(
    connection: Connection, source_id: UUID, graph: Graph, node_id: str | None
) -> AbstractSet[str]:
    """The nodes whose results are taken over: final as their graph goes on, and not after what runs anew."""
    if node_id is None:
        return set()
    anew = {node_id}
    statuses = {row["node_id"]: row["status"] for row in await connection.fetch(RUNS, source_id)}
    for node in graph.nodes:
        status = statuses.get(node.id)
        handled = status == NodeRunStatus.FAILED and node.on_error is not OnError.FAIL
        if status not in (NodeRunStatus.SUCCEEDED, NodeRunStatus.SKIPPED) and not handled:
            anew.add(node.id)
    return statuses.keys() - anew - nodes_after(graph, anew)


def _row(source: Row, execution_id: UUID, actor: str, order: RerunOrder) -> dict[str, Any]:
    same = (
        *("tenant_id", "workflow_id", "workflow_name", "workflow_version", "name", "input", "input_form"),
        *("priority", "queue", "tags"),
    )
    row = {name: source[name] for name in same}
    row |= {
        "id": execution_id,
        "source_execution_id": source["id"],
        "rerun_node_id": order.node_id,
        "request_id": order.request_id,
        "request_digest": None if order.request_id is None else order.digest(source["id"]),
        "actor": actor,
        "reason": order.reason,
    }
    if order.input is not None and order.node_id is None:
        row |= {"input": order.input.text, "input_form": order.input.form}
    elif order.input is not None:
        row["rerun_input"] = order.input.text
    return row
