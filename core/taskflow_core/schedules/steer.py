"""Changing schedules. Whoever changes one has locked its row, so that it does not fire meanwhile."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from taskflow_core.db import Connection, Database, exactly_once
from taskflow_core.errors import NotFound, WrongStatus
from taskflow_core.etags import check_etag, etag_of
from taskflow_core.schedules.definition import (
    COLUMNS,
    DEFAULTS,
    DEFINED,
    CheckWorkflow,
    check_definition,
    check_workflow_of,
    first_time,
    merged,
)
from taskflow_core.schedules.fire import Firing
from taskflow_core.schedules.ledger import Ledger
from taskflow_core.schedules.locked import LOCK, PATIENCE, with_ledger
from taskflow_core.schedules.ring import ScheduleRing
from taskflow_core.states import ScheduleStatus
from taskflow_core.tasks.rows import Row

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
    """Changes, pauses, resumes and deletes the schedules of a tenant."""

    def __init__(
        self,
        database: Database,
        firing: Firing,
        ring: ScheduleRing,
        check_workflow: CheckWorkflow,
    ) -> None:
        self._database = database
        self._firing = firing
        self._ring = ring
        self._check_workflow = check_workflow

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
            check_etag("schedule", str(schedule_id), etag, etag_of(present))
            definition = check_definition(
                merged({name: present[name] for name in DEFAULTS}, changes), present["created_at"]
            )
            await check_workflow_of(definition, tenant_id, self._check_workflow)
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

        async def deletion(connection: Connection) -> None:
            present: Row | None = await connection.fetchrow(LOCK, schedule_id, tenant_id)
            if present is None:
                if allow_missing:
                    return
                raise NotFound("schedule", str(schedule_id))
            check_etag("schedule", str(schedule_id), etag, etag_of(present))
            await connection.execute(DELETE_FIRES, schedule_id)
            await connection.execute(DELETE, schedule_id)

        await exactly_once(self._database, deletion, "delete a schedule", give_up_after=PATIENCE)

    async def _change(
        self,
        tenant_id: str,
        schedule_id: UUID,
        change: Callable[[Connection, Ledger], Awaitable[Row]],
        *,
        keep: bool = True,
    ) -> Row:
        row = await with_ledger(
            self._database, self._firing, tenant_id, schedule_id, change, "change a schedule", keep=keep
        )
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


def _check_not_completed(ledger: Ledger) -> None:
    if ledger.status == ScheduleStatus.COMPLETED:
        raise WrongStatus("schedule", str(ledger.schedule["id"]), ledger.status, ["ACTIVE", "PAUSED"])
