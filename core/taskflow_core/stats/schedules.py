"""Schedules over a period: what became of their fires, and how late those were decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.errors import InvalidArgument
from taskflow_core.schedules.fires import WORK_OF
from taskflow_core.tasks.rows import Row

# Schedules that are told apart, and the length of a period by default.
MOST = 100
DAY = timedelta(days=1)

CURRENT = """
SELECT status, count(*) AS count FROM schedules
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id = $2) GROUP BY status
"""

# Lateness is of fires that started when they were due: what waited did so on purpose. Fires by their due times, which the key of the table has for each schedule.
FIRES = f"""
WITH fires AS (
  SELECT s.id, s.name, f.outcome, w.status,
    CASE WHEN f.trigger = 'TIME' AND f.reason = ''
      THEN extract(epoch FROM f.actual_time - f.fire_time)::float8 END AS late
  FROM schedules s JOIN schedule_fires f ON f.schedule_id = s.id
  LEFT JOIN {WORK_OF.format(fire="f")} AS w ON true
  WHERE s.tenant_id = $1 AND ($2::uuid IS NULL OR s.id = $2) AND f.fire_time >= $3 AND f.fire_time < $4
)
SELECT id, name, count(*) AS fires,
  count(*) FILTER (WHERE outcome = 'FIRED') AS fired,
  count(*) FILTER (WHERE outcome = 'SKIPPED') AS skipped,
  count(*) FILTER (WHERE outcome = 'MISSED') AS missed,
  count(*) FILTER (WHERE outcome = 'DROPPED') AS dropped,
  count(*) FILTER (WHERE outcome = 'REFUSED') AS refused,
  count(*) FILTER (WHERE status = 'SUCCEEDED') AS succeeded,
  count(*) FILTER (WHERE status = 'FAILED') AS failed,
  count(late) AS measured, avg(late) AS average, max(late) AS longest,
  percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY late) AS percentiles
FROM fires GROUP BY GROUPING SETS ((id, name), ())
ORDER BY id IS NOT NULL, fires DESC, id LIMIT $5
"""  # noqa: S608 - the tables are our own


@dataclass(frozen=True)
class ScheduleStats:
    """Fires that were due from `start` to before `end`. `current` counts schedules by status, as they are now."""

    start: datetime
    end: datetime
    current: Mapping[str, int]
    total: Row
    by_schedule: Sequence[Row]


async def read_schedule_stats(
    database: Database,
    tenant_id: str,
    schedule_id: UUID | None,
    *,
    start: datetime | None,
    end: datetime | None,
) -> ScheduleStats:
    """By default over the last day. Raises InvalidArgument at `end_time`."""
    async with database.pool.acquire() as connection:
        last: datetime = end or await connection.fetchval("SELECT now()")
        first = start or last - DAY
        if last < first:
            raise InvalidArgument.at("end_time", "is before start_time; a period ends after it starts")
        current = await connection.fetch(CURRENT, tenant_id, schedule_id)
        rows = await connection.fetch(FIRES, tenant_id, schedule_id, first, last, MOST + 1)
    return ScheduleStats(first, last, {row["status"]: row["count"] for row in current}, rows[0], rows[1:])
