"""Counting what a part of the log says: what happened when, and how many tasks came into and left each state."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from taskflow_core.db import Connection
from taskflow_core.service_tasks import OF_EXECUTIONS
from taskflow_core.stats.durations import bucket_sql
from taskflow_core.stats.figures import COUNTED_KINDS, MEASURES, Figures, Slot, TaskGroup
from taskflow_core.tasks.rows import Row

# Above all transactions that there will ever be.
FAR = str(2**63)
MINUTE = 60  # seconds
# Since when, for states other than QUEUED.
EVER = datetime.fromtimestamp(0, UTC)
# Cheaper than date_trunc, which goes by the calendar.
MINUTE_OF = f"date_bin('1 minute', {{}}, '{EVER.isoformat()}'::timestamptz)"

# Since when the task is due that an event `e` is of. What is due later than it was written says so in its data.
DUE = """CASE
    WHEN e.data ? 'next_attempt_time' THEN (e.data ->> 'next_attempt_time')::timestamptz
    WHEN e.status <> 'SCHEDULED' THEN e.created_at END"""
# What begins a life.
BIRTH = "kind IN ('CREATED', 'REPLAYED')"
STATE = "CASE e.kind WHEN 'DISCARDED' THEN e.kind ELSE e.status END AS state"

# How long it took what an event ends, by measure.
LASTED = {"wait": "waited", "run": "ran", "total": "lived"}


def _microseconds(interval: str) -> str:
    whole = f"round(date_part('epoch', {interval}) * 1000000)::bigint"
    return f"CASE WHEN {interval} IS NOT NULL THEN greatest({whole}, 0) END"


# Each event is judged by itself and the one before it, so parts of the log may be counted in any order and
# cut anywhere. An event that ends an attempt follows one of a RUNNING task; one that starts an attempt, or
# ends QUEUED, follows the one that said since when the task is due, or QUEUED. Mostly the one before is in
# the same part, and so are the start of the attempt and that of the life (there may be several: a replay begins
# another); what is not is looked up by key, one by one: the LIMITs keep the planner from reading whole tables instead.
COUNT = f"""
WITH part AS MATERIALIZED (
  SELECT e.task_id, e.sequence, e.kind, e.attempt, e.created_at, {STATE}, {DUE} AS due
  FROM task_events e
  WHERE e.xid >= $1::text::xid8 AND e.xid < $2::text::xid8 AND ($3::text IS NULL OR e.tenant_id = $3)
    AND e.kind NOT IN ('PROGRESS', 'LOG', 'CANCEL_REQUESTED')
), chained AS (
  SELECT *, coalesce(lag(sequence) OVER life = sequence - 1, sequence = 1) AS known,
    lag(state) OVER life AS before_state, lag(created_at) OVER life AS before_at, lag(due) OVER life AS before_due,
    count(*) FILTER (WHERE {BIRTH}) OVER life AS births, max(due) FILTER (WHERE {BIRTH}) OVER life AS life_due,
    CASE WHEN lag(kind) OVER life = 'STARTED' THEN lag(created_at) OVER life END AS started_at
  FROM part WINDOW life AS (PARTITION BY task_id ORDER BY sequence)
), followed AS (
  SELECT f.task_id, f.sequence, f.kind, f.attempt, f.created_at, f.state, f.births, f.life_due, f.started_at,
    CASE WHEN f.known THEN f.before_state ELSE before.state END AS left_state,
    CASE WHEN f.known THEN f.before_at ELSE before.created_at END AS left_at,
    CASE WHEN f.known THEN f.before_due ELSE before.due END AS due
  FROM chained AS f LEFT JOIN LATERAL (
    SELECT {STATE}, e.created_at, {DUE} AS due FROM task_events e
    WHERE NOT f.known AND e.task_id = f.task_id AND e.sequence = f.sequence - 1 LIMIT 1
  ) AS before ON true
), counted AS MATERIALIZED (
  SELECT id, tenant_id, queue, priority, task_type FROM tasks
  WHERE id = ANY(ARRAY(SELECT DISTINCT task_id FROM part))
    AND task_type NOT IN ({", ".join(f"'{name}'" for name in OF_EXECUTIONS)})
), written AS MATERIALIZED (
  SELECT f.kind, f.created_at, f.state, f.left_state, f.left_at, t.tenant_id, t.queue, t.priority, t.task_type,
    {MINUTE_OF.format("f.created_at")} AS minute,
    CASE WHEN f.kind = 'STARTED' THEN f.created_at - f.due END AS waited,
    CASE WHEN f.left_state = 'RUNNING' AND f.state <> 'RUNNING' THEN f.created_at - coalesce(f.started_at, (
      SELECT a.started_at FROM task_attempts a WHERE a.task_id = f.task_id AND a.attempt = f.attempt LIMIT 1)) END AS ran,
    CASE WHEN f.kind IN ('SUCCEEDED', 'FAILED', 'CANCELLED') THEN f.created_at - CASE f.births WHEN 1 THEN f.life_due ELSE (
      SELECT {DUE} FROM task_events e WHERE e.task_id = f.task_id AND e.sequence < f.sequence AND e.{BIRTH}
      ORDER BY e.sequence DESC LIMIT 1) END END AS lived
  FROM followed f JOIN counted t ON t.id = f.task_id
), alike AS MATERIALIZED (
  SELECT tenant_id, queue, priority, task_type, kind, minute, state, left_state,
    CASE WHEN left_state = 'QUEUED' THEN {MINUTE_OF.format("left_at")} END AS left_minute,
    {", ".join(f"{bucket_sql(measure)} AS {measure}_bucket" for measure in MEASURES)}, count(*) AS n,
    {", ".join(f"sum({measure})::bigint AS {measure}_sum, max({measure}) AS {measure}_max" for measure in MEASURES)}
  FROM (SELECT *, {", ".join(f"{_microseconds(lasted)} AS {measure}" for measure, lasted in LASTED.items())}
        FROM written) AS measured
  GROUP BY tenant_id, queue, priority, task_type, kind, minute, state, left_state, left_minute,
    {", ".join(f"{measure}_bucket" for measure in MEASURES)}
)
SELECT 'count' AS what, tenant_id, queue, priority, task_type, minute AS at, kind AS name,
  NULL::int AS bucket, sum(n)::bigint AS n, NULL::bigint AS sum, NULL::bigint AS max
