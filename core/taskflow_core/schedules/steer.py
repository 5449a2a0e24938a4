"""Creating and changing schedules. Whoever changes one has locked its row, so that it does not fire meanwhile."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import (
    AlreadyExists,
    EtagMismatch,
    InvalidArgument,
    NotFound,
    Unavailable,
    WrongStatus,
)
from taskflow_core.ids import new_id
from taskflow_core.schedules.definition import BLANK, DEFAULTS, CheckWorkflow, Definition, check_definition
from taskflow_core.schedules.fire import Fired, Firing
from taskflow_core.schedules.ledger import Ledger
from taskflow_core.schedules.ring import ScheduleRing
from taskflow_core.states import ScheduleStatus, ScheduleType
from taskflow_core.tasks.rows import Row

# How long a call outlives a database that is away, in seconds.
PATIENCE = 5.0
# Times that have come and fire before a change is made.
MOST_TIMES = 5000

Result = TypeVar("Result")

GET = "SELECT * FROM schedules WHERE id = $1 AND tenant_id = $2"
# By an earlier try whose answer was lost, or by an earlier call.
STORED_BEFORE = "SELECT * FROM schedules WHERE id = $1 OR (tenant_id = $2 AND request_id = $3)"
LOCK = f"{GET} FOR UPDATE"

COLUMNS = tuple(BLANK)
DEFINED = (*DEFAULTS, "schedule_type")
_PLACES = ", ".join(f"${number}" for number, _ in enumerate(DEFINED, start=8))
INSERT = f"""
INSERT INTO schedules (
  id, tenant_id, request_id, request_digest, status, next_fire_at, created_at, updated_at, {", ".join(DEFINED)})
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, {_PLACES})
ON CONFLICT DO NOTHING
RETURNING *
"""  # noqa: S608 - the columns are our own
UPDATE = f"""
UPDATE schedules SET status = $2, next_fire_at = $3, updated_at = $4, revision = revision + 1,
  {", ".join(f"{name} = ${number}" for number, name in enumerate(DEFINED, start=5))}
