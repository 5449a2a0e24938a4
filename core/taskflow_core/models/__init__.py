"""The rows. They are the domain objects; the database holds the invariants.

Statements that move a status are SQL over arrays, beside what they serve; everything else reads these
tables. `MetaData` here and the migrations describe the same database: a test compares them.
"""

from taskflow_core.models.base import Base
from taskflow_core.models.execution import (
    ExecutionEvent,
    ExecutionScope,
    ExecutionSignal,
    NodeRun,
    WorkflowExecution,
)
from taskflow_core.models.queue import Queue
from taskflow_core.models.schedule import Schedule, ScheduleFire
from taskflow_core.models.stats import StatsCursor, TaskCount, TaskStats
from taskflow_core.models.task import DEAD_LETTER, FINAL, Task, TaskAttempt, TaskEvent, TaskResult
from taskflow_core.models.webhook import Webhook, WebhookAttempt, WebhookDelivery
from taskflow_core.models.worker import TaskType, WorkerSession
from taskflow_core.models.workflow import Workflow, WorkflowVersion

__all__ = [
    "DEAD_LETTER",
    "FINAL",
    "Base",
    "ExecutionEvent",
    "ExecutionScope",
    "ExecutionSignal",
    "NodeRun",
    "Queue",
    "Schedule",
    "ScheduleFire",
    "StatsCursor",
    "Task",
    "TaskAttempt",
    "TaskCount",
    "TaskEvent",
    "TaskResult",
    "TaskStats",
    "TaskType",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
    "WorkerSession",
    "Workflow",
    "WorkflowExecution",
    "WorkflowVersion",
]
