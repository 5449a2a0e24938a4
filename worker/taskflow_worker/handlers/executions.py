"""`taskflow.delay` and `taskflow.step`: tasks of executions that do nothing. When they end, the execution goes on."""

from typing import Any

from taskflow_core.retry import RetryPolicy
from taskflow_core.service_tasks import DELAY, STEP
from taskflow_worker.context import TaskContext
from taskflow_worker.registry import Handler

RETRY = RetryPolicy(max_attempts=20)


def execution_handlers() -> list[Handler]:
    """The handlers of the engine's own tasks."""
    return [Handler(DELAY, _nothing, retry=RETRY), Handler(STEP, _nothing, retry=RETRY)]


async def _nothing(context: TaskContext, payload: dict[str, Any]) -> None:
    """Lets an execution go on."""
