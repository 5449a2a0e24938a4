"""Nothing -> RUNNING: starting executions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from taskflow_core.batching import Batcher
from taskflow_core.clock import database_time
from taskflow_core.db import CONNECTION_ERRORS, Connection, Database, is_outage, until_answered
from taskflow_core.errors import AlreadyExists, InvalidArgument, NotFound, TaskFlowError, Unavailable
from taskflow_core.executions.advance import Advanced, Advancement
from taskflow_core.executions.children import DEFAULT_QUEUE
from taskflow_core.executions.state import ChildWorkflow, WorkflowRef
from taskflow_core.ids import new_id
from taskflow_core.repeats import digest_of
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.graph import Definition
from taskflow_core.workflows.schemas import violations

# How long a start outlives a database that is away, in seconds.
PATIENCE = 5.0
DEFAULT_PRIORITY = "NORMAL"

GET = "SELECT * FROM workflow_executions WHERE id = ANY($1::uuid[])"
FIND_REPEATED = """
SELECT e.id, e.tenant_id, e.request_id, e.request_digest FROM workflow_executions e
JOIN unnest($1::text[], $2::text[]) AS wanted (tenant_id, request_id)
  ON e.tenant_id = wanted.tenant_id AND e.request_id = wanted.request_id
WHERE e.request_id IS NOT NULL AND e.tenant_id = ANY($1::text[]) AND e.request_id = ANY($2::text[])
"""


@dataclass(frozen=True, kw_only=True)
class NewExecution:
    """An execution to be started. What is None is as the workflow has it."""

    tenant_id: str
    actor: str
    workflow_id: UUID
    version: int | None = None
    name: str = ""
    input: str = "{}"  # JSON text of an object
    input_form: Literal["STRUCT", "JSON"] = "STRUCT"
    priority: str | None = None
    tags: tuple[str, ...] = ()
    expire_time: datetime | None = None
    request_id: str | None = None
    schedule_id: UUID | None = None

    def digest(self) -> str:
        """Tells a repeated request from another one under the same request id."""
        content = {
            name: value
            for name, value in vars(self).items()
            if name not in ("request_id", "actor") and value is not None
        }
        return digest_of(content)


Numbered = tuple[UUID, NewExecution]


class ExecutionStart:
    """Starts executions; those that start together share one transaction."""

    def __init__(self, database: Database, advancement: Advancement) -> None:
        self._database = database
        self._advancement = advancement
        # Two, so that one batch is planned while the other is written.
        self._batcher: Batcher[Numbered, Row] = Batcher(self._start_each, limit=100, writers=2)

    async def start(self, new: NewExecution) -> Row:
        """Store an execution with its first tasks; an earlier one if `request_id` says so.

        Raises NotFound, InvalidArgument with paths in the request, AlreadyExists (REQUEST_ID_REUSED), Unavailable.
        """
        return await self._batcher.submit((new_id(), new))

    async def preview(self, new: NewExecution) -> dict[str, Any]:
        """The execution as it would be started. Raises NotFound, InvalidArgument."""
        async with self._database.pool.acquire() as connection:
            workflow = await self._find(connection, new)
            return _row(new_id(), new, workflow, await database_time(connection))

    async def drain(self) -> None:
        """Wait until everything handed over is stored."""
        await self._batcher.drain()

    async def _start_each(self, batch: Sequence[Numbered]) -> Sequence[Row | Exception]:
        async def once() -> tuple[list[Row | TaskFlowError], Advanced]:
            async with self._database.by_key.acquire() as connection, connection.transaction():
                return await self.start_in(connection, batch)

        try:
            outcomes, advanced = await until_answered(once, "start executions", give_up_after=PATIENCE)
        except CONNECTION_ERRORS as error:
            if not is_outage(error):
                raise
            raise Unavailable("the database is away; the execution may or may not have started") from error
        await self._advancement.say(advanced)
        return outcomes

    async def start_in(
        self, connection: Connection, batch: Sequence[Numbered]
    ) -> tuple[list[Row | TaskFlowError], Advanced]:
        """Start executions inside the caller's transaction: a row or an error for each.

        Say what it gives after the commit: `Advancement.say`.
        """
        repeated = await _repeated(connection, batch)
        outcomes: dict[UUID, TaskFlowError] = {}
        found: dict[UUID, UUID] = {}
        rows = []
        workflows: dict[tuple[str, UUID, int | None], ChildWorkflow] = {}
        now: datetime = await connection.fetchval("SELECT statement_timestamp()")
        for execution_id, new in batch:
            known = repeated.get((new.tenant_id, new.request_id))
            try:
                if known is not None:
                    found[execution_id] = _same(known, new)
                else:
                    key = (new.tenant_id, new.workflow_id, new.version)
                    if key not in workflows:
                        workflows[key] = await self._find(connection, new)
                    rows.append(_row(execution_id, new, workflows[key], now))
            except TaskFlowError as error:
                outcomes[execution_id] = error
        stored: dict[UUID, Row] = {}
        advanced = Advanced()
        for actor in {row["actor"] for row in rows}:
            inserted, begun = await self._advancement.begin(
                connection, [row for row in rows if row["actor"] == actor], actor
            )
            stored |= {row["id"]: row for row in inserted}
            advanced.announcements += begun.announcements
        # Others were started before: by a call with the same request id, or by this one, whose answer was lost.
        earlier = [*found.values(), *(row["id"] for row in rows if row["id"] not in stored)]
        if earlier:
            stored |= {row["id"]: row for row in await connection.fetch(GET, earlier)}
        return [
            outcomes.get(execution_id) or stored.get(found.get(execution_id, execution_id)) or _raced(new)
            for execution_id, new in batch
        ], advanced

    async def _find(self, connection: Connection, new: NewExecution) -> ChildWorkflow:
        ref = WorkflowRef(new.workflow_id, None, new.version)
        return await self._advancement.definitions.find(connection, new.tenant_id, ref)


def _row(execution_id: UUID, new: NewExecution, workflow: ChildWorkflow, now: datetime) -> dict[str, Any]:
    """The execution as it is stored. Raises NotFound, InvalidArgument."""
    definition = _startable(workflow, new)
    timeout = definition.execution_timeout
    return {
        "id": execution_id,
        "tenant_id": new.tenant_id,
        "workflow_id": new.workflow_id,
        "workflow_name": workflow.name,
        "workflow_version": workflow.version,
        "name": new.name or workflow.name,
        "input": new.input,
        "input_form": new.input_form,
        "priority": new.priority or definition.priority or DEFAULT_PRIORITY,
        "queue": definition.queue or DEFAULT_QUEUE,
        "tags": list(dict.fromkeys((*workflow.tags, *new.tags))),
        "expire_at": new.expire_time,
        "deadline_at": None if timeout is None else now + timedelta(seconds=timeout),
        "request_id": new.request_id,
        "request_digest": None if new.request_id is None else new.digest(),
        "schedule_id": new.schedule_id,
        "created_at": now,
        "actor": new.actor,
    }


def _startable(workflow: ChildWorkflow, new: NewExecution) -> Definition:
    """The definition, if the input fits it. Raises NotFound, InvalidArgument."""
    definition = workflow.definition
    if definition is None:
        version = "" if new.version is None else f" version {new.version}"
        raise NotFound("workflow", f"{new.workflow_id}{version}")
    if definition.input_schema:
        form = "input" if new.input_form == "STRUCT" else "input_json"
        for violation in violations(definition.input_schema, json.loads(new.input)):
            raise InvalidArgument.at(f"execution.{form}{violation.path}", violation.description)
    return definition


async def _repeated(connection: Connection, batch: Sequence[Numbered]) -> dict[tuple[str, str | None], Row]:
    wanted = [(new.tenant_id, new.request_id) for _, new in batch if new.request_id is not None]
    if not wanted:
        return {}
    rows = await connection.fetch(FIND_REPEATED, [t for t, _ in wanted], [r for _, r in wanted])
    return {(row["tenant_id"], row["request_id"]): row for row in rows}


def _same(earlier: Row, new: NewExecution) -> UUID:
    """The id of the earlier execution, if it was asked for with the same request. Raises AlreadyExists."""
    if earlier["request_digest"] != new.digest():
        raise AlreadyExists(
            f"request id {new.request_id!r} was used before, with another request",
            reason="REQUEST_ID_REUSED",
            request_id=str(new.request_id),
            execution_id=str(earlier["id"]),
        )
    found: UUID = earlier["id"]
    return found


def _raced(new: NewExecution) -> TaskFlowError:
    return Unavailable(f"another call with request id {new.request_id!r} is under way; try again")
