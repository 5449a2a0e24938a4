"""Deleting old deliveries, and what disabled and deleted webhooks have left behind."""

from taskflow_core.db import Database, alone

# Any number, as long as all that clean up use the same, and no other lock does.
LOCK = 7_401_930
BATCH = 2000

DELETE_OLD = """
WITH old AS MATERIALIZED (
  SELECT id FROM webhook_deliveries
  WHERE ended_at < now() - make_interval(secs => $1) AND ended_at IS NOT NULL ORDER BY ended_at, id LIMIT $2
  FOR UPDATE SKIP LOCKED
), attempts AS (
  DELETE FROM webhook_attempts a USING old WHERE a.delivery_id = old.id
)
DELETE FROM webhook_deliveries d USING old WHERE d.id = old.id
"""

# Planned by a transaction that still saw the webhook enabled, or there.
CANCEL_LATE = """
UPDATE webhook_deliveries d SET status = 'CANCELLED', ended_at = now()
FROM webhooks w
WHERE d.webhook_id = w.id AND w.status <> 'ENABLED' AND d.status IN ('PENDING', 'RETRYING') AND NOT d.test
"""
DELETE_ORPHANS = """
WITH gone AS MATERIALIZED (
  SELECT d.id FROM webhook_deliveries d
  WHERE NOT (d.status IN ('CANCELLED', 'FAILED', 'SUCCEEDED')) AND NOT d.test
    AND NOT EXISTS (SELECT FROM webhooks w WHERE w.id = d.webhook_id)
  LIMIT $1
)
DELETE FROM webhook_deliveries d USING gone WHERE d.id = gone.id
"""


class DeliveryRetention:
    """One pass over what is old or left behind."""

    def __init__(self, database: Database, *, seconds: float) -> None:
        self._database = database
        self._seconds = seconds

    async def run(self) -> int:
        """Delete what is old, and return how many deliveries that were."""
        async with alone(self._database, LOCK) as is_alone:
            if not is_alone:
                return 0
            await self._database.pool.execute(CANCEL_LATE)
            deleted = 0
            for statement, arguments in ((DELETE_ORPHANS, (BATCH,)), (DELETE_OLD, (self._seconds, BATCH))):
                while count := _count(await self._database.pool.execute(statement, *arguments)):
                    deleted += count
            return deleted


def _count(command: str) -> int:
    """The rows that a command reports: `DELETE 3`."""
    return int(command.rpartition(" ")[2])
