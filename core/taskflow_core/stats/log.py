"""Counting what a part of the log says: what happened when, and how many tasks came into and left each state."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from taskflow_core.db import Connection
from taskflow_core.stats.durations import bucket_sql
from taskflow_core.stats.figures import COUNTED_KINDS, Figures, Slot, TaskGroup
from taskflow_core.tasks.rows import Row

# Above all transactions that there will ever be.
FAR = str(2**63)
MINUTE = 60  # seconds
# Since when, for states other than QUEUED.
EVER = datetime.fromtimestamp(0, UTC)

# Each event is judged by itself and the one before it, so parts of the log may be counted in any order and
# cut anywhere. An event that ends an attempt follows one of a RUNNING task; one that starts an attempt, or
# ends QUEUED, follows the one that said since when the task is due, or QUEUED. What is due later than it
# was written says so in its data.
COUNT = f"""
WITH written AS MATERIALIZED (
  SELECT e.task_id, e.sequence, e.kind, e.created_at, t.tenant_id, t.queue, t.priority, t.task_type,
    date_trunc('minute', e.created_at) AS minute,
    CASE e.kind WHEN 'DISCARDED' THEN e.kind ELSE e.status END AS state,
    CASE before.kind WHEN 'DISCARDED' THEN before.kind ELSE before.status END AS left_state,
    before.created_at AS left_at,
    CASE WHEN e.kind = 'STARTED' THEN e.created_at - before.due END AS wait,
    CASE WHEN before.status = 'RUNNING' AND e.status <> 'RUNNING' THEN e.created_at - a.started_at END AS run,
    e.created_at - life.due AS total
  FROM task_events e
  JOIN tasks t ON t.id = e.task_id
  LEFT JOIN LATERAL (
    SELECT b.kind, b.status, b.created_at, {{due}} AS due FROM task_events b
    WHERE b.task_id = e.task_id AND b.sequence = e.sequence - 1
  ) AS before ON true
  LEFT JOIN task_attempts a ON a.task_id = e.task_id AND a.attempt = e.attempt
    AND e.kind IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'RETRYING', 'RELEASED')
  LEFT JOIN LATERAL (
    SELECT {{due}} AS due FROM task_events b
    WHERE b.task_id = e.task_id AND b.sequence < e.sequence AND b.kind IN ('CREATED', 'REPLAYED')
    ORDER BY b.sequence DESC LIMIT 1
  ) AS life ON e.kind IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
  WHERE e.xid >= $1::text::xid8 AND e.xid < $2::text::xid8 AND ($3::text IS NULL OR e.tenant_id = $3)
    AND e.kind NOT IN ('PROGRESS', 'LOG', 'CANCEL_REQUESTED')
), measured AS (
  SELECT tenant_id, queue, priority, task_type, minute, m.measure,
    (greatest(extract(epoch FROM m.duration), 0) * 1000000)::bigint AS us
  FROM written, LATERAL (VALUES ('wait', wait), ('run', run), ('total', total)) AS m (measure, duration)
  WHERE m.duration IS NOT NULL
), moves AS (
  SELECT tenant_id, queue, priority, task_type, m.*
  FROM written, LATERAL (VALUES (state, created_at, 1), (left_state, left_at, -1)) AS m (state, at, step)
  WHERE m.state IS NOT NULL
)
SELECT 'count' AS what, tenant_id, queue, priority, task_type, minute AS at, kind AS name,
  NULL::int AS bucket, count(*) AS n, NULL::bigint AS sum, NULL::bigint AS max
FROM written WHERE kind IN ({", ".join(f"'{kind}'" for kind in COUNTED_KINDS.values())})
GROUP BY tenant_id, queue, priority, task_type, minute, kind
UNION ALL
SELECT 'duration', tenant_id, queue, priority, task_type, minute, measure,
  {bucket_sql("us")} AS bucket, count(*), sum(us)::bigint, max(us)
FROM measured
GROUP BY tenant_id, queue, priority, task_type, minute, measure, bucket
UNION ALL
SELECT 'state', tenant_id, queue, priority, task_type,
  CASE WHEN state = 'QUEUED' THEN date_trunc('minute', at) ELSE '{EVER.isoformat()}'::timestamptz END AS since, state,
  NULL, sum(step), NULL, NULL
FROM moves
GROUP BY tenant_id, queue, priority, task_type, since, state HAVING sum(step) <> 0
""".format(  # noqa: S608 - the words are our own
    due="""CASE
      WHEN b.data ? 'next_attempt_time' THEN (b.data ->> 'next_attempt_time')::timestamptz
      WHEN b.status <> 'SCHEDULED' THEN b.created_at
    END"""
)


class State(NamedTuple):
    """Where tasks are counted that are there: a row of `task_counts`."""

    tenant_id: str
    group: TaskGroup
    state: str
    since: datetime


@dataclass
class Counted:
    """What was counted: figures by slot, and by how much the numbers of tasks in states changed."""

    figures: defaultdict[Slot, Figures] = field(default_factory=lambda: defaultdict(Figures))
    states: Counter[State] = field(default_factory=Counter)


async def count_log(connection: Connection, start: str, stop: str, tenant_id: str | None = None) -> Counted:
    """Count what transactions from `start` on and below `stop` wrote: of one tenant, or of all."""
    return _counted(await connection.fetch(COUNT, start, stop, tenant_id))


def _counted(rows: Iterable[Row]) -> Counted:
    counted = Counted()
    names = {kind: name for name, kind in COUNTED_KINDS.items()}
    for row in rows:
        group = TaskGroup(row["queue"], row["priority"], row["task_type"])
        if row["what"] == "state":
            counted.states[State(row["tenant_id"], group, row["name"], row["at"])] += int(row["n"])
            continue
        figures = counted.figures[Slot(row["tenant_id"], row["at"], MINUTE, group)]
        if row["what"] == "count":
            figures.counts[names[row["name"]]] += row["n"]
        else:
            figures.durations[row["name"]].add(
                total=row["sum"], longest=row["max"], buckets=[(row["bucket"], row["n"])]
            )
    return counted
