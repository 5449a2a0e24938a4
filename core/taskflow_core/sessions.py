"""Worker sessions: who is alive, by the database's clock alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from taskflow_core.db import Database, until_answered
from taskflow_core.retry import RetryPolicy

OPEN = """
INSERT INTO worker_sessions (worker, queues, priorities, task_types, slots, lease_until)
VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
RETURNING id
"""

# One trip renews the lease and tells the worker what it should know of its tasks: which of them to
# cancel, and which the database thinks it runs although it may not.
BEAT = """
WITH beat AS (
  UPDATE worker_sessions SET lease_until = now() + make_interval(secs => $2)
  WHERE id = $1 AND lease_until > now() AND ended_at IS NULL
  RETURNING id
)
SELECT t.id, t.attempt, t.cancel_requested_at IS NOT NULL AS cancel_requested,
  t.attempt_started_at < now() - make_interval(secs => 5) AS settled_in
FROM beat LEFT JOIN tasks t ON t.session_id = beat.id AND t.status = 'RUNNING'
"""

DRAIN = "UPDATE worker_sessions SET draining = true WHERE id = $1 AND ended_at IS NULL"

CLOSE = "UPDATE worker_sessions SET ended_at = now() WHERE id = $1 AND ended_at IS NULL"

REGISTER_TYPES = """
INSERT INTO task_types (name, description, attempt_timeout, retry_policy)
SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::jsonb[])
ON CONFLICT (name) DO UPDATE SET
  description = excluded.description, attempt_timeout = excluded.attempt_timeout,
  retry_policy = excluded.retry_policy, updated_at = now()
"""


@dataclass(frozen=True)
class TypeDefaults:
    """What a worker registers for a task type. `attempt_timeout` is in seconds."""

    description: str
    attempt_timeout: float
    retry_policy: RetryPolicy


@dataclass(frozen=True)
class RunningTask:
    """A task that the database thinks a session runs."""

    task_id: UUID
    attempt: int
    cancel_requested: bool
    settled_in: bool  # claimed long enough ago that its worker must know it


async def open_session(
    database: Database,
    worker: str,
    *,
    queues: Sequence[str],
    priorities: Sequence[str],
    types: Mapping[str, TypeDefaults],
    slots: int,
    lease_seconds: float,
) -> int:
    """Register the worker and its task types, and return the id of the new session."""

    async def once() -> int:
        async with database.pool.acquire() as connection, connection.transaction():
            # Sorted, so that workers that start together lock the rows in the same order.
            names = sorted(types)
            await connection.execute(
                REGISTER_TYPES,
                names,
                [types[name].description for name in names],
                [types[name].attempt_timeout for name in names],
                [asdict(types[name].retry_policy) for name in names],
            )
            session_id: int = await connection.fetchval(
                OPEN, worker, queues, priorities, names, slots, lease_seconds
            )
            return session_id

    # A session opened twice costs nothing: the one nobody renews expires.
    return await until_answered(once, "open a worker session")


async def beat(database: Database, session_id: int, lease_seconds: float) -> list[RunningTask] | None:
    """Renew the lease and return the tasks of the session; `None` if it is over: another must be opened."""
    rows = await database.pool.fetch(BEAT, session_id, lease_seconds)
    if not rows:
        return None
    return [
        RunningTask(row["id"], row["attempt"], row["cancel_requested"], row["settled_in"])
        for row in rows
        if row["id"] is not None
    ]


async def drain_session(database: Database, session_id: int) -> None:
    """Tell whoever asks that the worker starts nothing more."""
    await until_answered(
        lambda: database.pool.execute(DRAIN, session_id), "drain a worker session", give_up_after=1
    )


async def close_session(database: Database, session_id: int) -> None:
    """End a session whose tasks are all settled. Without it the lease would run out."""
    await until_answered(
        lambda: database.pool.execute(CLOSE, session_id), "close a worker session", give_up_after=2
    )
