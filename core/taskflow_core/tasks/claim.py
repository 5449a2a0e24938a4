"""QUEUED | SCHEDULED | RETRYING -> RUNNING: a worker takes what is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskflow_core.db import Database, until_answered
from taskflow_core.queues.rooms import GUARDED
from taskflow_core.tasks.rows import Row

# What a worker needs to know of a task to run it.
CLAIMED = ", ".join(
    f"t.{column}"
    for column in (
        *("id", "tenant_id", "name", "task_type", "queue", "priority", "tags", "payload", "retry_policy"),
        *("status", "attempt", "failed_attempts", "attempt_started_at", "attempt_deadline", "last_sequence"),
        *("schedule_id", "execution_id", "node_id"),
    )
)

# What an earlier try took whose answer was lost: the claim token makes a claim repeatable.
TAKEN = f"""
SELECT {CLAIMED} FROM tasks t
WHERE t.id = ANY($3::uuid[]) AND t.status = 'RUNNING' AND t.session_id = $1 AND t.claim_token = $2
"""  # noqa: S608 - the columns are our own


def claim_unless(condition: str) -> str:
    """The statement that claims, but not where the condition holds. A row of `tasks` is `t`.

    Three more guards: the worker's session must be alive by the database's clock, the hint's attempt must
    be the present one, and the task must be due. The start is the statement's, not the transaction's, which
    may have waited for a lock.

    And a fourth: a task that the next crash makes a dead letter may be the one that crashes, or one that ran
    beside it. A session runs one such suspect at a time, so that the culprit takes no other along.
    """
    return f"""
WITH hints AS (
  SELECT * FROM unnest($3::uuid[], $4::int[]) AS hints (id, attempt)
), suspect AS (
  SELECT t.id FROM tasks t JOIN hints ON t.id = hints.id AND t.attempt = hints.attempt
  WHERE t.id = ANY($3::uuid[]) AND t.crashes >= $7
    AND t.status IN ('QUEUED', 'SCHEDULED', 'RETRYING') AND t.run_at <= statement_timestamp()
    AND NOT EXISTS (SELECT FROM tasks r WHERE r.session_id = $1 AND r.status = 'RUNNING' AND r.crashes >= $7)
  ORDER BY t.run_at, t.id LIMIT 1
), claimed AS (
  UPDATE tasks t SET
    status = 'RUNNING', attempt = t.attempt + 1, session_id = $1, claim_token = $2, held = false,
    attempt_started_at = statement_timestamp(), started_at = coalesce(t.started_at, statement_timestamp()),
    attempt_deadline = statement_timestamp() + make_interval(
      secs => coalesce(t.attempt_timeout, (SELECT attempt_timeout FROM task_types WHERE name = t.task_type), $5)),
    progress = NULL, last_sequence = t.last_sequence + 1
  FROM hints
  WHERE t.id = ANY($3::uuid[]) AND t.id = hints.id AND t.attempt = hints.attempt
    AND t.status IN ('QUEUED', 'SCHEDULED', 'RETRYING') AND t.run_at <= statement_timestamp()
    AND (t.expire_at IS NULL OR t.expire_at > statement_timestamp())
    AND (t.crashes < $7 OR t.id = (SELECT id FROM suspect))
    AND EXISTS (SELECT FROM worker_sessions
                WHERE id = $1 AND lease_until > statement_timestamp() AND ended_at IS NULL)
    AND NOT ({condition})
  RETURNING {CLAIMED}
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, created_at)
  SELECT id, last_sequence, tenant_id, 'STARTED', status, attempt, $6, attempt_started_at FROM claimed
)
SELECT * FROM claimed
"""  # noqa: S608 - the columns and conditions are our own


# Queues without settings cost a probe of a small index, and no lock. Not EXISTS, which may be planned as one
# read of all queues.
CLAIM = claim_unless(f"""coalesce((
      SELECT true FROM queues q WHERE q.tenant_id = t.tenant_id AND q.name = t.queue AND {GUARDED}), false)""")  # noqa: S608 - the condition is our own


@dataclass(frozen=True)
class Claim:
    """Who claims what. The same claim may be made again: its token finds the rows that it moved.

    `hints` are tasks with their attempts. `attempt_timeout` (seconds) is for tasks that set none and whose
    type sets none. `max_crashes` is how many lost workers make a task a dead letter.
    """

    session_id: int
    worker: str
    token: UUID
    hints: Sequence[tuple[UUID, int]]
    attempt_timeout: float
    max_crashes: int

    def arguments(self) -> list[Any]:
        """What the statement takes."""
        # Sorted, so that two workers that meet on the same rows lock them in the same order.
        hints = sorted(self.hints)
        ids, attempts = [task_id for task_id, _ in hints], [attempt for _, attempt in hints]
        last_chance = max(1, self.max_crashes - 1)
        return [self.session_id, self.token, ids, attempts, self.attempt_timeout, self.worker, last_chance]


async def claim(database: Database, wanted: Claim) -> list[Row]:
    """Take the tasks behind the hints for a worker session, and return their rows.

    The other hints are stale or doubled, or their queues are paused or limited: see `claim_limited`.
    """
    tries = 0

    async def once() -> list[Row]:
        nonlocal tries
        tries += 1
        taken = await taken_before(database, wanted) if tries > 1 else []
        return [*taken, *await database.by_key.fetch(CLAIM, *wanted.arguments())]

    return await until_answered(once, "claim tasks")


async def taken_before(database: Database, wanted: Claim) -> list[Row]:
    """The rows that an earlier try of the same claim took."""
    ids = [task_id for task_id, _ in wanted.hints]
    return list(await database.by_key.fetch(TAKEN, wanted.session_id, wanted.token, ids))
