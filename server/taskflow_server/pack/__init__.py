"""From rows to the messages of the contract, one way, one function per message."""

from taskflow_server.pack.dead_letters import dead_letter, dead_letter_group
from taskflow_server.pack.queues import queue
from taskflow_server.pack.stats import overview, queue_stats, stats_message, task_stats
from taskflow_server.pack.tasks import attempt, event, preview, task, task_type, with_result
from taskflow_server.pack.values import timestamp
from taskflow_server.pack.watch import watch_all_bytes, watch_bytes, watch_message
from taskflow_server.pack.webhooks import delivery, webhook, webhook_with_secret, whole_delivery

__all__ = [
    "attempt",
    "dead_letter",
    "dead_letter_group",
    "delivery",
    "event",
    "overview",
    "preview",
    "queue",
    "queue_stats",
    "stats_message",
    "task",
    "task_stats",
    "task_type",
    "timestamp",
    "watch_all_bytes",
    "watch_bytes",
    "watch_message",
    "webhook",
    "webhook_with_secret",
    "whole_delivery",
    "with_result",
]
