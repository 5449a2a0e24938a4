"""Counting the log, piece by piece, off the hot path.

A cursor says up to which transaction the log is counted. It moves in the transaction that writes the figures,
so whoever dies in between has counted nothing, and nothing is counted twice. Any number of processes may
count: the one that holds the cursor's row does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskflow_core.db import Connection, Database
from taskflow_core.stats.figures import COUNTED_KINDS, MEASURES, Slot, TaskGroup
from taskflow_core.stats.log import MINUTE, Counted, State, count_log
from taskflow_core.tasks.rows import Row

HOUR = 3600  # seconds
# How long figures of minutes are kept apart, and figures at all.
MINUTES_KEPT = "interval '2 days'"
FIGURES_KEPT = "interval '30 days'"
FOLDABLE = f"seconds = {MINUTE} AND starts_at < date_trunc('hour', now()) - {MINUTES_KEPT}"
OLD = f"starts_at < now() - {FIGURES_KEPT}"

# An idle service pays for this one statement. What is below the oldest running transaction cannot change.
LOOK = f"""
SELECT
  EXISTS (SELECT FROM task_events WHERE xid >= (SELECT xid FROM stats_cursor)
          AND xid < pg_snapshot_xmin(pg_current_snapshot())) AS written,
  EXISTS (SELECT FROM task_stats WHERE {FOLDABLE}) AS foldable,
  EXISTS (SELECT FROM task_stats WHERE seconds = {HOUR} AND {OLD}) AS old
"""  # noqa: S608 - the conditions are our own

WAIT = "SELECT xid::text FROM stats_cursor FOR UPDATE"
HOLD = f"{WAIT} SKIP LOCKED"

# Where the next piece of about $2 events ends, and whether another follows. A transaction is counted whole.
NEXT_PIECE = """
WITH bounds AS (
  SELECT $1::text::xid8 AS start, pg_snapshot_xmin(pg_current_snapshot()) AS horizon,
    (SELECT xid FROM task_events WHERE xid >= $1::text::xid8 ORDER BY xid OFFSET $2 LIMIT 1) AS beyond,
    (SELECT xid FROM task_events WHERE xid > $1::text::xid8 ORDER BY xid LIMIT 1) AS second
)
SELECT stop::text, stop > start AS any, stop < horizon AS more
FROM bounds, LATERAL (
  SELECT least(horizon, CASE WHEN beyond = start THEN second ELSE beyond END) AS stop
) AS piece
"""

MOVE = "UPDATE stats_cursor SET xid = $1::text::xid8, counted_at = now()"

ADD_COUNTS = """
INSERT INTO task_counts AS c (tenant_id, queue, priority, task_type, state, since, count)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[])
ON CONFLICT (tenant_id, queue, priority, task_type, state, since) DO UPDATE SET count = c.count + excluded.count
"""
DROP_ZEROS = """
DELETE FROM task_counts c
USING unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
  AS changed (tenant_id, queue, priority, task_type, state, since)
WHERE (c.tenant_id, c.queue, c.priority, c.task_type, c.state, c.since) =
  (changed.tenant_id, changed.queue, changed.priority, changed.task_type, changed.state, changed.since)
  AND c.count = 0
"""

_KEY = ("tenant_id", "starts_at", "seconds", "queue", "priority", "task_type")
_VALUES = (
    *COUNTED_KINDS,
    *(f"{measure}_{part}" for measure in MEASURES for part in ("sum", "max", "buckets")),
)
_TYPES = [
    *("text", "timestamptz", "int", "text", "text", "text"),
    *("bigint" for _ in COUNTED_KINDS),
    *(kind for _ in MEASURES for kind in ("bigint", "bigint", "jsonb")),
]

FIND_FIGURES = """
SELECT s.* FROM task_stats s
JOIN unnest($1::text[], $2::timestamptz[], $3::int[], $4::text[], $5::text[], $6::text[])
  AS slots (tenant_id, starts_at, seconds, queue, priority, task_type)
