"""PENDING | RETRYING -> SENDING: which deliveries a worker sends next, and what has become of lost ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.tasks.rows import Row

# The class of the locks that keep two claims of one webhook apart, so that its limit is counted right.
LOCK_CLASS = 7_401_931

# What an idle deliverer asks: one look at the first waiting delivery of each webhook.
LOOK = """
WITH endpoints AS MATERIALIZED (
  SELECT w.id, (
    SELECT d.due_at FROM webhook_deliveries d
    WHERE d.webhook_id = w.id AND d.status IN ('PENDING', 'RETRYING') AND NOT d.test
    ORDER BY d.due_at LIMIT 1) AS first_due
  FROM webhooks w WHERE w.status = 'ENABLED'
)
SELECT
  EXISTS (SELECT FROM endpoints) AS any_enabled,
  ARRAY(SELECT id FROM endpoints WHERE first_due <= now()) AS due,
  (SELECT min(first_due) FROM endpoints WHERE first_due > now()) - now() AS next_due,
  EXISTS (SELECT FROM webhook_deliveries WHERE test AND status = 'PENDING') AS tests,
  EXISTS (SELECT FROM webhook_deliveries WHERE status = 'SENDING' AND lease_until < now()) AS lost
"""

LOCK_ENDPOINTS = """
SELECT id FROM unnest($1::uuid[]) AS wanted (id) WHERE pg_try_advisory_xact_lock($2, hashtext(id::text))
"""

_WITH_WEBHOOK = """
SELECT claimed.*, now() AS claimed_at, w.url, w.condition, w.headers, w.secret, w.revision, w.retry_policy,
  w.request_timeout, w.max_concurrency,
  CASE WHEN w.previous_secret_expires_at > now() THEN w.previous_secret END AS previous_secret
FROM claimed JOIN webhooks w ON w.id = claimed.webhook_id
"""
_START = """
  UPDATE webhook_deliveries d SET status = 'SENDING', attempt = d.attempt + 1, started_at = now(),
    lease_until = now() + make_interval(secs => chosen.request_timeout + $1)
  FROM chosen WHERE d.id = chosen.id AND d.status IN ('PENDING', 'RETRYING')
  RETURNING d.*
"""

# Several endpoints share the free slots evenly: the first of each, then the second of each.
CLAIM = f"""
WITH endpoint AS MATERIALIZED (
  SELECT w.id, w.ordered, w.request_timeout, greatest(0,
    CASE WHEN w.ordered OR w.circuit_open_until > now() THEN 1 ELSE w.max_concurrency END - (
      SELECT count(*) FROM webhook_deliveries s
      WHERE s.webhook_id = w.id AND s.status = 'SENDING' AND NOT s.test)) AS room
  FROM webhooks w WHERE w.id = ANY($3::uuid[]) AND w.status = 'ENABLED'
), found AS (
  SELECT d.id, e.request_timeout, row_number() OVER (PARTITION BY e.id ORDER BY d.due_at, d.id) AS place
  FROM endpoint e CROSS JOIN LATERAL (
    SELECT id, due_at FROM webhook_deliveries
    WHERE webhook_id = e.id AND status IN ('PENDING', 'RETRYING') AND NOT test AND due_at <= now()
    ORDER BY due_at, id LIMIT e.room
  ) AS d
  WHERE NOT e.ordered
  UNION ALL
  SELECT d.id, e.request_timeout, 1
  FROM endpoint e CROSS JOIN LATERAL (
    SELECT id, status, due_at FROM webhook_deliveries
    WHERE webhook_id = e.id AND NOT (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED')) AND NOT test
    ORDER BY id LIMIT 1
  ) AS d
  WHERE e.ordered AND e.room > 0 AND d.status IN ('PENDING', 'RETRYING') AND d.due_at <= now()
), chosen AS (
  SELECT id, request_timeout FROM found ORDER BY place LIMIT $2
), claimed AS ({_START})
{_WITH_WEBHOOK}
"""  # noqa: S608 - the parts are our own

CLAIM_TESTS = f"""
WITH chosen AS MATERIALIZED (
  SELECT d.id, w.request_timeout FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
  WHERE d.test AND d.status = 'PENDING' ORDER BY d.due_at LIMIT $2 FOR UPDATE OF d SKIP LOCKED
), claimed AS ({_START})
{_WITH_WEBHOOK}
"""  # noqa: S608 - the parts are our own

FIND_LOST = """
SELECT d.*, w.url, w.retry_policy, now() - d.started_at AS ago
FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
WHERE d.status = 'SENDING' AND d.lease_until < now() ORDER BY d.id LIMIT $1
"""

# A condition that is not true of the event: there never was a delivery.
DROP = """
DELETE FROM webhook_deliveries d USING unnest($1::uuid[], $2::int[]) AS refused (id, attempt)
WHERE d.id = refused.id AND d.attempt = refused.attempt AND d.status = 'SENDING'
"""


@dataclass(frozen=True)
class Look:
    """What there is to do. `next_due` is in seconds, None if nothing waits for its time."""

    any_enabled: bool
    due: Sequence[UUID]
    tests: bool
    lost: bool
    next_due: float | None


class DeliveryClaims:
    """Claims deliveries for one worker. A claim whose answer was lost comes back when its lease runs out."""

    def __init__(self, database: Database, *, lease_grace: float) -> None:
        self._database = database
        self._lease_grace = lease_grace

    async def look(self) -> Look:
        """See what there is to do, cheaply."""
        [row] = await self._database.pool.fetch(LOOK)
        next_due: timedelta | None = row["next_due"]
        return Look(
            row["any_enabled"],
            row["due"],
            row["tests"],
            row["lost"],
            None if next_due is None else next_due.total_seconds(),
        )

    async def claim(self, webhook_ids: Sequence[UUID], limit: int) -> list[Row]:
        """Due deliveries of these webhooks, as many as each has room for, with what is needed to send them.

        A webhook that another worker claims from at this moment is left to it.
        """
        async with self._database.pool.acquire() as connection, connection.transaction():
            # A statement of its own, so that the next one counts what was claimed before it got the lock.
            locked = await connection.fetch(LOCK_ENDPOINTS, webhook_ids, LOCK_CLASS)
            if not locked:
                return []
            ids = [row["id"] for row in locked]
            return list(await connection.fetch(CLAIM, self._lease_grace, limit, ids))

    async def claim_tests(self, limit: int) -> list[Row]:
        """Test deliveries, whatever the status of their webhooks."""
        return list(await self._database.pool.fetch(CLAIM_TESTS, self._lease_grace, limit))

    async def find_lost(self, limit: int) -> list[Row]:
        """Deliveries whose worker did not record how the attempt ended, with `ago`, when it started."""
        return list(await self._database.pool.fetch(FIND_LOST, limit))

    async def drop(self, refused: Sequence[Row]) -> None:
        """Delete what the condition of its webhook refuses."""
        ids: list[Any] = [row["id"] for row in refused]
        await self._database.pool.execute(DROP, ids, [row["attempt"] for row in refused])
