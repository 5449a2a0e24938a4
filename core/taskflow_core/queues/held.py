"""Tasks that wait for room in their queue, and how they get their hints when it comes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.batching import Batcher
from taskflow_core.db import CONFLICT_ERRORS, CONNECTION_ERRORS, Database
from taskflow_core.queue import Hint
from taskflow_core.queues.rooms import QueueKey, read_rooms
from taskflow_core.states import Priority
from taskflow_core.tasks.rows import Row, hint_of

log = structlog.get_logger()

# Tasks that get their hints at once; when they have started the next ones follow.
SLICE = 100
# Tasks that are let go in one statement when their queue holds nothing back any more.
LET_GO_SLICE = 500

# Written as in the index.
HELD = "held AND status IN ('QUEUED', 'RETRYING', 'SCHEDULED')"

# The most urgent of each type, so that a type without room does not hide the others: the types are found
# by leaps through the index, whatever waits.
NEXT = f"""
WITH RECURSIVE types AS (
  SELECT min(task_type) AS name FROM tasks WHERE {HELD} AND tenant_id = $1 AND queue = $2
  UNION ALL
  SELECT (SELECT min(task_type) FROM tasks
          WHERE {HELD} AND tenant_id = $1 AND queue = $2 AND task_type > types.name)
  FROM types WHERE types.name IS NOT NULL
)
SELECT task.* FROM types, unnest($3::text[]) WITH ORDINALITY AS priorities (name, rank), LATERAL (
  SELECT id, attempt, queue, priority, task_type, run_at FROM tasks
  WHERE {HELD} AND tenant_id = $1 AND queue = $2 AND task_type = types.name AND priority = priorities.name
    AND (expire_at IS NULL OR expire_at > now())
  ORDER BY run_at, id LIMIT $4
) task
ORDER BY priorities.rank, task.run_at, task.id
"""  # noqa: S608 - the condition is our own

LET_GO = f"""
WITH next AS MATERIALIZED (
  SELECT id FROM tasks WHERE {HELD} AND tenant_id = $1 AND queue = $2
  LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE tasks t SET held = false FROM next WHERE t.id = next.id
RETURNING t.id, t.attempt, t.queue, t.priority, t.run_at
"""  # noqa: S608 - the condition is our own

# The queues with held tasks, by leaps through the index.
KEYS = f"""
WITH RECURSIVE keys AS (
  (SELECT tenant_id, queue FROM tasks WHERE {HELD} ORDER BY tenant_id, queue LIMIT 1)
  UNION ALL
  SELECT following.* FROM keys, LATERAL (
    SELECT tenant_id, queue FROM tasks
    WHERE {HELD} AND (tenant_id, queue) > (keys.tenant_id, keys.queue)
    ORDER BY tenant_id, queue LIMIT 1) following
)
SELECT tenant_id, queue FROM keys
"""  # noqa: S608 - the condition is our own


@dataclass(frozen=True)
class Release:
    """Hints of tasks that may start; `more` if further ones may at once."""

    hints: Sequence[Hint]
    more: bool = False


class HeldTasks:
    """Gives held tasks their hints. Which of them start is decided when they are claimed."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer
        self._batcher: Batcher[QueueKey, None] = Batcher(self._release)
        self._closing = False

    def release(self, keys: Iterable[QueueKey]) -> None:
        """There may be room in these queues: see to it soon. Call it after the commit; it never fails."""
        for key in keys:
            self._batcher.put(key)

    async def drain(self) -> None:
        """Wait until all was seen to; what is left then is the sweep's."""
        self._closing = True
        await self._batcher.drain()

    async def keys(self) -> list[QueueKey]:
        """The queues that have held tasks."""
        return [QueueKey(row["tenant_id"], row["queue"]) for row in await self._database.pool.fetch(KEYS)]

    async def next(self, key: QueueKey) -> Release:
        """The tasks to start next in a queue, as far as there is room; or those to start when there will be."""
        queue = (await read_rooms(self._database.pool, [key])).get(key)
        if queue is None or not queue.guarded:
            rows = await self._database.pool.fetch(LET_GO, *key, LET_GO_SLICE)
            return Release([hint_of(row) for row in rows], more=len(rows) == LET_GO_SLICE)
        rows = await self._database.pool.fetch(NEXT, *key, list(Priority), SLICE)
        chosen = queue.room.admit(rows, queue.now)
        if chosen:
            return Release([hint_of(row) for row in chosen[:SLICE]])
        opens_at = queue.room.opens_at({row["task_type"] for row in rows}, queue.now)
        if math.isinf(opens_at):
            return Release([])
        return Release([_hint_at(row, opens_at) for row in queue.room.admit(rows, opens_at)[:SLICE]])

    async def _release(self, keys: Sequence[QueueKey]) -> list[None]:
        try:
            for key in set(keys):
                release = await self.next(key)
                self._announcer.announce(Announcement(hint.task_id, hint) for hint in release.hints)
                if release.more and not self._closing:
                    self._batcher.put(key)
        except (*CONNECTION_ERRORS, *CONFLICT_ERRORS) as error:
            log.warning("database: held tasks wait for the sweep", error=repr(error))
        return [None] * len(keys)


def _hint_at(row: Row, time: float) -> Hint:
    return hint_of(row)._replace(due_ms=math.ceil(time * 1000))
