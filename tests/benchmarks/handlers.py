"""The handlers that the benchmarks run."""

import asyncio
import random
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


@register_task_handler("say_when")
async def say_when(context: TaskContext, payload: dict[str, Any]) -> None:
    """Write so many lines, `seconds` apart: each the system's monotonic clock, in ns."""
    await asyncio.sleep(random.uniform(0, payload["seconds"]))
    for _ in range(payload["lines"]):
        await asyncio.sleep(payload["seconds"])
        context.log(str(time.monotonic_ns()))


@register_task_handler("report_progress")
async def report_progress(context: TaskContext, payload: dict[str, Any]) -> None:
    """Report progress `rate` times a second until cancelled; or call a function that does nothing as often."""
    report = context.progress if payload["reports"] else _ignore
    count = 0
    while True:
        # Timers of a millisecond would cost more than what they time.
        await asyncio.sleep(0.05)
        for _ in range(payload["rate"] // 20):
            count += 1
            report(count % 100, current=count)


def _ignore(percent: float, *, current: float) -> None:
    pass
