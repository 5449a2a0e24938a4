"""Firing because somebody asks for it: now, or for times that have passed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from taskflow_core.db import Connection, Database
from taskflow_core.errors import AlreadyExists, InvalidArgument
from taskflow_core.repeats import digest_of
from taskflow_core.schedules.fire import Firing
from taskflow_core.schedules.fires import IN_RANGE, Fire, stored_fire
from taskflow_core.schedules.ledger import Ledger
from taskflow_core.schedules.locked import with_ledger
from taskflow_core.schedules.timing import EARLIEST
from taskflow_core.states import FireOutcome, FireTrigger, OverlapPolicy
from taskflow_core.tasks.rows import Row

# Times that one call fires.
BACKFILL_LIMIT = 1000

BY_REQUEST = "SELECT * FROM schedule_fires WHERE tenant_id = $1 AND request_id = $2"
IS_TAKEN = "SELECT 1 FROM schedule_fires WHERE schedule_id = $1 AND fire_time = $2"


@dataclass(frozen=True)
class Backfilled:
    """What became of the times of a range; `next_start` if there are more than one call fires."""

    fired: int = 0
    buffered: int = 0
    skipped: int = 0
    existing: int = 0
    next_start: datetime | None = None


class ScheduleRequests:
    """Fires schedules by hand, in any status."""

    def __init__(self, database: Database, firing: Firing) -> None:
        self._database = database
        self._firing = firing

    async def trigger(
        self, tenant_id: str, schedule_id: UUID, *, overlap_policy: str = "", request_id: str | None = None
    ) -> Row:
        """Fire now, and return the fire; an earlier one if `request_id` says so.

        Raises NotFound, AlreadyExists (REQUEST_ID_REUSED).
        """
        digest = digest_of({"schedule": str(schedule_id), "overlap_policy": overlap_policy})

        async def fire(connection: Connection, ledger: Ledger) -> Row:
            if request_id is not None:
                earlier: Row | None = await connection.fetchrow(BY_REQUEST, tenant_id, request_id)
                if earlier is not None:
                    return earlier
            time = ledger.now
            while time in ledger.written or await connection.fetchval(IS_TAKEN, schedule_id, time):
                time += timedelta.resolution
            new = ledger.asked(time, FireTrigger.MANUAL, overlap_policy)
            new.request_id, new.request_digest = request_id, digest
            return new.row()

        try:
            row = await with_ledger(
                self._database, self._firing, tenant_id, schedule_id, fire, "trigger a schedule"
            )
        except asyncpg.UniqueViolationError:
            # Another schedule was triggered with the same request id, at the same time.
            raise _reused(request_id) from None
        if row["request_digest"] != digest:
            raise _reused(request_id)
        return row

    async def backfill(
        self,
        tenant_id: str,
        schedule_id: UUID,
        start: datetime,
        end: datetime,
        *,
        overlap_policy: str = "",
        validate_only: bool = False,
    ) -> Backfilled:
        """Fire the times from `start` to before `end`, but for those that have fired or wait.

        Raises NotFound, InvalidArgument.
        """
        if end <= start:
            raise InvalidArgument.at("end_time", "must be after start_time")

        async def fire(connection: Connection, ledger: Ledger) -> Backfilled:
            if end > ledger.now:
                raise InvalidArgument.at(
                    "end_time", f"{end.isoformat()} lies ahead; a backfill is of times that have passed"
                )
            return await self._backfill(connection, ledger, start, end, overlap_policy)

        return await with_ledger(
            self._database,
            self._firing,
            tenant_id,
            schedule_id,
            fire,
            "backfill a schedule",
            keep=not validate_only,
        )

    async def _backfill(
        self, connection: Connection, ledger: Ledger, start: datetime, end: datetime, overlap_policy: str
    ) -> Backfilled:
        timing = self._firing.timings.of(ledger.schedule)
        before = timedelta.resolution
        times = timing.between(max(start, EARLIEST) - before, max(end, EARLIEST) - before, BACKFILL_LIMIT + 1)
        next_start = times[BACKFILL_LIMIT] if len(times) > BACKFILL_LIMIT else None
        there = await self._fires_between(connection, ledger, start, end)
        outcomes = []
        existing = 0
        for time in times[:BACKFILL_LIMIT]:
            earlier = there.get(time)
            if earlier is not None and earlier.outcome in (FireOutcome.FIRED, FireOutcome.BUFFERED):
                existing += 1
                continue
            policy = overlap_policy or OverlapPolicy.BUFFER_ALL
            outcomes.append(ledger.asked(time, FireTrigger.BACKFILL, policy, again=earlier))
        of = [fire.outcome for fire in outcomes]
        return Backfilled(
            fired=of.count(FireOutcome.FIRED),
            buffered=of.count(FireOutcome.BUFFERED),
            skipped=of.count(FireOutcome.SKIPPED) + of.count(FireOutcome.DROPPED),
            existing=existing,
            next_start=next_start,
        )

    async def _fires_between(
        self, connection: Connection, ledger: Ledger, start: datetime, end: datetime
    ) -> dict[datetime, Fire]:
        rows = await connection.fetch(IN_RANGE, ledger.schedule["id"], start, end)
        return {**{row["fire_time"]: stored_fire(row) for row in rows}, **ledger.written}


def _reused(request_id: str | None) -> AlreadyExists:
    return AlreadyExists(
        f"request id {request_id!r} was used before, with another request",
        reason="REQUEST_ID_REUSED",
        request_id=str(request_id),
    )
