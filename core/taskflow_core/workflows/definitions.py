"""Definitions of workflows: saved in versions that are never changed, read, listed and deleted."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

import asyncpg

from taskflow_core.db import CONNECTION_ERRORS, Database, is_outage, until_answered
from taskflow_core.errors import AlreadyExists, EtagMismatch, NotFound, Unavailable
from taskflow_core.etags import check_etag
from taskflow_core.filters import INTEGER, TEXT, TEXT_LIST, TIMESTAMP, FilterField, compile_filter
from taskflow_core.filters import UUID as UUID_KIND
from taskflow_core.ids import new_id
from taskflow_core.models import Workflow, WorkflowVersion
from taskflow_core.paging import PageTokens, parse_order
from taskflow_core.repeats import digest_of
from taskflow_core.tasks.read import Page, PageRequest, fetch_page
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.problems import Problem, refusal
from taskflow_core.workflows.stored import (
    ADD_VERSION,
    DELETE,
    FIND_HOLDERS,
    GET,
    INSERT,
    columns_of,
    definition_of,
    etag_of,
    merged,
    select_versions,
    unstored_row,
)

Result = TypeVar("Result")

# How long a change outlives a database that is away, in seconds.
PATIENCE = 5.0
# Changes by others that an update gives way to before it gives up.
TRIES = 10

FILTER_FIELDS = {
    "id": FilterField(Workflow.id, UUID_KIND),
    "name": FilterField(Workflow.name, TEXT),
    "tags": FilterField(WorkflowVersion.tags, TEXT_LIST),
    "version": FilterField(Workflow.version, INTEGER),
    "create_time": FilterField(Workflow.created_at, TIMESTAMP),
    "update_time": FilterField(Workflow.updated_at, TIMESTAMP),
}
ORDER_FIELDS = {
    "create_time": Workflow.created_at,
    "update_time": Workflow.updated_at,
    "name": Workflow.name,
    "id": Workflow.id,
}


class Checks(Protocol):
    """Finds all that is wrong with a definition. `workflow_id` is None for a new one."""

    async def problems(
        self, tenant_id: str, definition: Mapping[str, Any], workflow_id: UUID | None = None
    ) -> list[Problem]: ...


@dataclass(frozen=True)
class NewWorkflow:
    """A workflow to be created. `definition` has the FIELDS that are set, as over REST."""

    tenant_id: str
    definition: dict[str, Any]
    request_id: str | None = None

    def digest(self) -> str:
        """Tells a repeated request from another one under the same request id."""
        return digest_of(self.definition)


class Workflows:
    """The workflows of each tenant. Rows are versions, with what is the same for all beside it."""

    def __init__(self, database: Database, tokens: PageTokens, checks: Checks) -> None:
        self._database = database
        self._tokens = tokens
        self._checks = checks

    async def problems(
        self, tenant_id: str, definition: Mapping[str, Any], workflow_id: UUID | None = None
    ) -> list[Problem]:
        """All that would keep a definition from being saved, in its order. `workflow_id` is None for a new one."""
        return await self._checks.problems(tenant_id, definition, workflow_id)

    async def create(self, new: NewWorkflow, *, validate_only: bool = False) -> Row:
        """Store version 1 and return it; the workflow of an earlier call with the same `request_id`, as it is now.

        `validate_only` stores nothing; the row has no id and no times then. Raises InvalidArgument with all that is
        wrong, AlreadyExists (ALREADY_EXISTS, REQUEST_ID_REUSED), Unavailable.
        """
        if not validate_only and (earlier := await self._earlier(new)) is not None:
            return _repeated(earlier, new)
        if found := await self._checks.problems(new.tenant_id, new.definition):
            raise refusal(found, "workflow")
        workflow_id = new_id()
        if validate_only:
            return await self._preview(new)
        return await _until_stored(lambda: self._insert(workflow_id, new))

    async def get(self, tenant_id: str, workflow_id: UUID, version: int = 0) -> Row:
        """A version; 0 is the latest. Raises NotFound."""
        row: Row | None = await self._database.pool.fetchrow(GET, workflow_id, tenant_id, version)
        if row is None or row["deleted_at"] is not None:
            raise _not_found(workflow_id)
        return row

    async def list(
        self, tenant_id: str, page: PageRequest, *, filter: str, order_by: str, full: bool
    ) -> Page:
        """The workflows in their latest versions; the graph without LARGE_FIELDS unless `full`.

        Raises InvalidArgument (INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_TOKEN).
        """
        order = parse_order(order_by, ORDER_FIELDS, default="create_time desc")
        query = select_versions(full=full).where(
            WorkflowVersion.version == Workflow.version,
            Workflow.tenant_id == tenant_id,
            Workflow.deleted_at.is_(None),
        )
        condition = compile_filter(filter, FILTER_FIELDS)
        if condition is not None:
            query = query.where(condition)
        arguments = {"list": "workflows", "tenant": tenant_id, "filter": filter, "order": str(order)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def list_versions(
        self, tenant_id: str, workflow_id: UUID, page: PageRequest, *, full: bool
    ) -> Page:
        """The versions of a workflow, newest first. Raises NotFound, InvalidArgument (INVALID_PAGE_TOKEN)."""
        await self.get(tenant_id, workflow_id)
        order = parse_order("", {"version": WorkflowVersion.version}, "version desc", tie_breaker="version")
        query = select_versions(full=full).where(Workflow.id == workflow_id)
        arguments = {"list": "workflow versions", "workflow": str(workflow_id)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def update(
        self,
        tenant_id: str,
        workflow_id: UUID,
        changes: Mapping[str, Any],
        etag: str = "",
        *,
        validate_only: bool = False,
    ) -> Row:
        """Make a version in which the fields of `changes` have these values; None goes back to the default.

        What changes nothing makes no version. Raises NotFound, InvalidArgument with all that is wrong, AlreadyExists
        if the name is taken, EtagMismatch, Unavailable.
        """
        made: set[int] = set()

        async def once() -> Row | None:
            current = await self.get(tenant_id, workflow_id)
            definition = merged(definition_of(current), changes)
            is_same = _text(definition) == _text(definition_of(current))
            if current["version"] in made and is_same:
                return current  # our own, after a commit whose answer was lost
            check_etag("workflow", str(workflow_id), etag, etag_of(current))
            if is_same:
                return current
            if found := await self._checks.problems(tenant_id, definition, workflow_id):
                raise refusal(found, "workflow")
            if validate_only:
                await self._refuse_taken_name(tenant_id, definition["name"], workflow_id)
                return unstored_row(current, definition)
            made.add(current["version"] + 1)
            return await self._add_version(tenant_id, current, definition)

        for _ in range(TRIES):
            row = await _until_stored(once)
            if row is not None:
                return row
        raise Unavailable("others change the workflow too fast; try again")

    async def delete(
        self, tenant_id: str, workflow_id: UUID, etag: str = "", *, allow_missing: bool = False
    ) -> None:
        """Take a workflow away from callers; executions keep its versions. Raises NotFound, EtagMismatch."""
        tries = 0

        async def once() -> None:
            nonlocal tries
            tries += 1
            if await self._database.pool.fetchval(DELETE, workflow_id, tenant_id, etag) is not None:
                return
            row = await self._database.pool.fetchrow(GET, workflow_id, tenant_id, 0)
            if row is not None and row["deleted_at"] is None:
                raise EtagMismatch("workflow", str(workflow_id), etag, etag_of(row))
            # On a second try the first may have done it.
            if not allow_missing and (row is None or tries == 1):
                raise _not_found(workflow_id)

        await _until_stored(once)

    async def _earlier(self, new: NewWorkflow) -> Row | None:
        """The workflow of an earlier call with the same request id. It may be one that would be refused now."""
        if new.request_id is None:
            return None
        holders = await self._database.pool.fetch(FIND_HOLDERS, None, new.tenant_id, new.request_id, None)
        return next(iter(holders), None)

    async def _preview(self, new: NewWorkflow) -> Row:
        await self._refuse_taken_name(new.tenant_id, new.definition["name"], None)
        blank = dict.fromkeys(("id", "created_at", "updated_at"))
        return unstored_row(blank | {"tenant_id": new.tenant_id, "version": 0}, new.definition)

    async def _refuse_taken_name(self, tenant_id: str, name: str, workflow_id: UUID | None) -> None:
        holders = await self._database.pool.fetch(FIND_HOLDERS, workflow_id, tenant_id, None, name)
        if any(holder["id"] != workflow_id for holder in holders):
            raise _taken(name)

    async def _insert(self, workflow_id: UUID, new: NewWorkflow) -> Row:
        definition = new.definition
        await self._database.pool.execute(
            INSERT,
            workflow_id,
            new.tenant_id,
            definition["name"],
            new.request_id,
            None if new.request_id is None else new.digest(),
            *columns_of(definition),
        )
        holders = await self._database.pool.fetch(
            FIND_HOLDERS, workflow_id, new.tenant_id, new.request_id, definition["name"]
        )
        for holder in holders:
            if holder["id"] == workflow_id:
                return holder
        for holder in holders:
            if new.request_id is not None and holder["request_id"] == new.request_id:
                return _repeated(holder, new)
        raise _taken(definition["name"])

    async def _add_version(self, tenant_id: str, current: Row, definition: dict[str, Any]) -> Row | None:
        """The new version; None if another came first."""
        name, following = definition["name"], current["version"] + 1
        try:
            added = await self._database.pool.fetchval(
                ADD_VERSION, current["id"], tenant_id, current["version"], name, *columns_of(definition)
            )
        except asyncpg.UniqueViolationError:
            raise _taken(name) from None
        if added is None:
            return None
        row: Row | None = await self._database.pool.fetchrow(GET, current["id"], tenant_id, following)
        return row


def _repeated(holder: Row, new: NewWorkflow) -> Row:
    if holder["request_digest"] == new.digest() and holder["deleted_at"] is None:
        return holder
    raise AlreadyExists(
        f"request id {new.request_id!r} was used before, "
        + ("with another request" if holder["deleted_at"] is None else "for a workflow that is deleted"),
        reason="REQUEST_ID_REUSED",
        request_id=str(new.request_id),
        workflow_id=str(holder["id"]),
    )


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"a workflow with the name {name!r} is there already", name=name)


def _not_found(workflow_id: UUID) -> NotFound:
    return NotFound("workflow", str(workflow_id))


def _text(definition: Mapping[str, Any]) -> str:
    """What is the same for the same definition. In Python, true would be 1, and 1 be 1.0."""
    return json.dumps(definition, sort_keys=True)


async def _until_stored(work: Callable[[], Awaitable[Result]]) -> Result:
    try:
        return await until_answered(work, "change a workflow", give_up_after=PATIENCE)
    except CONNECTION_ERRORS as error:
        if not is_outage(error):
            raise
        raise Unavailable("the database is away; the change may or may not have been made") from error
