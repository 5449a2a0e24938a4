"""The figures as of now: what is counted, and what the log says beyond."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from taskflow_core.db import Connection, Database
from taskflow_core.states import TaskStatus
from taskflow_core.stats.figures import Figures, Slot, TaskGroup
from taskflow_core.stats.log import FAR, Counted, count_log

# Events beyond the cursor that one reader counts himself. If there are more, he answers with what is counted.
TAIL = 10_000

LOOK = f"""
SELECT c.xid::text, c.counted_at, now() AS now,
  (SELECT count(*) FROM (SELECT FROM task_events WHERE xid >= c.xid LIMIT {TAIL} + 1) AS tail) > {TAIL} AS behind
FROM stats_cursor c
"""  # noqa: S608 - a number
COUNTS = "SELECT queue, priority, task_type, state, since, count FROM task_counts WHERE tenant_id = $1"
RECENT = """
SELECT * FROM task_stats
WHERE tenant_id = $1 AND seconds = 60 AND starts_at BETWEEN $2::timestamptz - interval '1 minute' AND $2
"""


@dataclass(frozen=True)
class Snapshot:
    """One moment of the database, `now`, in the block that opened it. `time` is the moment that figures are of.

    `tail` is what is not in the tables of figures yet.
    """

    connection: Connection
    tenant_id: str
    now: datetime
    time: datetime
    tail: Counted


@asynccontextmanager
async def snapshot(database: Database, tenant_id: str) -> AsyncIterator[Snapshot]:
    """See one state of all tables inside the block, and of the log what is not counted yet."""
    async with (
        database.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        [cursor] = await connection.fetch(LOOK)
        if cursor["behind"]:
            yield Snapshot(connection, tenant_id, cursor["now"], cursor["counted_at"], Counted())
        else:
            tail = await count_log(connection, cursor["xid"], FAR, tenant_id)
            yield Snapshot(connection, tenant_id, cursor["now"], cursor["now"], tail)


@dataclass
class Standing:
    """How many tasks are in each state, and in which minute the oldest of the QUEUED ones became so."""

    states: Counter[str] = field(default_factory=Counter)
    queued_since: datetime | None = None

    def add(self, state: str, since: datetime, count: int) -> None:
        """Add tasks that are in a state since a minute."""
        self.states[state] += count
        if state == TaskStatus.QUEUED and count > 0:
            self._note(since)

    def add_all(self, other: "Standing") -> None:
        """Add other tasks."""
        self.states.update(other.states)
        if other.queued_since is not None:
            self._note(other.queued_since)

    def _note(self, since: datetime) -> None:
        if self.queued_since is None or since < self.queued_since:
            self.queued_since = since


async def standings(seen: Snapshot) -> dict[TaskGroup, Standing]:
    """How many tasks are in each state now, by what they have in common."""
    counts: Counter[tuple[TaskGroup, str, datetime]] = Counter()
    for row in await seen.connection.fetch(COUNTS, seen.tenant_id):
        group = TaskGroup(row["queue"], row["priority"], row["task_type"])
        counts[group, row["state"], row["since"]] += row["count"]
    for state, change in seen.tail.states.items():
        counts[state.group, state.state, state.since] += change
    found: dict[TaskGroup, Standing] = {}
    for (group, name, since), count in counts.items():
        if count:
            found.setdefault(group, Standing()).add(name, since, count)
    return found


@dataclass
class Recent:
    """What happened in the last minute or so.

    `this` and `last` are figures of this minute and the one before; `share` is how much of the latter is
    within the last 60 seconds.
    """

    share: float = 0.0
    this: Figures = field(default_factory=Figures)
    last: Figures = field(default_factory=Figures)

    def add(self, other: "Recent") -> None:
        """Add what happened to other tasks."""
        self.share = other.share
        self.this.add(other.this)
        self.last.add(other.last)

    def rate(self, names: Collection[str]) -> float:
        """How often any of these happened in a second, over the last minute."""
        happened = sum(self.this.counts[name] + self.last.counts[name] * self.share for name in names)
        return happened / 60

    def together(self) -> Figures:
        """The figures of both minutes."""
        both = Figures()
        both.add(self.last)
        both.add(self.this)
        return both


async def recent(seen: Snapshot) -> dict[TaskGroup, Recent]:
    """What happened in the last minute or so, by what tasks have in common."""
    minute = seen.time.replace(second=0, microsecond=0)
    share = 1 - (seen.time - minute) / timedelta(minutes=1)
    found: dict[TaskGroup, Recent] = {}

    def figures_of(group: TaskGroup, starts_at: datetime) -> Figures:
        of_group = found.setdefault(group, Recent(share))
        # What transactions that began a moment later wrote is of this minute, too.
        return of_group.this if starts_at >= minute else of_group.last

    for row in await seen.connection.fetch(RECENT, seen.tenant_id, minute):
        group = TaskGroup(row["queue"], row["priority"], row["task_type"])
        figures_of(group, row["starts_at"]).add_row(row)
    for slot, figures in _since(seen.tail.figures.items(), minute - timedelta(minutes=1)):
        figures_of(slot.group, slot.starts_at).add(figures)
    return found


def _since(figures: Iterable[tuple[Slot, Figures]], start: datetime) -> Iterable[tuple[Slot, Figures]]:
    return ((slot, of_slot) for slot, of_slot in figures if slot.starts_at >= start)
