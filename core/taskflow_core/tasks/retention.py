"""Deleting what is old: finished tasks with all that belongs to them, sessions of workers long gone, and fires.

Any number of processes may do it. Stored results go before the rows that name them, so whoever dies in
between leaves nothing that nobody would find again.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from uuid import UUID

import structlog

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Database, alone
from taskflow_core.models import DEAD_LETTER
from taskflow_core.result_store import ResultStore, ResultStoreError
from taskflow_core.stats.figures import TaskGroup
from taskflow_core.stats.log import EVER, State
from taskflow_core.stats.rollup import StatsRollup, change_counts, hold_cursor
from taskflow_core.tasks.rows import Row

log = structlog.get_logger()

# Any number, as long as all that clean up use the same, and no other lock does.
LOCK = 7_401_923
# Conditions of the two indexes that are walked.
DONE = f"finished_at IS NOT NULL AND NOT ({DEAD_LETTER})"
DEAD = DEAD_LETTER
BEGINNING = (datetime.fromisoformat("1970-01-01T00:00:00+00:00"), UUID(int=0))
SESSION_SECONDS = 24 * 60 * 60.0
# Requests to the result store at once.
STORE_CALLS = 16

# The results of an execution's tasks are kept while it goes on.
# An attempt that did not end as the task's result may have stored one all the same. Results are looked up
# one by one: EXISTS may be planned as one read of all of them.
FIND_OLD = """
SELECT id, tenant_id, attempt, finished_at, last_sequence,
  coalesce((SELECT r.result_url IS NOT NULL FROM task_results r WHERE r.task_id = t.id), false)
    OR attempt > 1 OR (attempt = 1 AND status <> 'SUCCEEDED') AS may_have_stored
FROM tasks t
WHERE {condition} AND finished_at < now() - make_interval(secs => $1) AND (finished_at, id) > ($2, $3)
  AND (t.execution_id IS NULL OR NOT EXISTS (
    SELECT FROM workflow_executions e WHERE e.id = t.execution_id AND e.finished_at IS NULL))
ORDER BY finished_at, id LIMIT $4
"""

# The condition again: a task may have been put back to work since it was found. The keys again: whatever the
# planner thinks of a table, its rows are found by key. Statistics come first: what they have not counted yet
# stays until the next run.
DELETE = """
WITH old AS MATERIALIZED (
  SELECT id FROM tasks t
  WHERE id = ANY($2::uuid[]) AND {condition} AND finished_at < now() - make_interval(secs => $1)
    AND NOT EXISTS (SELECT FROM task_events e WHERE e.task_id = t.id AND e.xid >= $3::text::xid8)
  FOR UPDATE SKIP LOCKED
), results AS (
  DELETE FROM task_results r USING old WHERE r.task_id = ANY($2::uuid[]) AND r.task_id = old.id
), attempts AS (
  DELETE FROM task_attempts a USING old WHERE a.task_id = ANY($2::uuid[]) AND a.task_id = old.id
), events AS (
  DELETE FROM task_events e USING old WHERE e.task_id = ANY($2::uuid[]) AND e.task_id = old.id
)
DELETE FROM tasks t USING old WHERE t.id = ANY($2::uuid[]) AND t.id = old.id
RETURNING t.id, t.tenant_id, t.queue, t.priority, t.task_type,
  CASE WHEN t.discarded_at IS NULL THEN t.status ELSE 'DISCARDED' END AS state
"""

# Not those that a task still names: the sweep reads them.
DELETE_SESSIONS = """
WITH old AS MATERIALIZED (
  SELECT id FROM worker_sessions s
  WHERE ended_at < now() - make_interval(secs => $1) AND ended_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM tasks t WHERE t.session_id = s.id AND t.status = 'RUNNING')
  ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM worker_sessions s USING old WHERE s.id = old.id RETURNING s.id
