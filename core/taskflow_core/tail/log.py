"""Reading the logs of all tasks from PostgreSQL, by the numbers of the transactions that wrote them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from taskflow_core.db import Database, until_answered
from taskflow_core.tail.order import NO_TASK, Place
from taskflow_core.tasks.read import FILTER_FIELDS
from taskflow_core.tasks.rows import Row

# What filters look at. Status and attempt are those of the event: what a filter says of it stays as it is.
TASK_FIELDS = ", ".join(
    f"t.{field.column.key} AS {name}"  # type: ignore[attr-defined] # they are columns of the table
    for name, field in FILTER_FIELDS.items()
    if name not in ("status", "attempt")
)

# An event below the xmin of a snapshot can no longer change, and none can come before it.
READ = f"""
SELECT now.settled, now.next, e.*
FROM (
  SELECT pg_snapshot_xmin(snapshot) AS settled, pg_snapshot_xmax(snapshot) AS next
  FROM pg_current_snapshot() AS snapshot
) AS now
LEFT JOIN LATERAL (
  SELECT e.*, {TASK_FIELDS}, previous.xid AS previous_xid
  FROM task_events e
  JOIN tasks t ON t.id = e.task_id
  LEFT JOIN task_events previous ON previous.task_id = e.task_id AND previous.sequence = e.sequence - 1
  WHERE e.xid >= $1 AND e.xid < now.settled AND (e.xid, e.task_id, e.sequence) > ($1, $2, $3)
    AND ($5::text IS NULL OR e.tenant_id = $5)
  ORDER BY e.xid, e.task_id, e.sequence LIMIT $4
) AS e ON true
ORDER BY e.xid, e.task_id, e.sequence
"""  # noqa: S608 - the columns are our own

# Where all is settled now, and from where a reader must read to have what waits for events that are not.
START = """
SELECT pg_snapshot_xmin(pg_current_snapshot()) AS settled, (
  SELECT later.xid
  FROM task_events e JOIN task_events later ON later.task_id = e.task_id AND later.sequence > e.sequence
  WHERE e.xid >= pg_snapshot_xmin(pg_current_snapshot()) AND later.xid < pg_snapshot_xmin(pg_current_snapshot())
  ORDER BY later.xid LIMIT 1
) AS low
"""

END = "SELECT pg_snapshot_xmax(pg_current_snapshot())"

# Which events, by task and number, cannot have been among those before a place.
SINCE = """
SELECT e.task_id, e.sequence
FROM unnest($1::uuid[], $2::int[]) AS wanted (task_id, sequence)
JOIN task_events e ON e.task_id = wanted.task_id AND e.sequence = wanted.sequence
WHERE e.xid >= $3
"""

GIVE_UP_AFTER = 30.0  # seconds without the database

Cursor: TypeAlias = tuple[int, UUID, int]


@dataclass(frozen=True)
class Page:
    """Events after a cursor, by rising (xid, task_id, sequence); `cursor` leads on.

    `is_last`: there were no more. `is_all`: nor is any written and not yet settled.
    """

    rows: Sequence[Row]
    cursor: Cursor
    is_last: bool
    is_all: bool


class Log:
    """The table of events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self) -> Place:
        """The place after all that is settled now."""
        row = await self._answer(self._database.pool.fetchrow, START)
        return Place(row["settled"], NO_TASK, 0, row["settled"] if row["low"] is None else row["low"])

    async def end(self) -> int:
        """An xid above all that any reader can have seen so far."""
        return int(await self._answer(self._database.pool.fetchval, END))

    async def read(self, cursor: Cursor, limit: int, tenant_id: str | None = None) -> Page:
        """The next events of a tenant, or of all tenants."""
        rows = await self._answer(self._database.pool.fetch, READ, *cursor, limit, tenant_id)
        settled, after_all = rows[0]["settled"], rows[0]["next"]
        rows = [row for row in rows if row["sequence"] is not None]
        is_last = len(rows) < limit
        if is_last:
            cursor = (settled, NO_TASK, 0) if settled > cursor[0] else cursor
        else:
            cursor = (rows[-1]["xid"], rows[-1]["task_id"], rows[-1]["sequence"])
        return Page(rows, cursor, is_last, is_last and settled >= after_all)

    async def since(self, place: Place, tasks: Sequence[Row]) -> dict[UUID, int]:
        """Those of the tasks whose last event, by their rows, may come after `place`, and its number."""
        ids, sequences = [task["id"] for task in tasks], [task["last_sequence"] for task in tasks]
        rows = await self._answer(self._database.pool.fetch, SINCE, ids, sequences, place.low)
        return {row["task_id"]: row["sequence"] for row in rows}

    async def _answer(self, ask: Callable[..., Awaitable[Any]], statement: str, *arguments: Any) -> Any:
        return await until_answered(
            lambda: ask(statement, *arguments), "read all events", give_up_after=GIVE_UP_AFTER
        )
