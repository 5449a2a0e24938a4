"""From rows to the messages of the contract, one way, one function per message."""

from taskflow_server.pack.dead_letters import dead_letter, dead_letter_group
from taskflow_server.pack.executions import (
    execution,
    execution_event,
    execution_preview,
    execution_watch_message,
    node_run,
)
from taskflow_server.pack.queues import queue
from taskflow_server.pack.tasks import attempt, event, preview, task, task_type, watch_message, with_result
from taskflow_server.pack.workflows import drawing, workflow, workflow_problem

__all__ = [
    "attempt",
    "dead_letter",
    "dead_letter_group",
    "drawing",
    "event",
    "execution",
    "execution_event",
    "execution_preview",
    "execution_watch_message",
    "node_run",
    "preview",
    "queue",
    "task",
    "task_type",
    "watch_message",
    "with_result",
    "workflow",
    "workflow_problem",
]