"""

# Not those that wait, or whose work was not final when a scheduler looked last.
DELETE_FIRES = """
WITH old AS MATERIALIZED (
  SELECT schedule_id, fire_time FROM schedule_fires
  WHERE actual_time < now() - make_interval(secs => $1) AND NOT open
  ORDER BY actual_time LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM schedule_fires f USING old WHERE f.schedule_id = old.schedule_id AND f.fire_time = old.fire_time
RETURNING 1
"""


@dataclass(frozen=True)
class RetentionLimits:
    """How long finished tasks and dead letters are kept (seconds), and how much one statement deletes."""

    tasks: float
    dead_letters: float
    batch: int = 500  # tasks, sessions or fires
    batch_events: int = 20_000  # of these tasks; more only if a single task has more


class Retention:
    """One pass over everything that is old enough to go."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        store: ResultStore | None,
        rollup: StatsRollup,
        limits: RetentionLimits,
    ) -> None:
        self._database = database
        self._rollup = rollup
        self._announcer = announcer
        self._store = store
        self._limits = limits
        self._store_calls = asyncio.Semaphore(STORE_CALLS)

    async def run(self) -> dict[str, int]:
        """Delete all that is old, and return how many of each; empty if another process is at it."""
        async with alone(self._database, LOCK) as is_alone:
            if not is_alone:
                return {}
            await self._rollup.run()
            deleted = {
                "tasks": await self._delete_old(DONE, self._limits.tasks),
                "dead_letters": await self._delete_old(DEAD, self._limits.dead_letters),
                "sessions": await self._delete_each(DELETE_SESSIONS, SESSION_SECONDS),
                "fires": await self._delete_each(DELETE_FIRES, self._limits.tasks),
            }
            return {part: count for part, count in deleted.items() if count}

    async def _delete_old(self, condition: str, seconds: float) -> int:
        deleted = 0
        # What cannot be deleted now, because its stored result cannot, is passed by until the next run.
        position = BEGINNING
        while True:
            rows = await self._database.pool.fetch(
                FIND_OLD.format(condition=condition), seconds, *position, self._limits.batch
            )
            for batch in self._batches(rows):
                deleted += await self._delete(batch, condition, seconds)
            if len(rows) < self._limits.batch:
                return deleted
            position = (rows[-1]["finished_at"], rows[-1]["id"])

    def _batches(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """Slices whose tasks do not have too many events together."""
        start = events = 0
        for place, row in enumerate(rows):
            events += row["last_sequence"]
            if events > self._limits.batch_events and place > start:
                yield rows[start:place]
                start, events = place, row["last_sequence"]
        if rows:
            yield rows[start:]

    async def _delete(self, rows: Sequence[Row], condition: str, seconds: float) -> int:
        freed = await asyncio.gather(*map(self._delete_stored, rows))
        task_ids = list(chain.from_iterable(freed))
        async with self._database.pool.acquire() as connection, connection.transaction():
            counted = await hold_cursor(connection)
            gone = await connection.fetch(DELETE.format(condition=condition), seconds, task_ids, counted)
            await change_counts(connection, _fewer(gone))
        self._announcer.announce(Announcement(row["id"]) for row in gone)
        return len(gone)

    async def _delete_stored(self, row: Row) -> list[UUID]:
        """The task's id, once the store has nothing of it; empty if that could not be brought about."""
        if not row["may_have_stored"] or self._store is None:
            return [row["id"]]
        try:
            async with self._store_calls:
                await self._store.delete(row["tenant_id"], row["id"], row["attempt"])
        except ResultStoreError as error:
            log.warning("a task is kept, its stored result cannot be deleted", error=error.message)
            return []
        return [row["id"]]

    async def _delete_each(self, statement: str, seconds: float) -> int:
        deleted = 0
        while True:
            rows = await self._database.pool.fetch(statement, seconds, self._limits.batch)
            deleted += len(rows)
            if len(rows) < self._limits.batch:
                return deleted


def _fewer(gone: Sequence[Row]) -> Counter[State]:
    """By how much the numbers of tasks in states change when these are gone."""
    fewer: Counter[State] = Counter()
    for row in gone:
        group = TaskGroup(row["queue"], row["priority"], row["task_type"])
        fewer[State(row["tenant_id"], group, row["state"], EVER)] -= 1
    return fewer
