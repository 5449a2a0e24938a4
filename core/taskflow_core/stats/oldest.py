"""Since when the longest waiting task of a lane is due, without reading all that wait."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from taskflow_core.queue import Lane
from taskflow_core.stats.now import Snapshot

# Entries of the index that are looked at for one lane: all lanes of all tenants lie in it by time.
REACH = 5_000
MINUTE = timedelta(minutes=1)

# The figures know the minute in which the oldest became QUEUED; those that were due then lie side by side.
# The held ones of a lane lie apart, by type: the types are found by leaps.
OLDEST = f"""
WITH RECURSIVE lanes AS (
  SELECT * FROM unnest($2::text[], $3::text[], $4::timestamptz[]) AS lanes (queue, priority, since)
), types AS (
  SELECT lanes.*, (
    SELECT min(t.task_type) FROM tasks t WHERE t.tenant_id = $1 AND t.queue = lanes.queue
      AND t.held AND t.status IN ('QUEUED', 'RETRYING', 'SCHEDULED')) AS name
  FROM lanes
  UNION ALL
  SELECT types.queue, types.priority, types.since, (
    SELECT min(t.task_type) FROM tasks t WHERE t.tenant_id = $1 AND t.queue = types.queue
      AND t.held AND t.status IN ('QUEUED', 'RETRYING', 'SCHEDULED') AND t.task_type > types.name)
  FROM types WHERE types.name IS NOT NULL
)
SELECT lanes.queue, lanes.priority, least(
  (SELECT min(run_at) FROM (
     SELECT t.tenant_id, t.queue, t.priority, t.run_at FROM tasks t
     WHERE t.status = 'QUEUED' AND NOT t.held AND t.run_at >= lanes.since - interval '1 minute'
     ORDER BY t.run_at, t.id LIMIT {REACH}) AS near
   WHERE tenant_id = $1 AND near.queue = lanes.queue AND near.priority = lanes.priority),
  (SELECT min(held.run_at) FROM types, LATERAL (
     SELECT t.run_at FROM tasks t
     WHERE t.held AND t.status IN ('QUEUED', 'RETRYING', 'SCHEDULED') AND t.tenant_id = $1
       AND t.queue = types.queue AND t.task_type = types.name AND t.priority = types.priority
       AND t.status = 'QUEUED'
     ORDER BY t.run_at, t.id LIMIT 1) AS held
   WHERE types.queue = lanes.queue AND types.priority = lanes.priority)) AS due
FROM lanes
"""  # noqa: S608 - a number


async def oldest_due(seen: Snapshot, queued_since: Mapping[Lane, datetime]) -> dict[Lane, datetime]:
    """When the longest waiting task of each lane was due.

    `queued_since` is the minute in which it became QUEUED; that is the answer where nothing better is found.
    """
    lanes = list(queued_since)
    rows = await seen.connection.fetch(
        OLDEST,
        seen.tenant_id,
        [lane.queue for lane in lanes],
        [lane.priority for lane in lanes],
        list(queued_since.values()),
    )
    found = {Lane(row["queue"], row["priority"]): row["due"] for row in rows}
    return {lane: _within(MINUTE, since, found[lane]) for lane, since in queued_since.items()}


def _within(period: timedelta, since: datetime, due: datetime | None) -> datetime:
    """When it was due if that was in the period or before; one that came due long before it lies elsewhere."""
    return since if due is None or due >= since + period else due
