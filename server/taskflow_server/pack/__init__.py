"""From rows to the messages of the contract, one way, one function per message."""

from taskflow_server.pack.dead_letters import dead_letter, dead_letter_group
from taskflow_server.pack.queues import queue
from taskflow_server.pack.tasks import attempt, event, preview, task, task_type, watch_message, with_result
from taskflow_server.pack.values import timestamp
from taskflow_server.pack.webhooks import delivery, webhook, webhook_with_secret, whole_delivery

__all__ = [
    "attempt",
    "dead_letter",
    "dead_letter_group",
    "delivery",
    "event",
    "preview",
    "queue",
    "task",
    "task_type",
    "timestamp",
    "watch_message",
    "webhook",
    "webhook_with_secret",
    "whole_delivery",
    "with_result",
]
