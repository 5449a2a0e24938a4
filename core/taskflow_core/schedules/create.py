"""Nothing -> ACTIVE: creating schedules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import AlreadyExists, Unavailable
from taskflow_core.ids import new_id
from taskflow_core.repeats import digest_of
from taskflow_core.schedules.definition import (
    BLANK,
    DEFAULTS,
    DEFINED,
    CheckWorkflow,
    Definition,
    check_definition,
    check_workflow_of,
    first_time,
    merged,
)
from taskflow_core.schedules.fire import Firing
from taskflow_core.schedules.locked import PATIENCE
from taskflow_core.schedules.ring import ScheduleRing
from taskflow_core.states import ScheduleStatus
from taskflow_core.tasks.rows import Row

# By an earlier try whose answer was lost, or by an earlier call.
STORED_BEFORE = "SELECT * FROM schedules WHERE id = $1 OR (tenant_id = $2 AND request_id = $3)"

_PLACES = ", ".join(f"${number}" for number, _ in enumerate(DEFINED, start=8))
INSERT = f"""
INSERT INTO schedules (
  id, tenant_id, request_id, request_digest, status, next_fire_at, created_at, updated_at, {", ".join(DEFINED)})
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, {_PLACES})
ON CONFLICT DO NOTHING
RETURNING *
"""  # noqa: S608 - the columns are our own


class ScheduleCreation:
    """Stores new schedules."""

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
        definition = check_definition(merged(DEFAULTS, fields), now)
        await check_workflow_of(definition, tenant_id, self._check_workflow)
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


async def _stored_before(
    connection: Connection, schedule_id: UUID, tenant_id: str, request_id: str | None
) -> Row:
    row: Row | None = await connection.fetchrow(STORED_BEFORE, schedule_id, tenant_id, request_id)
    if row is None:
        raise Unavailable("a schedule with the same request id was deleted at this moment; try again")
    return row


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
