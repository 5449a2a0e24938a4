"""From rows to the messages of the contract, one way, one function per message."""

from taskflow_server.pack.dead_letters import dead_letter, dead_letter_group
from taskflow_server.pack.executions import (
    execution,
    execution_event,
    execution_preview,
    node_run,
    whole_execution,
)
from taskflow_server.pack.queues import queue
from taskflow_server.pack.schedules import fire, schedule, schedule_preview
from taskflow_server.pack.stats import (
    overview,
    queue_stats,
    schedule_stats,
    stats_message,
    task_stats,
    webhook_stats,
)
from taskflow_server.pack.tasks import attempt, event, preview, task, task_type, with_result
from taskflow_server.pack.values import timestamp
from taskflow_server.pack.watch import execution_watch_bytes, watch_all_bytes, watch_bytes
from taskflow_server.pack.webhooks import delivery, webhook, webhook_with_secret, whole_delivery
from taskflow_server.pack.workflows import drawing, workflow, workflow_problem

__all__ = [
    "attempt",
    "dead_letter",
    "dead_letter_group",
    "delivery",
    "drawing",
    "event",
    "execution",
    "execution_event",
    "execution_preview",
    "execution_watch_bytes",
    "fire",
    "node_run",
    "overview",
    "preview",
    "queue",
    "queue_stats",
    "schedule",
    "schedule_preview",
    "schedule_stats",
    "stats_message",
    "task",
    "task_stats",
    "task_type",
    "timestamp",
    "watch_all_bytes",
    "watch_bytes",
    "webhook",
    "webhook_stats",
    "webhook_with_secret",
    "whole_delivery",
    "whole_execution",
    "with_result",
    "workflow",
    "workflow_problem",
]