USING (tenant_id, starts_at, seconds, queue, priority, task_type)
"""
PUT_FIGURES = f"""
INSERT INTO task_stats ({", ".join((*_KEY, *_VALUES))})
SELECT * FROM unnest({", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_TYPES, start=1))})
ON CONFLICT ({", ".join(_KEY)}) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _VALUES)}
"""  # noqa: S608 - the columns are our own

TAKE_FOLDABLE = f"""
WITH taken AS (
  SELECT tenant_id, starts_at, seconds, queue, priority, task_type FROM task_stats
  WHERE {FOLDABLE} ORDER BY starts_at LIMIT $1
)
DELETE FROM task_stats s USING taken
WHERE (s.tenant_id, s.starts_at, s.seconds, s.queue, s.priority, s.task_type) =
  (taken.tenant_id, taken.starts_at, taken.seconds, taken.queue, taken.priority, taken.task_type)
RETURNING s.*, date_trunc('hour', s.starts_at) AS hour
"""  # noqa: S608 - the condition is our own
DELETE_OLD = f"DELETE FROM task_stats WHERE seconds = {HOUR} AND {OLD}"  # noqa: S608 - the condition is our own


@dataclass(frozen=True)
class RollupLimits:
    """How much one transaction counts, in events, and folds, in rows."""

    events: int = 20_000
    rows: int = 2_000


class StatsRollup:
    """Keeps the figures up with the log."""

    def __init__(self, database: Database, limits: RollupLimits | None = None) -> None:
        self._database = database
        self._limits = limits or RollupLimits()

    async def run(self) -> int:
        """Count what is new, and return in how many pieces; 0 too if another process is at it."""
        seen = await self._database.pool.fetchrow(LOOK)
        if seen is None:
            return 0
        pieces = 0
        more = bool(seen["written"])
        while more:
            counted, more = await self._count_piece()
            pieces += counted
        more = bool(seen["foldable"])
        while more:
            more = await self._fold()
        if seen["old"] or seen["foldable"]:
            await self._database.pool.execute(DELETE_OLD)
        return pieces

    async def _count_piece(self) -> tuple[bool, bool]:
        """Whether a piece was counted, and whether there is more."""
        async with self._database.pool.acquire() as connection, connection.transaction():
            start = await connection.fetchval(HOLD)
            if start is None:
                return False, False
            [piece] = await connection.fetch(NEXT_PIECE, start, self._limits.events)
            if not piece["any"]:
                return False, False
            counted = await count_log(connection, start, piece["stop"])
            await _write(connection, counted)
            await connection.execute(MOVE, piece["stop"])
            return True, bool(piece["more"])

    async def _fold(self) -> bool:
        """Add minutes of the past to their hours, and tell whether there are more."""
        async with self._database.pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(HOLD) is None:
                return False
            rows = await connection.fetch(TAKE_FOLDABLE, self._limits.rows)
            hours = Counted()
            for row in rows:
                slot = Slot(row["tenant_id"], row["hour"], HOUR, _group(row))
                hours.figures[slot].add_row(row)
            await _write(connection, hours)
            return len(rows) == self._limits.rows


async def _write(connection: Connection, counted: Counted) -> None:
    """Add to what is there. Nobody else writes: the cursor is held."""
    if counted.figures:
        keys = [list(column) for column in zip(*map(_key, counted.figures), strict=True)]
        for row in await connection.fetch(FIND_FIGURES, *keys):
            slot = Slot(row["tenant_id"], row["starts_at"], row["seconds"], _group(row))
            counted.figures[slot].add_row(row)
        rows = [(*_key(slot), *figures.columns()) for slot, figures in counted.figures.items()]
        await connection.execute(PUT_FIGURES, *map(list, zip(*rows, strict=True)))
    await change_counts(connection, counted.states)


async def hold_cursor(connection: Connection) -> str:
    """Wait until nobody counts, and keep it so until the transaction ends; up to which transaction is counted."""
    xid: str = await connection.fetchval(WAIT)
    return xid


async def change_counts(connection: Connection, changes: Mapping[State, int]) -> None:
    """Add to the numbers of tasks in states. The cursor must be held."""
    if not changes:
        return
    rows = [(state.tenant_id, *state.group, state.state, state.since, n) for state, n in changes.items()]
    columns = [list(column) for column in zip(*rows, strict=True)]
    await connection.execute(ADD_COUNTS, *columns)
    await connection.execute(DROP_ZEROS, *columns[:-1])


def _group(row: Row) -> TaskGroup:
    return TaskGroup(row["queue"], row["priority"], row["task_type"])


def _key(slot: Slot) -> Sequence[object]:
    return (slot.tenant_id, slot.starts_at, slot.seconds, *slot.group)
