"""SUCCEEDED | FAILED | CANCELLED -> PENDING: sending again what a webhook has, or has not, got."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from taskflow_core.clock import database_time
from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import EventsExpired, InvalidArgument, WrongStatus
from taskflow_core.queue import Queue
from taskflow_core.states import DELIVERY_FINAL, WebhookStatus
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.delivery_log import DeliveryReader
from taskflow_core.webhooks.missed import EXECUTION_EVENTS, TASK_EVENTS, Source
from taskflow_core.webhooks.missed_fires import Fires
from taskflow_core.webhooks.read import WebhookReader
from taskflow_core.webhooks.wake import wake_deliverers

PATIENCE = 5.0
RECOVERED_AT_ONCE = 10_000
SOURCES: tuple[Source, ...] = (TASK_EVENTS, EXECUTION_EVENTS, Fires())

REDELIVER = """
UPDATE webhook_deliveries d SET status = 'PENDING', due_at = now(), ended_at = NULL, attempts_before = d.attempt
FROM webhooks w
WHERE d.id = $1 AND d.tenant_id = $2 AND w.id = d.webhook_id AND w.status = 'ENABLED'
  AND d.status IN ('CANCELLED', 'FAILED', 'SUCCEEDED')
RETURNING d.*
"""

FIND_UNDELIVERED = """
SELECT id, event_time FROM webhook_deliveries
WHERE webhook_id = $1 AND event_time >= $2 AND event_time < $3 AND status IN ('CANCELLED', 'FAILED') AND NOT test
ORDER BY event_time, id LIMIT $4
"""
REDELIVER_ALL = """
UPDATE webhook_deliveries d SET status = 'PENDING', due_at = now(), ended_at = NULL, attempts_before = d.attempt
WHERE d.id = ANY($1::uuid[]) AND d.status IN ('CANCELLED', 'FAILED')
"""


@dataclass(frozen=True)
class Recovered:
    """How many are sent again, how many are sent for the first time, and where to go on if that was not all."""

    redelivered: int
    created: int
    next_start: datetime | None


class Redelivery:
    """Sends again what callers ask for."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        webhooks: WebhookReader,
        deliveries: DeliveryReader,
        *,
        retention: float,
    ) -> None:
        self._database = database
        self._queue = queue
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._retention = timedelta(seconds=retention)

    async def redeliver(self, tenant_id: str, delivery_id: UUID) -> Row:
        """Start a final delivery anew. Raises NotFound, WrongStatus."""
        row: Row | None = await self._database.pool.fetchrow(REDELIVER, delivery_id, tenant_id)
        if row is None:
            found = await self._deliveries.get(tenant_id, delivery_id)
            _check_enabled(await self._webhooks.get(tenant_id, found["webhook_id"]))
            raise WrongStatus("delivery", str(delivery_id), found["status"], sorted(DELIVERY_FINAL))
        await wake_deliverers(self._queue)
        return row

    async def recover(
        self, tenant_id: str, webhook_id: UUID, start: datetime, end: datetime | None, *, validate_only: bool
    ) -> Recovered:
        """Send what the webhook missed in a time range, in the order of the events, `RECOVERED_AT_ONCE` at most.

        Raises NotFound, WrongStatus, InvalidArgument, EventsExpired.
        """
        now = await database_time(self._database.pool)
        end = end or now
        if end <= start:
            raise InvalidArgument.at("end_time", "must be after start_time")
        if start < now - self._retention:
            raise EventsExpired(
                f"events before {(now - self._retention).isoformat()} are not kept",
                start_time=start.isoformat(),
            )
        _check_enabled(await self._webhooks.get(tenant_id, webhook_id))

        async def once() -> Recovered:
            async with self._database.pool.acquire() as connection, connection.transaction():
                return await _recover(connection, webhook_id, start, end, only_count=validate_only)

        # A repetition after a lost answer finds nothing left to do, and would answer with zeros.
        recovered = await until_answered(once, "recover deliveries", give_up_after=PATIENCE)
        if not validate_only:
            await wake_deliverers(self._queue)
        return recovered


def _check_enabled(webhook: Row) -> None:
    if webhook["status"] != WebhookStatus.ENABLED:
        raise WrongStatus("webhook", str(webhook["id"]), webhook["status"], [WebhookStatus.ENABLED])


async def _recover(
    connection: Connection, webhook_id: UUID, start: datetime, end: datetime, *, only_count: bool
) -> Recovered:
    limit = RECOVERED_AT_ONCE
    undelivered: Sequence[Row] = await connection.fetch(FIND_UNDELIVERED, webhook_id, start, end, limit + 1)
    missed: list[Sequence[Row]] = [
        await source.find(connection, webhook_id, start, end, limit + 1) for source in SOURCES
    ]
    times = sorted(row["event_time"] for rows in (undelivered, *missed) for row in rows)
    next_start = times[limit] if len(times) > limit else None
    if next_start is not None and next_start > start:
        # Whole moments only, so that the next call starts where this one ends.
        undelivered = _before(next_start, undelivered)
        missed = [_before(next_start, rows) for rows in missed]
    if not only_count:
        await connection.execute(REDELIVER_ALL, [row["id"] for row in undelivered])
        for source, rows in zip(SOURCES, missed, strict=True):
            await source.plan(connection, webhook_id, rows)
    return Recovered(len(undelivered), sum(map(len, missed)), next_start)


def _before(time: datetime, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["event_time"] < time]
