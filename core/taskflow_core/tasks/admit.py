"""The claim where queues are paused or limited: it starts what there is room for, and holds the rest."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.queues.rooms import QueueKey, lock_queues, read_rooms
from taskflow_core.states import Priority
from taskflow_core.tasks.claim import Claim, claim_unless, taken_before
from taskflow_core.tasks.rows import Row

# Under the locks of the tasks' queues nothing else is in the way.
CLAIM_ADMITTED = claim_unless("false")

# What the plain claim left over in queues that have settings, most urgent first.
LEFT_OVER = """
SELECT t.id, t.attempt, t.tenant_id, t.queue, t.task_type
FROM unnest($1::uuid[], $2::int[]) AS hints (id, attempt)
JOIN tasks t ON t.id = hints.id AND t.attempt = hints.attempt
JOIN queues q ON q.tenant_id = t.tenant_id AND q.name = t.queue
WHERE t.id = ANY($1::uuid[]) AND t.status IN ('QUEUED', 'SCHEDULED', 'RETRYING') AND t.run_at <= now()
ORDER BY array_position($3::text[], t.priority), t.run_at, t.id
"""

HOLD = """
UPDATE tasks t SET held = true FROM unnest($1::uuid[], $2::int[]) AS refused (id, attempt)
WHERE t.id = ANY($1::uuid[]) AND t.id = refused.id AND t.attempt = refused.attempt AND NOT t.held
  AND t.status IN ('QUEUED', 'SCHEDULED', 'RETRYING')
"""

NOTE_STARTS = """
UPDATE queues q SET recent_starts = starts.recent
FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS starts (tenant_id, name, recent)
WHERE q.tenant_id = starts.tenant_id AND q.name = starts.name AND q.recent_starts <> starts.recent
"""


@dataclass(frozen=True)
class LimitedClaim:
    """The rows of the claimed tasks, and the queues in which others may have room or wait for it."""

    tasks: Sequence[Row]
    queues: Collection[QueueKey]


async def claim_limited(database: Database, wanted: Claim) -> LimitedClaim:
    """Take those of the tasks for which their queues have room, and hold the others.

    When the hints of all others are dropped, release the queues: a hint that is still there keeps a new
    one from being made, so room that came meanwhile would not be used. Hints whose tasks wait in no queue
    with settings are stale or doubled.
    """
    tries = 0

    async def once() -> LimitedClaim:
        nonlocal tries
        tries += 1
        ids = [task_id for task_id, _ in wanted.hints]
        attempts = [attempt for _, attempt in wanted.hints]
        taken: list[Row] = []
        if tries > 1:
            taken += await taken_before(database, wanted)
        waiting = await database.pool.fetch(LEFT_OVER, ids, attempts, list(Priority))
        keys = {_key(task) for task in waiting}
        if keys:
            async with database.pool.acquire() as connection, connection.transaction():
                await lock_queues(connection, keys)
                taken += await _claim_admitted(connection, wanted, waiting, keys)
        return LimitedClaim(taken, keys)

    return await until_answered(once, "claim tasks in limited queues")


async def _claim_admitted(
    connection: Connection, wanted: Claim, waiting: Sequence[Row], keys: Collection[QueueKey]
) -> list[Row]:
    starts: dict[QueueKey, Any] = {}
    admitted: set[UUID] = set()
    for key, queue in (await read_rooms(connection, keys)).items():
        tasks = queue.room.admit([task for task in waiting if _key(task) == key], queue.now)
        admitted |= {task["id"] for task in tasks}
        starts[key] = queue.room.starts(queue.now)
    refused = [task for task in waiting if task["id"] not in admitted]
    if refused:
        await connection.execute(HOLD, [t["id"] for t in refused], [t["attempt"] for t in refused])
    if not admitted:
        return []
    await connection.execute(
        NOTE_STARTS,
        [key.tenant_id for key in starts],
        [key.name for key in starts],
        list(starts.values()),
    )
    chosen = [(task["id"], task["attempt"]) for task in waiting if task["id"] in admitted]
    return list(await connection.fetch(CLAIM_ADMITTED, *replace(wanted, hints=chosen).arguments()))


def _key(task: Row) -> QueueKey:
    return QueueKey(task["tenant_id"], task["queue"])
