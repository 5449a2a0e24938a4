"""Events of a time range that a webhook was not told of, as from before it was there: they are in the logs.

What is found and planned here is what the triggers on the logs would have planned for this webhook. Fires of schedules
have no log: see missed_fires.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from taskflow_core.db import Connection
from taskflow_core.tasks.rows import Row

# Events are found by their transactions, which begin in almost the order of their numbers.
SLACK = timedelta(minutes=1)


class Source(Protocol):
    """Where events of one kind are kept."""

    async def find(
        self, connection: Connection, webhook_id: UUID, start: datetime, end: datetime, limit: int
    ) -> list[Row]:
        """The oldest events that the webhook wants and has no delivery of, each with `event_time`."""

    async def plan(self, connection: Connection, webhook_id: UUID, missed: Sequence[Row]) -> None:
        """Plan a delivery of each, as `find` found them. Again does nothing."""


@dataclass(frozen=True)
class Log:
    """The log of all things of one kind, whose events are numbered."""

    table: str
    find_statement: str
    plan_statement: str

    async def find(
        self, connection: Connection, webhook_id: UUID, start: datetime, end: datetime, limit: int
    ) -> list[Row]:
        """The oldest that were missed: subject_id, sequence, event_type, event_time."""
        first, last = await _transactions(connection, self.table, start, end)
        found = await connection.fetch(self.find_statement, webhook_id, first, last, start, end, limit)
        return list(found)

    async def plan(self, connection: Connection, webhook_id: UUID, missed: Sequence[Row]) -> None:
        """Plan a delivery of each."""
        await connection.execute(
            self.plan_statement,
            webhook_id,
            [row["subject_id"] for row in missed],
            [row["sequence"] for row in missed],
            [row["event_type"] for row in missed],
        )


_UNTOLD = """
WHERE e.xid >= ($2::bigint)::text::xid8 AND e.xid <= ($3::bigint)::text::xid8
  AND e.created_at >= $4 AND e.created_at < $5
  AND NOT coalesce((
    SELECT true FROM webhook_deliveries d
    WHERE d.webhook_id = w.id AND d.subject_id = {subject} AND d.event_type = {event_type}
      AND d.sequence = e.sequence AND d.event_time = e.created_at AND NOT d.test), false)
ORDER BY e.created_at, {subject}, e.sequence LIMIT $6
"""

# The task is told of as it is now, but for what the event itself says.
TASK_EVENTS = Log(
    table="task_events",
    find_statement="""
SELECT e.task_id AS subject_id, e.sequence, types.event_type, e.created_at AS event_time
FROM task_events e
JOIN (VALUES
  ('CREATED', 'task.created'), ('STARTED', 'task.started'), ('RETRYING', 'task.retrying'),
  ('SUCCEEDED', 'task.success'), ('FAILED', 'task.failed'), ('FAILED', 'task.dead_lettered'),
  ('CANCELLED', 'task.cancelled')) AS types (kind, event_type) ON types.kind = e.kind
JOIN webhooks w ON w.id = $1 AND w.tenant_id = e.tenant_id AND webhook_wants(w.event_types, types.event_type)
JOIN tasks t ON t.id = e.task_id AND t.task_type NOT IN ('taskflow.delay', 'taskflow.step')
"""
    + _UNTOLD.format(subject="e.task_id", event_type="types.event_type"),
    plan_statement="""
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
""",
)
EXECUTION_EVENTS = Log(
    table="execution_events",
    find_statement="""
SELECT e.execution_id AS subject_id, e.sequence, execution_event_type(e.kind) AS event_type, e.created_at AS event_time
FROM execution_events e
JOIN webhooks w
  ON w.id = $1 AND w.tenant_id = e.tenant_id AND webhook_wants(w.event_types, execution_event_type(e.kind))
"""
    + _UNTOLD.format(subject="e.execution_id", event_type="execution_event_type(e.kind)"),
    plan_statement="""
INSERT INTO webhook_deliveries (
  tenant_id, webhook_id, event_type, event_time, sequence, subject_id, execution_id, data, event_xid)
SELECT e.tenant_id, $1, missed.event_type, e.created_at, e.sequence, e.execution_id, e.execution_id,
  told_of_execution(e.execution_id, e.sequence, e.kind, e.status, e.created_at, e.data), e.xid
FROM unnest($2::uuid[], $3::int[], $4::text[]) WITH ORDINALITY
  AS missed (execution_id, sequence, event_type, place)
JOIN execution_events e ON e.execution_id = missed.execution_id AND e.sequence = missed.sequence
JOIN workflow_executions x ON x.id = e.execution_id
ORDER BY missed.place
ON CONFLICT DO NOTHING
""",
)

_BOUNDS = """
SELECT (SELECT xid::text::bigint FROM {log} ORDER BY xid LIMIT 1),
  (SELECT xid::text::bigint FROM {log} ORDER BY xid DESC LIMIT 1)
"""
_TIME_AT = "SELECT created_at FROM {log} WHERE xid >= ($1::bigint)::text::xid8 ORDER BY xid LIMIT 1"


async def _transactions(connection: Connection, log: str, start: datetime, end: datetime) -> tuple[int, int]:
    """The first and the last transaction whose events may lie between two times, by bisection."""
    [(lowest, highest)] = await connection.fetch(_BOUNDS.format(log=log))
    if lowest is None:
        return 0, 0
    first = await _bisect(connection, log, lowest, highest, start - SLACK)
    last = await _bisect(connection, log, first, highest, end + SLACK)
    return first, last


async def _bisect(connection: Connection, log: str, low: int, high: int, time: datetime) -> int:
    """The first transaction from `low` on whose events are not before `time`; `high` if there is none."""
    statement = _TIME_AT.format(log=log)
    while low < high:
        middle = (low + high) // 2
        written = await connection.fetchval(statement, middle)
        if written is not None and written < time:
            low = middle + 1
        else:
            high = middle
    return low