FROM alike WHERE kind IN ({", ".join(f"'{kind}'" for kind in COUNTED_KINDS.values())})
GROUP BY tenant_id, queue, priority, task_type, minute, kind
UNION ALL
SELECT 'duration', tenant_id, queue, priority, task_type, minute, measure, bucket,
  sum(n)::bigint, sum(m.sum)::bigint, max(m.max)
FROM alike, LATERAL (VALUES
  {", ".join(f"('{measure}', {measure}_bucket, {measure}_sum, {measure}_max)" for measure in MEASURES)}
) AS m (measure, bucket, sum, max)
WHERE bucket IS NOT NULL
GROUP BY tenant_id, queue, priority, task_type, minute, measure, bucket
UNION ALL
SELECT 'state', tenant_id, queue, priority, task_type,
  CASE WHEN m.state = 'QUEUED' THEN at ELSE '{EVER.isoformat()}'::timestamptz END AS since, m.state,
  NULL, sum(step)::bigint, NULL, NULL
FROM alike, LATERAL (VALUES (state, minute, n), (left_state, left_minute, -n)) AS m (state, at, step)
WHERE m.state IS NOT NULL
GROUP BY tenant_id, queue, priority, task_type, since, m.state HAVING sum(step) <> 0
"""  # noqa: S608 - the words are our own


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
    """Count what transactions from `start` on and below `stop` wrote: of one tenant, or of all.

    Call it in a transaction.
    """
    # The planner, which cannot know how much there is to count, would compare each event with each task.
    await connection.execute("SET LOCAL enable_nestloop = off")
    rows = await connection.fetch(COUNT, start, stop, tenant_id)
    await connection.execute("SET LOCAL enable_nestloop TO DEFAULT")
    return _counted(rows)


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
