"""`echo`: for trying things out."""

from typing import Any

from taskflow_worker.context import TaskContext
from taskflow_worker.registry import register_task_handler


@register_task_handler
async def echo(_context: TaskContext, payload: Any) -> Any:
    """Return the payload."""
    return payload
