"""Handlers for the tests of the whole stack, served beside the built-in ones."""

import asyncio
from typing import Any

from taskflow_worker import Fail, TaskContext, register_task_handler


@register_task_handler("test.flaky")
async def flaky(context: TaskContext, payload: dict[str, Any]) -> dict[str, int]:
    """Fails in the first `failures` attempts, then returns the number of the attempt."""
    if context.attempt <= payload["failures"]:
        raise ConnectionError(f"failure {context.attempt}")
    return {"attempt": context.attempt}


@register_task_handler("test.steps")
async def steps(context: TaskContext, payload: dict[str, Any]) -> int:
    """Writes so many lines to the task's log, one by one."""
    for step in range(payload["steps"]):
        context.log(f"step {step}")
        await asyncio.sleep(0)
    return int(payload["steps"])


@register_task_handler("test.forever")
async def forever(context: TaskContext, payload: dict[str, Any]) -> None:
    """Runs until it is stopped."""
    context.log("running")
    await asyncio.Event().wait()


@register_task_handler("test.refuse")
async def refuse(context: TaskContext, payload: dict[str, Any]) -> None:
    """Fails for good at once."""
    raise Fail(payload.get("reason", "refused"))


@register_task_handler("test.large")
async def large(context: TaskContext, payload: dict[str, Any]) -> str:
    """Returns a text of so many characters."""
    return "0123456789" * (int(payload["characters"]) // 10)
