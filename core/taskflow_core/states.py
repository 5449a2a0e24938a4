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


class ExecutionStatus(StrEnum):
    """Where an execution of a workflow is in its life."""

    RUNNING = "RUNNING"
    COMPENSATING = "COMPENSATING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


EXECUTION_FINAL = frozenset({ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED})

EXECUTION_MOVES: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    # something is to be undone | ended
    ExecutionStatus.RUNNING: frozenset({ExecutionStatus.COMPENSATING, *EXECUTION_FINAL}),
    ExecutionStatus.COMPENSATING: frozenset({ExecutionStatus.FAILED, ExecutionStatus.CANCELLED}),
    ExecutionStatus.SUCCEEDED: frozenset(),
    # RetryExecution
    ExecutionStatus.FAILED: frozenset({ExecutionStatus.RUNNING}),
    ExecutionStatus.CANCELLED: frozenset({ExecutionStatus.RUNNING}),
}


class NodeRunStatus(StrEnum):
    """Where the run of a node is in its life."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    RETRYING = "RETRYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"
    COMPENSATED = "COMPENSATED"


NODE_RUN_OPEN = frozenset(
    {NodeRunStatus.PENDING, NodeRunStatus.RUNNING, NodeRunStatus.WAITING, NodeRunStatus.RETRYING}
)

NODE_RUN_MOVES: dict[NodeRunStatus, frozenset[NodeRunStatus]] = {
    # reached (a CONDITION is decided at once, an expression may fail) | no longer reachable | cancelled
    NodeRunStatus.PENDING: frozenset(
        {
            *(NodeRunStatus.RUNNING, NodeRunStatus.WAITING, NodeRunStatus.SUCCEEDED, NodeRunStatus.FAILED),
            *(NodeRunStatus.SKIPPED, NodeRunStatus.CANCELLED),
        }
    ),
    # an attempt failed | its task, children or graphs ended
    NodeRunStatus.RUNNING: frozenset(
        {
            *(NodeRunStatus.RETRYING, NodeRunStatus.SUCCEEDED, NodeRunStatus.FAILED),
            NodeRunStatus.CANCELLED,
        }
    ),
    # the time or the signal came | it did not come in time
    NodeRunStatus.WAITING: frozenset(
        {NodeRunStatus.SUCCEEDED, NodeRunStatus.FAILED, NodeRunStatus.CANCELLED}
    ),
    NodeRunStatus.RETRYING: frozenset(
        {NodeRunStatus.RUNNING, NodeRunStatus.SUCCEEDED, NodeRunStatus.FAILED, NodeRunStatus.CANCELLED}
    ),
    # undone | RetryExecution runs what it follows again
    NodeRunStatus.SUCCEEDED: frozenset({NodeRunStatus.COMPENSATED, NodeRunStatus.PENDING}),
    # RetryExecution
    NodeRunStatus.FAILED: frozenset({NodeRunStatus.PENDING}),
    NodeRunStatus.SKIPPED: frozenset({NodeRunStatus.PENDING}),
    NodeRunStatus.CANCELLED: frozenset({NodeRunStatus.PENDING}),
    NodeRunStatus.COMPENSATED: frozenset({NodeRunStatus.PENDING}),
}


class ScopeStatus(StrEnum):
    """Where a graph inside a PARALLEL node is in its life: one branch, or one item of a map."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class ExecutionEventKind(StrEnum):
    """What a line of an execution's log says."""

    CREATED = "CREATED"
    NODE_STARTED = "NODE_STARTED"
    NODE_PROGRESS = "NODE_PROGRESS"
    NODE_WAITING = "NODE_WAITING"
    NODE_RETRYING = "NODE_RETRYING"
    NODE_SUCCEEDED = "NODE_SUCCEEDED"
    NODE_FAILED = "NODE_FAILED"
    NODE_SKIPPED = "NODE_SKIPPED"
    NODE_CANCELLED = "NODE_CANCELLED"
    NODE_COMPENSATED = "NODE_COMPENSATED"
    SIGNALLED = "SIGNALLED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    COMPENSATING = "COMPENSATING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    RETRIED = "RETRIED"


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


class ScheduleType(StrEnum):
    """What describes the times of a schedule."""

    CRON = "CRON"
    INTERVAL = "INTERVAL"
    ONE_TIME = "ONE_TIME"


