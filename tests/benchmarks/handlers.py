"""The handlers that the benchmarks run."""

import asyncio
import time
from typing import Any

from taskflow_worker import TaskContext, register_task_handler


@register_task_handler("noop")
async def noop(context: TaskContext, payload: Any) -> None:
    """Return at once."""


@register_task_handler("started_at")
async def started_at(context: TaskContext, payload: Any) -> int:
    """The system's monotonic clock, in ns: on one machine it is the same for all processes."""
    return time.monotonic_ns()


@register_task_handler("sleep")
async def sleep(context: TaskContext, payload: dict[str, float]) -> None:
    """Take a while."""
    await asyncio.sleep(payload["seconds"])