WHERE id = $1 RETURNING *
"""  # noqa: S608 - the columns are our own
SET_NOTE = """
UPDATE schedules SET note = $2, updated_at = $3, revision = revision + 1 WHERE id = $1 RETURNING *
"""
DELETE_FIRES = "DELETE FROM schedule_fires WHERE schedule_id = $1"
DELETE = "DELETE FROM schedules WHERE id = $1"


class ScheduleSteering:
    """Creates, changes, pauses, resumes and deletes the schedules of a tenant."""

    def __init__(
        self,
        database: Database,
        firing: Firing,
        ring: ScheduleRing,
        check_workflow: CheckWorkflow | None,
    ) -> None:
        self._database = database
        self._firing = firing
        self._ring = ring
        self._check_workflow = check_workflow

    async def create(
        self,
        tenant_id: str,
        fields: Mapping[str, Any],
        *,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> Row:
        """Store a schedule, ACTIVE at once, and return its row; an earlier one if `request_id` says so.

        `fields` are columns; those left out have their defaults. Raises InvalidArgument, AlreadyExists
        (REQUEST_ID_REUSED).
        """
        digest = None if request_id is None else digest_of(fields)
        now = await self._firing.clock(self._database.pool)
        definition = check_definition({**DEFAULTS, **fields}, now)
        await self._check_work(tenant_id, definition)
        new = _new_row(tenant_id, definition, now)
        if validate_only:
            return {**new, "id": None}

        async def once() -> Row:
            async with self._database.pool.acquire() as connection:
                stored: Row | None = await connection.fetchrow(
                    INSERT,
                    *(new["id"], tenant_id, request_id, digest, new["status"], new["next_fire_at"], now),
                    *(new[name] for name in DEFINED),
                )
                return stored or await _stored_before(connection, new["id"], tenant_id, request_id)

        row = await until_answered(once, "create a schedule", give_up_after=PATIENCE)
        if request_id is not None and row["request_digest"] != digest:
            raise AlreadyExists(
                f"request id {request_id!r} was used before, with another request",
                reason="REQUEST_ID_REUSED",
                request_id=request_id,
                schedule_id=str(row["id"]),
            )
        self._ring.ring()
        return row

    async def update(
        self,
        tenant_id: str,
        schedule_id: UUID,
        changes: Mapping[str, Any],
        *,
        etag: str = "",
        validate_only: bool = False,
    ) -> Row:
        """Change fields of a schedule, and return its row. Times that came before the change have fired.

        `changes` has new values by column, None for defaults; `timing` has only the members to change.
        Raises NotFound, InvalidArgument, EtagMismatch.
        """

        async def change(connection: Connection, ledger: Ledger) -> Row:
            present = ledger.schedule
            _check_etag(present, etag)
            definition = check_definition(_merged(present, changes), present["created_at"])
            await self._check_work(tenant_id, definition)
            changed = {
                **{name: present[name] for name in COLUMNS},
                **definition.fields,
                "schedule_type": definition.timing.schedule_type,
            }
            ledger.schedule = changed
            if ledger.status != ScheduleStatus.PAUSED:
                if definition.fields["timing"] != present["timing"]:
                    ledger.expect(first_time(definition, ledger.now))
                else:
                    ledger.expect(ledger.next_fire_at or definition.timing.next_after(ledger.now))
            if validate_only:
                return {**changed, **ledger.state()}
            await connection.fetch(
                UPDATE,
                *(schedule_id, ledger.status, ledger.next_fire_at, ledger.now),
                *(changed[name] for name in DEFINED),
            )
            return await self._stored(connection, ledger)

        return await self._change(tenant_id, schedule_id, change, keep=not validate_only)

    async def pause(self, tenant_id: str, schedule_id: UUID, note: str) -> Row:
        """ACTIVE -> PAUSED; repeated, it changes the note. Raises NotFound, WrongStatus."""

        async def change(connection: Connection, ledger: Ledger) -> Row:
            _check_not_completed(ledger)
            ledger.pause(note)
            return await self._noted(connection, ledger)

        return await self._change(tenant_id, schedule_id, change)

    async def resume(self, tenant_id: str, schedule_id: UUID, note: str) -> Row:
        """PAUSED -> ACTIVE, from now on, or COMPLETED if no time is left; repeated, it changes the note.

        Raises NotFound, WrongStatus.
        """

        async def change(connection: Connection, ledger: Ledger) -> Row:
            _check_not_completed(ledger)
            ledger.note = note
            if ledger.status == ScheduleStatus.PAUSED:
                ledger.expect(self._firing.timings.of(ledger.schedule).next_after(ledger.now))
                ledger.release()
            return await self._noted(connection, ledger)

        return await self._change(tenant_id, schedule_id, change)

    async def delete(
        self, tenant_id: str, schedule_id: UUID, *, etag: str = "", allow_missing: bool = False
    ) -> None:
        """Delete a schedule and its fires; the work that it started runs on. Raises NotFound, EtagMismatch."""
        tried = False

        async def once() -> None:
            nonlocal tried
            async with self._database.pool.acquire() as connection, connection.transaction():
                present: Row | None = await connection.fetchrow(LOCK, schedule_id, tenant_id)
                if present is None:
                    # By an earlier try whose answer was lost, perhaps.
                    if allow_missing or tried:
                        return
                    raise NotFound("schedule", str(schedule_id))
                _check_etag(present, etag)
                tried = True
                await connection.execute(DELETE_FIRES, schedule_id)
                await connection.execute(DELETE, schedule_id)

        await until_answered(once, "delete a schedule", give_up_after=PATIENCE)

    async def _change(
        self,
        tenant_id: str,
        schedule_id: UUID,
        change: Callable[[Connection, Ledger], Awaitable[Row]],
        *,
        keep: bool = True,
    ) -> Row:
        row, done = await with_ledger(self._database, self._firing, tenant_id, schedule_id, change, keep=keep)
        await self._firing.say(done)
        self._ring.ring()
        return row

    async def _noted(self, connection: Connection, ledger: Ledger) -> Row:
        await connection.fetch(SET_NOTE, ledger.schedule["id"], ledger.note, ledger.now)
        return await self._stored(connection, ledger)

    async def _stored(self, connection: Connection, ledger: Ledger) -> Row:
        """The row as it will be when the ledger is written."""
        row = await connection.fetchrow("SELECT * FROM schedules WHERE id = $1", ledger.schedule["id"])
        assert row is not None  # noqa: S101 - it is locked
        return {**row, **ledger.state()}

    async def _check_work(self, tenant_id: str, definition: Definition) -> None:
        workflow_id = definition.fields["workflow_id"]
        if workflow_id is None:
            return
        if self._check_workflow is None:
            raise InvalidArgument.at(
                "schedule.workflow_id", "this service does not start workflows; name a task_type instead"
            )
        await self._check_workflow(tenant_id, workflow_id, definition.fields["workflow_version"])


async def with_ledger(
    database: Database,
    firing: Firing,
    tenant_id: str,
    schedule_id: UUID,
    work: Callable[[Connection, Ledger], Awaitable[Result]],
    *,
    keep: bool = True,
) -> tuple[Result, Fired]:
    """Lock a schedule, let it fire what came until now, and do some work on its ledger; then write that.

    Call `Firing.say` with the second answer. With `keep=False` nothing is written. Raises NotFound.
    """
    async with database.pool.acquire() as connection, connection.transaction():
        row: Row | None = await connection.fetchrow(LOCK, schedule_id, tenant_id)
        if row is None:
            raise NotFound("schedule", str(schedule_id))
        now = await firing.clock(connection)
        [ledger] = await firing.open(connection, [row], now, times=MOST_TIMES)
        result = await work(connection, ledger)
        # Until here nothing was written but by `work`.
        return result, await firing.write(connection, [ledger]) if keep else Fired()


async def _stored_before(
    connection: Connection, schedule_id: UUID, tenant_id: str, request_id: str | None
) -> Row:
    row: Row | None = await connection.fetchrow(STORED_BEFORE, schedule_id, tenant_id, request_id)
    if row is None:
        raise Unavailable("a schedule with the same request id was deleted at this moment; try again")
    return row


def first_time(definition: Definition, now: datetime) -> datetime | None:
    """When a schedule that begins now fires first. A single time that has passed fires at once."""
    timing = definition.timing
    if timing.schedule_type == ScheduleType.ONE_TIME:
        return timing.next_after(datetime.min.replace(tzinfo=now.tzinfo))
    return timing.next_after(now)


def etag_of(schedule: Row) -> str:
    """Another one after every change by a caller."""
    return str(schedule["revision"])


def digest_of(fields: Mapping[str, Any]) -> str:
    """Tells a repeated request from another one under the same request id."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


