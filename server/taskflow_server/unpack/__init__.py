"""From the messages of the contract to what core takes: values, defaults, and the checks across fields."""

from taskflow_server.unpack.dead_letters import dead_letters, replay_order
from taskflow_server.unpack.executions import new_execution, new_signal, rerun_order
from taskflow_server.unpack.queues import queue_limits
from taskflow_server.unpack.schedules import new_schedule, policy, schedule_changes, timing
from taskflow_server.unpack.stats import bounds, period, task_filter
from taskflow_server.unpack.tasks import event_kinds, new_task, new_tasks
from taskflow_server.unpack.values import seconds, task_ids, time
from taskflow_server.unpack.webhooks import signature_scheme, webhook_changes, webhook_fields
from taskflow_server.unpack.workflows import (
    drawing_format,
    new_workflow,
    workflow_changes,
    workflow_problems,
    workflow_to_draw,
)

__all__ = [
    "bounds",
    "dead_letters",
    "drawing_format",
    "event_kinds",
    "new_execution",
    "new_schedule",
    "new_signal",
    "new_task",
    "new_tasks",
    "new_workflow",
    "period",
    "policy",
    "queue_limits",
    "replay_order",
    "rerun_order",
    "schedule_changes",
    "seconds",
    "signature_scheme",
    "task_filter",
    "task_ids",
    "time",
    "timing",
    "webhook_changes",
    "webhook_fields",
    "workflow_changes",
    "workflow_problems",
    "workflow_to_draw",
]
