"""QUEUED | SCHEDULED | RETRYING -> RUNNING: a worker takes what is due."""

from collections.abc import Sequence
from uuid import UUID

from taskflow_core.db import Database, until_answered
from taskflow_core.tasks.rows import Row, columns

# Three guards: the worker's session must be alive by the database's clock, the hint's attempt must be
# the present one, and the task must be due. The claim token makes the statement repeatable: if the
# answer to its commit was lost, the same token finds the rows again that it moved.
#
# And a fourth: a task that the next crash makes a dead letter may be the one that crashes, or one that ran
# beside it. So a session runs one such suspect at a time, and the culprit takes no other with it.
CLAIM = f"""
WITH hints AS (
  SELECT * FROM unnest($3::uuid[], $4::int[]) AS hints (id, attempt)
), suspect AS (
  SELECT t.id FROM tasks t JOIN hints ON t.id = hints.id AND t.attempt = hints.attempt
  WHERE t.id = ANY($3::uuid[]) AND t.crashes >= $7
    AND t.status IN ('QUEUED', 'SCHEDULED', 'RETRYING') AND t.run_at <= now()
    AND NOT EXISTS (SELECT FROM tasks r WHERE r.session_id = $1 AND r.status = 'RUNNING' AND r.crashes >= $7)
  ORDER BY t.run_at, t.id LIMIT 1
), claimed AS (
  UPDATE tasks t SET
    status = 'RUNNING', attempt = t.attempt + 1, session_id = $1, claim_token = $2,
    attempt_started_at = now(), started_at = coalesce(t.started_at, now()),
    attempt_deadline = now() + make_interval(
      secs => coalesce(t.attempt_timeout, (SELECT attempt_timeout FROM task_types WHERE name = t.task_type), $5)),
    progress = NULL, last_sequence = t.last_sequence + 1
  FROM hints
  WHERE t.id = ANY($3::uuid[]) AND t.id = hints.id AND t.attempt = hints.attempt
    AND t.status IN ('QUEUED', 'SCHEDULED', 'RETRYING') AND t.run_at <= now()
    AND (t.expire_at IS NULL OR t.expire_at > now())
    AND (t.crashes < $7 OR t.id = (SELECT id FROM suspect))
    AND EXISTS (SELECT FROM worker_sessions WHERE id = $1 AND lease_until > now() AND ended_at IS NULL)
  RETURNING {columns("t")}
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor)
  SELECT id, last_sequence, tenant_id, 'STARTED', status, attempt, $6 FROM claimed
)
SELECT * FROM claimed
UNION ALL
SELECT {columns("t")} FROM tasks t
WHERE t.id = ANY($3::uuid[]) AND t.status = 'RUNNING' AND t.session_id = $1 AND t.claim_token = $2
"""  # noqa: S608 - the columns are our own


async def claim(
    database: Database,
    session_id: int,
    token: UUID,
    hints: Sequence[tuple[UUID, int]],
    *,
    attempt_timeout: float,
    max_crashes: int,
    worker: str,
) -> list[Row]:
    """Take the tasks behind these hints for a worker session, and return their rows.

    Hints whose tasks are not in the answer are stale or doubled: drop them. `attempt_timeout` (seconds)
    is for tasks that set none and whose type sets none. Of tasks that the next crash makes the last of
    `max_crashes`, a session runs one at a time. The same `token` may be sent again.
    """
    # Sorted, so that two workers that meet on the same rows lock them in the same order.
    ordered = sorted(hints)

    async def once() -> list[Row]:
        return list(
            await database.pool.fetch(
                CLAIM,
                session_id,
                token,
                [task_id for task_id, _ in ordered],
                [attempt for _, attempt in ordered],
                attempt_timeout,
                worker,
                max(1, max_crashes - 1),
            )
        )

    return await until_answered(once, "claim tasks")
