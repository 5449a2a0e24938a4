"""The state machines: each status, and the arrows between them.

`MOVES` is what the SQL guards, the error messages and the picture in README are checked against.
"""

from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task is in its life."""

    SCHEDULED = "SCHEDULED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


TASK_FINAL = frozenset({TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED})
TASK_WAITING = frozenset({TaskStatus.SCHEDULED, TaskStatus.QUEUED, TaskStatus.RETRYING})

TASK_MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
    # due (sweep) | claimed by a worker that saw it come due | cancelled
    TaskStatus.SCHEDULED: frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.CANCELLED}),
    TaskStatus.QUEUED: frozenset({TaskStatus.RUNNING, TaskStatus.CANCELLED}),
    # settled | released by a drain or a dead worker (QUEUED)
    TaskStatus.RUNNING: frozenset(
        {
            TaskStatus.SUCCEEDED,
            TaskStatus.RETRYING,
            TaskStatus.FAILED,
            TaskStatus.CANCELLED,
            TaskStatus.QUEUED,
        }
    ),
    TaskStatus.RETRYING: frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.CANCELLED}),
    TaskStatus.SUCCEEDED: frozenset(),
    # replayed by RetryTask or a replay of dead letters
    TaskStatus.FAILED: frozenset({TaskStatus.QUEUED}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.QUEUED}),
}


class Priority(StrEnum):
    """How urgent a task is; each has a lane of its own in every queue. In order of urgency."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    NORMAL = "NORMAL"
    LOW = "LOW"


class QueueStatus(StrEnum):
    """Whether a queue hands out work."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


class DeadLetterCause(StrEnum):
    """Why a task that FAILED had no attempt left."""

    EXHAUSTED = "EXHAUSTED"
    NOT_RETRYABLE = "NOT_RETRYABLE"
    CRASH_LOOP = "CRASH_LOOP"


class EventKind(StrEnum):
    """What a line of a task's log says."""

    CREATED = "CREATED"
    QUEUED = "QUEUED"
    STARTED = "STARTED"
    PROGRESS = "PROGRESS"
    LOG = "LOG"
    RETRYING = "RETRYING"
    RELEASED = "RELEASED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REPLAYED = "REPLAYED"
    DISCARDED = "DISCARDED"


class AttemptOutcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    RELEASED = "RELEASED"
    LOST = "LOST"
