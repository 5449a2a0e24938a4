"""SUCCEEDED | FAILED | CANCELLED -> PENDING: sending again what a webhook has, or has not, got."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import EventsExpired, InvalidArgument, WrongStatus
from taskflow_core.queue import Queue
from taskflow_core.states import DELIVERY_FINAL, WebhookStatus
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.read import DeliveryReader
from taskflow_core.webhooks.subscriptions import Webhooks
from taskflow_core.webhooks.wake import wake_deliverers

PATIENCE = 5.0
RECOVERED_AT_ONCE = 10_000
# Events are found by their transactions, which begin in almost the order of their numbers.
SLACK = timedelta(minutes=1)

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

# Where in the log of all tasks a time is: the first event of a transaction that is not older, by bisection.
BOUNDS = """
SELECT (SELECT xid::text::bigint FROM task_events ORDER BY xid LIMIT 1),
  (SELECT xid::text::bigint FROM task_events ORDER BY xid DESC LIMIT 1)
"""
TIME_AT = "SELECT created_at FROM task_events WHERE xid >= ($1::bigint)::text::xid8 ORDER BY xid LIMIT 1"

# As the trigger does, for one webhook and for events that are past. The task is told of as it is now, but for what
# the event itself says.
FIND_MISSED = """
SELECT e.task_id, e.sequence, types.event_type, e.created_at
FROM task_events e
JOIN (VALUES
  ('CREATED', 'task.created'), ('STARTED', 'task.started'), ('RETRYING', 'task.retrying'),
  ('SUCCEEDED', 'task.success'), ('FAILED', 'task.failed'), ('FAILED', 'task.dead_lettered'),
  ('CANCELLED', 'task.cancelled')) AS types (kind, event_type) ON types.kind = e.kind
JOIN webhooks w ON w.id = $1 AND w.tenant_id = e.tenant_id AND webhook_wants(w.event_types, types.event_type)
WHERE e.xid >= ($2::bigint)::text::xid8 AND e.xid <= ($3::bigint)::text::xid8
  AND e.created_at >= $4 AND e.created_at < $5
  AND NOT coalesce((
    SELECT true FROM webhook_deliveries d
    WHERE d.webhook_id = w.id AND d.subject_id = e.task_id AND d.event_type = types.event_type
      AND d.sequence = e.sequence AND d.event_time = e.created_at AND NOT d.test), false)
ORDER BY e.created_at, e.task_id, e.sequence LIMIT $6
"""
PLAN_MISSED = """
INSERT INTO webhook_deliveries (
  tenant_id, webhook_id, event_type, event_time, sequence, subject_id, task_id, data, event_xid)
SELECT e.tenant_id, $1, missed.event_type, e.created_at, e.sequence, e.task_id, e.task_id,
  jsonb_build_object('task', to_jsonb(t) || jsonb_build_object(
    'status', e.status, 'attempt', e.attempt, 'last_sequence', e.sequence,
    'error', coalesce(e.data -> 'error', CASE WHEN e.status IN ('FAILED', 'CANCELLED') THEN t.error END),
    'finished_at', CASE WHEN e.status IN ('CANCELLED', 'FAILED', 'SUCCEEDED') THEN t.finished_at END)), e.xid
FROM unnest($2::uuid[], $3::int[], $4::text[]) WITH ORDINALITY AS missed (task_id, sequence, event_type, place)
JOIN task_events e ON e.task_id = missed.task_id AND e.sequence = missed.sequence
JOIN (
  SELECT id, name, task_type, queue, priority, tags, retry_policy, attempt_timeout, expire_at, status, run_at,
    attempt, failed_attempts, cancel_requested_at, progress, error, last_sequence, unique_key, unique_scope,
    schedule_id, execution_id, node_id, created_at, started_at, finished_at
  FROM tasks
) AS t ON t.id = e.task_id
ORDER BY missed.place
ON CONFLICT DO NOTHING
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
        webhooks: Webhooks,
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
        now = datetime.now(UTC)
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
    undelivered = await connection.fetch(FIND_UNDELIVERED, webhook_id, start, end, limit + 1)
    first, last = await _transactions(connection, start, end)
    missed = await connection.fetch(FIND_MISSED, webhook_id, first, last, start, end, limit + 1)
    times = sorted([row["event_time"] for row in undelivered] + [row["created_at"] for row in missed])
    next_start = times[limit] if len(times) > limit else None
    if next_start is not None and next_start > start:
        # Whole moments only, so that the next call starts where this one ends.
        undelivered = [row for row in undelivered if row["event_time"] < next_start]
        missed = [row for row in missed if row["created_at"] < next_start]
    if not only_count:
        await connection.execute(REDELIVER_ALL, [row["id"] for row in undelivered])
        await connection.execute(
            PLAN_MISSED,
            webhook_id,
            [row["task_id"] for row in missed],
            [row["sequence"] for row in missed],
            [row["event_type"] for row in missed],
        )
    return Recovered(len(undelivered), len(missed), next_start)


async def _transactions(connection: Connection, start: datetime, end: datetime) -> tuple[int, int]:
    """The first and the last transaction whose events may lie between two times."""
    [(lowest, highest)] = await connection.fetch(BOUNDS)
    if lowest is None:
        return 0, 0
    first = await _bisect(connection, lowest, highest, start - SLACK)
    last = await _bisect(connection, first, highest, end + SLACK)
    return first, last


async def _bisect(connection: Connection, low: int, high: int, time: datetime) -> int:
    """The first transaction from `low` on whose events are not before `time`; `high` if there is none."""
    while low < high:
        middle = (low + high) // 2
        written = await connection.fetchval(TIME_AT, middle)
        if written is not None and written < time:
            low = middle + 1
        else:
            high = middle
    return low
