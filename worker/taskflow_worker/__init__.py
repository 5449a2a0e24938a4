"""What the author of a handler touches. `taskflow worker --import my_handlers` serves what is marked here."""

from taskflow_core.retry import RetryPolicy
from taskflow_worker.context import TaskContext
from taskflow_worker.outcome import Fail, InvalidPayload, Retry
from taskflow_worker.registry import register_task_handler

__all__ = [
    "Fail",
    "InvalidPayload",
    "Retry",
    "RetryPolicy",
    "TaskContext",
    "register_task_handler",
]
