"""From the messages of the contract to what core takes: values, defaults, and the checks across fields."""

from taskflow_server.unpack.dead_letters import dead_letters, replay_order
from taskflow_server.unpack.queues import queue_limits
from taskflow_server.unpack.schedules import new_schedule, policy, schedule_changes, timing
from taskflow_server.unpack.tasks import new_task, new_tasks
from taskflow_server.unpack.values import seconds, task_ids, time

__all__ = [
    "dead_letters",
    "new_schedule",
    "new_task",
    "new_tasks",
    "policy",
    "queue_limits",
    "replay_order",
    "schedule_changes",
    "seconds",
    "task_ids",
    "time",
    "timing",
]
