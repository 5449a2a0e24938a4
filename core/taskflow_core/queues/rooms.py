"""Reading how much room there is in queues."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from taskflow_core.db import Connection
from taskflow_core.queues.limits import Room, room_of


class QueueKey(NamedTuple):
    """A queue belongs to a tenant; its lanes in Redis carry the hints of all tenants."""

    tenant_id: str
    name: str


# Whether a queue holds anything back. A row of `queues` is `q`.
GUARDED = """(q.status = 'PAUSED' OR q.max_concurrency IS NOT NULL OR q.max_rate IS NOT NULL
  OR q.task_type_limits <> '{}')"""

LOCK = """
SELECT q.name FROM queues q
WHERE (q.tenant_id, q.name) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY q.tenant_id, q.name FOR UPDATE
"""

ROOMS = f"""
SELECT q.*, {GUARDED} AS guarded, extract(epoch FROM statement_timestamp())::float8 AS now,
  coalesce((
    SELECT jsonb_object_agg(task_type, count) FROM (
      SELECT t.task_type, count(*) FROM tasks t
      WHERE t.status = 'RUNNING' AND t.tenant_id = q.tenant_id AND t.queue = q.name
      GROUP BY t.task_type) counts), '{{}}') AS running
FROM queues q WHERE (q.tenant_id, q.name) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""  # noqa: S608 - the condition is our own


@dataclass(frozen=True)
class QueueState:
    """A queue's room as of `now` (seconds since 1970, by the database's clock)."""

    guarded: bool
    room: Room
    now: float


async def lock_queues(connection: Connection, keys: Collection[QueueKey]) -> None:
    """Keep others from starting anything in these queues until the transaction ends.

    A statement sees what was committed when it began. So what is read under this lock must be read by a
    statement of its own, after this one.
    """
    await connection.execute(LOCK, *_columns(keys))


async def read_rooms(
    connection: "Connection | asyncpg.Pool[asyncpg.Record]", keys: Collection[QueueKey]
) -> Mapping[QueueKey, QueueState]:
    """The room in those of the queues that have settings. Exact while they are locked."""
    rows = await connection.fetch(ROOMS, *_columns(keys))
    return {
        QueueKey(row["tenant_id"], row["name"]): QueueState(
            guarded=row["guarded"], room=room_of(row), now=row["now"]
        )
        for row in rows
    }


def _columns(keys: Collection[QueueKey]) -> tuple[list[str], list[str]]:
    return [key.tenant_id for key in keys], [key.name for key in keys]
