"""How webhooks fared over a period: deliveries, attempts, and how long they took. Tests count for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from taskflow_core.clock import database_time
from taskflow_core.db import Database, until_answered
from taskflow_core.stats.period import Period, period
from taskflow_core.tasks.rows import Row

# Webhooks that are shown one by one.
GROUPS = 100
DEFAULT_LENGTH = timedelta(days=1)
# Seconds that a reader outlives a database that is away.
PATIENCE = 5.0

CURRENT = """
SELECT count(*) AS total, count(*) FILTER (WHERE status = 'ENABLED') AS enabled,
  count(*) FILTER (WHERE status = 'DISABLED') AS disabled, count(*) FILTER (WHERE status = 'GONE') AS gone,
  count(*) FILTER (WHERE status = 'FAILING') AS failing
FROM webhooks WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id = $2)
"""

# A group without webhook is the total. Durations are in seconds.
FIGURES = """
WITH endpoint AS MATERIALIZED (
  SELECT id, name FROM webhooks WHERE tenant_id = $1 AND ($4::uuid IS NULL OR id = $4)
), told AS MATERIALIZED (
  -- By three indexes: what was planned in the period, what is not final, and what ended since.
  SELECT e.name, d.* FROM endpoint e CROSS JOIN LATERAL (
    SELECT id, webhook_id, status, created_at, ended_at, event_time FROM webhook_deliveries
    WHERE webhook_id = e.id AND NOT test AND created_at >= $2 AND created_at < $3
    UNION ALL
    SELECT id, webhook_id, status, created_at, ended_at, event_time FROM webhook_deliveries
    WHERE webhook_id = e.id AND NOT test AND NOT (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED'))
      AND (created_at < $2 OR created_at >= $3)
  ) AS d
  UNION ALL
  SELECT e.name, d.id, webhook_id, status, created_at, ended_at, event_time
  FROM webhook_deliveries d JOIN endpoint e ON e.id = d.webhook_id
  WHERE d.ended_at >= $2 AND d.created_at < $2 AND NOT d.test
), deliveries AS (
  SELECT webhook_id, min(name) AS name,
    count(*) FILTER (WHERE created_at >= $2 AND created_at < $3) AS planned,
    count(*) FILTER (WHERE status = 'SUCCEEDED' AND ended_at < $3) AS succeeded,
    count(*) FILTER (WHERE status = 'FAILED' AND ended_at < $3) AS failed,
    count(*) FILTER (WHERE status = 'CANCELLED' AND ended_at < $3) AS cancelled,
    count(*) FILTER (WHERE ended_at IS NULL) AS pending,
    avg(late) AS lateness_average, max(late) AS lateness_max,
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY late) AS lateness_percentiles
  FROM (
    SELECT *, CASE WHEN status = 'SUCCEEDED' AND ended_at < $3
      THEN extract(epoch FROM ended_at - event_time)::float8 END AS late
    FROM told
  ) AS timed
  GROUP BY GROUPING SETS ((webhook_id), ())
), attempts AS (
  SELECT told.webhook_id, count(*) AS attempts, count(*) FILTER (WHERE a.outcome <> 'SUCCEEDED') AS failed_attempts,
    avg(answered) AS latency_average, max(answered) AS latency_max, count(answered) AS latency_count,
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY answered) AS latency_percentiles
  FROM told JOIN (
    SELECT *, CASE WHEN response_status > 0 THEN latency END AS answered FROM webhook_attempts
  ) AS a ON a.delivery_id = told.id
  WHERE a.started_at >= $2 AND a.started_at < $3
  GROUP BY GROUPING SETS ((told.webhook_id), ())
)
SELECT d.*, coalesce(a.attempts, 0) AS attempts, coalesce(a.failed_attempts, 0) AS failed_attempts,
  coalesce(a.latency_count, 0) AS latency_count, a.latency_average, a.latency_max, a.latency_percentiles
FROM deliveries d LEFT JOIN attempts a ON a.webhook_id IS NOT DISTINCT FROM d.webhook_id
ORDER BY d.webhook_id IS NOT NULL, d.planned DESC, d.webhook_id LIMIT $5
"""


@dataclass(frozen=True)
class WebhookFigures:
    """Webhooks by status now, all of them over the period, and each of them, most deliveries first."""

    period: Period
    current: Row
    total: Row
    by_webhook: Sequence[Row]


class WebhookStatistics:
    """Sums up the deliveries of one tenant at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(
        self, tenant_id: str, start: datetime | None, end: datetime | None, webhook_id: UUID | None = None
    ) -> WebhookFigures:
        """The figures of a period, by default the last day, of one webhook or all. Raises InvalidArgument.

        Each group has planned, succeeded, failed, cancelled, pending, attempts, failed_attempts, and of latency
        and lateness the average, the maximum and the percentiles 50, 95 and 99, None where nothing was measured.
        """

        async def once() -> WebhookFigures:
            now = await database_time(self._database.pool)
            cut = period(start, end, None, now=now, default=DEFAULT_LENGTH)
            [current] = await self._database.pool.fetch(CURRENT, tenant_id, webhook_id)
            total, *groups = await self._database.pool.fetch(
                FIGURES, tenant_id, cut.start, cut.end, webhook_id, GROUPS + 1
            )
            return WebhookFigures(cut, current, total, groups)

        return await until_answered(once, "read statistics of webhooks", give_up_after=PATIENCE)