class ScheduleStatus(StrEnum):
    """Whether a schedule fires."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"


SCHEDULE_MOVES: dict[ScheduleStatus, frozenset[ScheduleStatus]] = {
    # paused by a caller or by a failure | no time is left
    ScheduleStatus.ACTIVE: frozenset({ScheduleStatus.PAUSED, ScheduleStatus.COMPLETED}),
    # resumed, with times left or without
    ScheduleStatus.PAUSED: frozenset({ScheduleStatus.ACTIVE, ScheduleStatus.COMPLETED}),
    # an update gave it times
    ScheduleStatus.COMPLETED: frozenset({ScheduleStatus.ACTIVE}),
}


class OverlapPolicy(StrEnum):
    """What a fire does while the work of an earlier one is not final."""

    SKIP = "SKIP"
    BUFFER_ONE = "BUFFER_ONE"
    BUFFER_ALL = "BUFFER_ALL"
    CANCEL_OTHER = "CANCEL_OTHER"
    ALLOW_ALL = "ALLOW_ALL"


class CatchUpPolicy(StrEnum):
    """What becomes of times that passed while no scheduler ran."""

    ALL = "ALL"
    LATEST = "LATEST"
    NONE = "NONE"


class FireTrigger(StrEnum):
    """What made a schedule fire."""

    TIME = "TIME"
    CATCH_UP = "CATCH_UP"
    MANUAL = "MANUAL"
    BACKFILL = "BACKFILL"


class FireOutcome(StrEnum):
    """What became of a fire."""

    FIRED = "FIRED"
    BUFFERED = "BUFFERED"
    SKIPPED = "SKIPPED"
    MISSED = "MISSED"
    DROPPED = "DROPPED"
    REFUSED = "REFUSED"


# Fires that started nothing can be decided anew by a backfill.
_DECIDED_ANEW = frozenset(
    {
        FireOutcome.FIRED,
        FireOutcome.BUFFERED,
        FireOutcome.SKIPPED,
        FireOutcome.DROPPED,
        FireOutcome.REFUSED,
    }
)
FIRE_MOVES: dict[FireOutcome, frozenset[FireOutcome]] = {
    FireOutcome.FIRED: frozenset(),
    # its turn came | a newer fire took its place | its work could not be created
    FireOutcome.BUFFERED: frozenset({FireOutcome.FIRED, FireOutcome.SKIPPED, FireOutcome.REFUSED}),
    FireOutcome.SKIPPED: _DECIDED_ANEW,
    FireOutcome.MISSED: _DECIDED_ANEW,
    FireOutcome.DROPPED: _DECIDED_ANEW,
    FireOutcome.REFUSED: _DECIDED_ANEW,
}


class WebhookStatus(StrEnum):
    """Whether a webhook gets events, and why not."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    GONE = "GONE"
    FAILING = "FAILING"


WEBHOOK_MOVES: dict[WebhookStatus, frozenset[WebhookStatus]] = {
    # by a caller | it answered 410 | every attempt failed for too long
    WebhookStatus.ENABLED: frozenset({WebhookStatus.DISABLED, WebhookStatus.GONE, WebhookStatus.FAILING}),
    # by a caller
    WebhookStatus.DISABLED: frozenset({WebhookStatus.ENABLED}),
    WebhookStatus.GONE: frozenset({WebhookStatus.ENABLED, WebhookStatus.DISABLED}),
    WebhookStatus.FAILING: frozenset({WebhookStatus.ENABLED, WebhookStatus.DISABLED}),
}


class DeliveryStatus(StrEnum):
    """Where a delivery is in its life."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    RETRYING = "RETRYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


DELIVERY_FINAL = frozenset({DeliveryStatus.SUCCEEDED, DeliveryStatus.FAILED, DeliveryStatus.CANCELLED})
DELIVERY_WAITING = frozenset({DeliveryStatus.PENDING, DeliveryStatus.RETRYING})

DELIVERY_MOVES: dict[DeliveryStatus, frozenset[DeliveryStatus]] = {
    # claimed by a worker | its webhook was disabled. One that the condition refuses is deleted.
    DeliveryStatus.PENDING: frozenset({DeliveryStatus.SENDING, DeliveryStatus.CANCELLED}),
    # settled, or its worker was lost
    DeliveryStatus.SENDING: frozenset(
        {
            DeliveryStatus.SUCCEEDED,
            DeliveryStatus.RETRYING,
            DeliveryStatus.FAILED,
            DeliveryStatus.CANCELLED,
        }
    ),
    DeliveryStatus.RETRYING: frozenset({DeliveryStatus.SENDING, DeliveryStatus.CANCELLED}),
    # redelivered; what FAILED or was CANCELLED also by a recovery
    DeliveryStatus.SUCCEEDED: frozenset({DeliveryStatus.PENDING}),
    DeliveryStatus.FAILED: frozenset({DeliveryStatus.PENDING}),
    DeliveryStatus.CANCELLED: frozenset({DeliveryStatus.PENDING}),
}


class DeliveryOutcome(StrEnum):
    """How one request to a webhook ended."""

    SUCCEEDED = "SUCCEEDED"
    BAD_STATUS = "BAD_STATUS"
    TIMED_OUT = "TIMED_OUT"
    CONNECTION_FAILED = "CONNECTION_FAILED"
    TLS_FAILED = "TLS_FAILED"
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    LOST = "LOST"


class SignatureScheme(StrEnum):
    """How requests to a webhook are signed."""

    HMAC_SHA256 = "HMAC_SHA256"
    ED25519 = "ED25519"