def _new_row(tenant_id: str, definition: Definition, now: datetime) -> dict[str, Any]:
    next_fire_at = first_time(definition, now)
    return {
        **BLANK,
        **definition.fields,
        "schedule_type": definition.timing.schedule_type,
        "id": new_id(),
        "tenant_id": tenant_id,
        "status": ScheduleStatus.COMPLETED if next_fire_at is None else ScheduleStatus.ACTIVE,
        "next_fire_at": next_fire_at,
        "created_at": now,
        "updated_at": now,
    }


def _merged(present: Row, changes: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: present[name] for name in DEFAULTS}
    for name, value in changes.items():
        if name == "timing":
            timing = {**present["timing"], **value}
            fields[name] = {member: wanted for member, wanted in timing.items() if wanted is not None}
        else:
            fields[name] = DEFAULTS[name] if value is None else value
    return fields


def _check_etag(schedule: Row, etag: str) -> None:
    if etag and etag != etag_of(schedule):
        raise EtagMismatch("schedule", str(schedule["id"]), etag, etag_of(schedule))


def _check_not_completed(ledger: Ledger) -> None:
    if ledger.status == ScheduleStatus.COMPLETED:
        raise WrongStatus("schedule", str(ledger.schedule["id"]), ledger.status, ["ACTIVE", "PAUSED"])
