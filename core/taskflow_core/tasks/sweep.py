"""What no single process can be trusted with: lost workers, missing hints, timers and deadlines.

Any number of processes may sweep. Each statement is guarded by itself; an advisory lock only keeps
them from doing the same work twice.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Database, alone
from taskflow_core.executions.steer import ANY_OVERDUE
from taskflow_core.fingerprint import fingerprint
from taskflow_core.queues.held import HeldTasks
from taskflow_core.retry import RetryPolicy
from taskflow_core.states import DeadLetterCause
from taskflow_core.tasks.cancel import TaskCancellation
from taskflow_core.tasks.fail import Failure, effective_policy, settle_failure
from taskflow_core.tasks.missing_hints import MissingHints
from taskflow_core.tasks.rows import Row, hint_of
from taskflow_core.tasks.settle import Settlement, TaskSettlement

log = structlog.get_logger()

# Any number, as long as all sweepers use the same.
LOCK = 7_401_922
SERVICE = "service"
# The type of the error of an attempt whose worker is gone.
WORKER_LOST = "WorkerLost"

# Whether there is anything for each part to do. An idle service pays for this one statement.
LOOK = f"""
SELECT
  EXISTS (SELECT FROM worker_sessions s WHERE s.ended_at IS NULL AND s.lease_until < now())
    OR EXISTS (SELECT FROM tasks t JOIN worker_sessions s ON s.id = t.session_id
               WHERE t.status = 'RUNNING' AND s.ended_at IS NOT NULL) AS lost,
  EXISTS (SELECT FROM tasks WHERE status = 'RUNNING'
          AND attempt_deadline < now() - make_interval(secs => $1)) AS overdue,
  EXISTS (SELECT FROM tasks WHERE status = 'RUNNING'
          AND cancel_requested_at < now() - make_interval(secs => $2)) AS stubborn,
  EXISTS (SELECT FROM tasks WHERE expire_at <= now() AND expire_at IS NOT NULL
          AND NOT (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED')) AND cancel_requested_at IS NULL) AS expired,
  EXISTS (SELECT FROM tasks WHERE status IN ('SCHEDULED', 'RETRYING')
          AND run_at <= now() - interval '1 second') AS due,
  EXISTS (SELECT FROM tasks WHERE held AND status IN ('QUEUED', 'RETRYING', 'SCHEDULED')) AS held,
  EXISTS (SELECT FROM tasks WHERE status = 'QUEUED' AND NOT held AND run_at < now() - interval '2 seconds')
    OR EXISTS (SELECT FROM tasks WHERE status IN ('RETRYING', 'SCHEDULED')
               AND run_at < now() + make_interval(secs => $3)) AS hinted,
  {ANY_OVERDUE} AS executions_overdue
"""  # noqa: S608 - the condition is our own

# A timer that a worker did not see come due.
COME_DUE = """
WITH due AS MATERIALIZED (
  SELECT id FROM tasks WHERE status IN ('SCHEDULED', 'RETRYING') AND run_at <= now() - interval '1 second'
  ORDER BY run_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
), moved AS (
  UPDATE tasks t SET status = 'QUEUED', last_sequence = t.last_sequence + 1
  FROM due WHERE t.id = due.id
  RETURNING t.id, t.tenant_id, t.queue, t.priority, t.attempt, t.run_at, t.last_sequence
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
  SELECT id, last_sequence, tenant_id, 'QUEUED', 'QUEUED', attempt, $2, jsonb_build_object('next_attempt_time', run_at)
  FROM moved
)
SELECT id, queue, priority, attempt, run_at FROM moved
"""

FIND_LOST = """
SELECT t.id, t.task_type, t.attempt, t.session_id, t.crashes, t.execution_id, s.worker
FROM worker_sessions s JOIN tasks t ON t.session_id = s.id AND t.status = 'RUNNING'
WHERE s.lease_until < now() OR s.ended_at IS NOT NULL
ORDER BY t.id LIMIT $1
"""

END_LOST_SESSIONS = """
UPDATE worker_sessions s SET ended_at = now()
WHERE s.ended_at IS NULL AND s.lease_until < now()
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.session_id = s.id AND t.status = 'RUNNING')
"""

FIND_OVERDUE = """
SELECT t.id, t.task_type, t.attempt, t.session_id, t.failed_attempts, t.retry_policy, t.execution_id,
  d.retry_policy AS type_retry_policy, s.worker
FROM tasks t JOIN worker_sessions s ON s.id = t.session_id LEFT JOIN task_types d ON d.name = t.task_type
WHERE t.status = 'RUNNING' AND t.attempt_deadline < now() - make_interval(secs => $2)
ORDER BY t.id LIMIT $1
"""

FIND_EXPIRED = """
SELECT id FROM tasks
WHERE expire_at <= now() AND expire_at IS NOT NULL AND NOT (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED'))
  AND cancel_requested_at IS NULL
ORDER BY expire_at LIMIT $1
"""

# A task that was asked to stop, by a worker that lives but does not obey.
FIND_STUBBORN = """
SELECT t.id, t.attempt, t.session_id, t.execution_id, s.worker
FROM tasks t JOIN worker_sessions s ON s.id = t.session_id
WHERE t.status = 'RUNNING' AND t.cancel_requested_at < now() - make_interval(secs => $2)
ORDER BY t.id LIMIT $1
"""


@dataclass(frozen=True)
class SweepLimits:
    """How patient a sweep is (seconds), and how much it does at once (rows)."""

    max_crashes: int
    cancel_grace: float
    timeout_grace: float
    default_retry: RetryPolicy
    batch: int = 1000


class Sweep:
    """One pass over everything that may have been left behind, in tasks and in executions."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        settlement: TaskSettlement,
        cancellation: TaskCancellation,
        held: HeldTasks,
        missing_hints: MissingHints,
        end_overdue_executions: Callable[[], Awaitable[int]],
        limits: SweepLimits,
        rng: random.Random,
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._settlement = settlement
        self._cancellation = cancellation
        self._held = held
        self._missing_hints = missing_hints
        self._end_overdue_executions = end_overdue_executions
        self._limits = limits
        self._rng = rng

    async def run(self) -> dict[str, int]:
        """Sweep once, and return how much each part moved; empty if there was nothing to do."""
        parts = {
            "lost": self.rescue_lost,
            "overdue": self.end_overdue,
            "expired": self.cancel_expired,
            "stubborn": self.end_stubborn,
            "due": self.come_due,
            "held": self.release_held,
            "executions_overdue": self._end_overdue_executions,
            "hinted": self._missing_hints.look,  # the last, as it may take long
        }
        seen = await self._database.pool.fetchrow(
            LOOK, self._limits.timeout_grace, self._patience_with_the_stubborn, self._missing_hints.horizon
        )
        wanted = [part for part in parts if seen is not None and seen[part]]
        if not wanted:
            return {}
        async with alone(self._database, LOCK) as is_alone:
            moved = {part: await parts[part]() for part in wanted} if is_alone else {}
        return {part: count for part, count in moved.items() if count}

    @property
    def _patience_with_the_stubborn(self) -> float:
        return self._limits.cancel_grace + self._limits.timeout_grace

    async def rescue_lost(self) -> int:
        """End the attempts of workers that are dead: back to QUEUED, or a dead letter after too many."""
        rows = await self._database.pool.fetch(FIND_LOST, self._limits.batch)
        for row in rows:
            log.warning(
                "a worker was lost", task_id=str(row["id"]), attempt=row["attempt"], worker=row["worker"]
            )
        settled = await self._settle([self._lost(row) for row in rows])
        await self._database.pool.execute(END_LOST_SESSIONS)
        return settled

    def _lost(self, row: Row) -> Settlement:
        crashes = row["crashes"] + 1
        message = (
            f"worker {row['worker']} died or lost its lease; loss {crashes} of {self._limits.max_crashes}"
        )
        looping = crashes >= self._limits.max_crashes
        return Settlement(
            task_id=row["id"],
            attempt=row["attempt"],
            session_id=row["session_id"],
            worker=row["worker"],
            status="FAILED" if looping else "QUEUED",
            outcome="LOST",
            error=Failure(WORKER_LOST, message).as_error(row["attempt"]),
            message=message,
            execution_id=row["execution_id"],
            dead_letter_reason=DeadLetterCause.CRASH_LOOP if looping else None,
            # Without the message: it names the worker, and any worker would have been lost.
            error_fingerprint=fingerprint(row["task_type"], WORKER_LOST, "", "") if looping else None,
        )

    async def end_overdue(self) -> int:
        """Fail attempts that ran past their time on a worker that lives but does not stop them."""
        rows = await self._database.pool.fetch(FIND_OVERDUE, self._limits.batch, self._limits.timeout_grace)
        return await self._settle([self._overdue(row) for row in rows])

    def _overdue(self, row: Row) -> Settlement:
        policy = effective_policy(row["retry_policy"], row["type_retry_policy"], self._limits.default_retry)
        failure = Failure("AttemptTimeout", "the attempt ran past its time and its worker did not stop it")
        return settle_failure(
            failure,
            policy,
            self._rng,
            task_id=row["id"],
            task_type=row["task_type"],
            attempt=row["attempt"],
            session_id=row["session_id"],
            worker=row["worker"],
            failed_attempts=row["failed_attempts"],
            execution_id=row["execution_id"],
        )

    async def cancel_expired(self) -> int:
        """Cancel what was not done by its `expire_time`."""
        rows = await self._database.pool.fetch(FIND_EXPIRED, self._limits.batch)
        done = await self._cancellation.cancel_all(
            None, [row["id"] for row in rows], SERVICE, "expire_time has passed"
        )
        return done.cancelled + done.requested

    async def end_stubborn(self) -> int:
        """Cancel tasks whose handlers did not stop within the grace; their attempts are fenced off."""
        rows = await self._database.pool.fetch(
            FIND_STUBBORN, self._limits.batch, self._patience_with_the_stubborn
        )
        return await self._settle(
            [
                Settlement(
                    task_id=row["id"],
                    attempt=row["attempt"],
                    session_id=row["session_id"],
                    worker=row["worker"],
                    execution_id=row["execution_id"],
                    status="CANCELLED",
                    outcome="CANCELLED",
                )
                for row in rows
            ]
        )

    async def come_due(self) -> int:
        """SCHEDULED | RETRYING -> QUEUED for timers that nobody saw come due."""
        rows = await self._database.pool.fetch(COME_DUE, self._limits.batch, SERVICE)
        self._announcer.announce(Announcement(row["id"], hint_of(row)) for row in rows)
        return len(rows)

    async def release_held(self) -> int:
        """Give held tasks the hints that nobody gave them although there is room in their queues."""
        restored = 0
        for key in await self._held.keys():
            more = True
            while more:
                release = await self._held.next(key)
                restored += await self._missing_hints.restore(release.hints)
                more = release.more
        return restored

    async def _settle(self, settlements: list[Settlement]) -> int:
        return sum(await asyncio.gather(*map(self._settlement.settle, settlements)))
