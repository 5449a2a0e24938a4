"""Fires of a time range that a webhook was not told of. Their rows stay as they were decided, and are all there is."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from taskflow_core.db import Connection
from taskflow_core.tasks.rows import Row

FIND = """
SELECT f.schedule_id, f.fire_time, f.actual_time AS event_time
FROM schedule_fires f
JOIN webhooks w
  ON w.id = $1 AND w.tenant_id = f.tenant_id AND webhook_wants(w.event_types, fire_event_type(f.outcome))
WHERE f.actual_time >= $2 AND f.actual_time < $3 AND f.outcome <> 'BUFFERED'
  AND NOT coalesce((
    SELECT true FROM webhook_deliveries d
    WHERE d.webhook_id = w.id AND d.subject_id = fire_subject(f.schedule_id, f.fire_time)
      AND d.event_type = fire_event_type(f.outcome) AND d.sequence = 0 AND d.event_time = f.actual_time
      AND NOT d.test), false)
ORDER BY f.actual_time, f.schedule_id, f.fire_time LIMIT $4
"""
PLAN = """
INSERT INTO webhook_deliveries (
  tenant_id, webhook_id, event_type, event_time, subject_id, task_id, execution_id, schedule_id, data)
SELECT f.tenant_id, $1, fire_event_type(f.outcome), f.actual_time, fire_subject(f.schedule_id, f.fire_time),
  f.task_id, f.execution_id, f.schedule_id, told_of_fire(to_jsonb(f))
FROM unnest($2::uuid[], $3::timestamptz[]) WITH ORDINALITY AS missed (schedule_id, fire_time, place)
JOIN schedule_fires f ON f.schedule_id = missed.schedule_id AND f.fire_time = missed.fire_time
WHERE f.outcome <> 'BUFFERED'
ORDER BY missed.place
ON CONFLICT DO NOTHING
"""


class Fires:
    """The fires of all schedules."""

    async def find(
        self, connection: Connection, webhook_id: UUID, start: datetime, end: datetime, limit: int
    ) -> list[Row]:
        """The oldest that were missed: schedule_id, fire_time, event_time."""
        return list(await connection.fetch(FIND, webhook_id, start, end, limit))

    async def plan(self, connection: Connection, webhook_id: UUID, missed: Sequence[Row]) -> None:
        """Plan a delivery of each."""
        schedule_ids = [row["schedule_id"] for row in missed]
        await connection.execute(PLAN, webhook_id, schedule_ids, [row["fire_time"] for row in missed])
