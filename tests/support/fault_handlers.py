"""Handlers of the fault tests: they write down what they do, and some misbehave."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from support.faults.executions import Step, note
from taskflow_worker import TaskContext, register_task_handler


@register_task_handler("faults.work")
async def work(context: TaskContext, payload: dict[str, Any]) -> dict[str, int]:
    """Takes `seconds`, takes the worker with it in the first `exits` attempts, and fails in the first `failures`."""
    _note("begin", context)
    if context.attempt <= payload.get("exits", 0):
        os._exit(1)
    try:
        await asyncio.sleep(payload.get("seconds", 0))
    except asyncio.CancelledError:
        _note("stopped", context)
        raise
    _note("end", context)
    if context.attempt <= payload.get("failures", 0):
        raise ConnectionError(f"failure {context.attempt}")
    return _result(context)


@register_task_handler("faults.steps")
async def steps(context: TaskContext, payload: dict[str, Any]) -> dict[str, int]:
    """Writes so many lines to the task's log, `seconds` apart."""
    _note("begin", context)
    for step in range(payload["steps"]):
        context.log(f"step {step}")
        await asyncio.sleep(payload["seconds"])
    _note("end", context)
    return _result(context)


@register_task_handler("faults.exit")
async def exit_process(context: TaskContext, payload: dict[str, Any]) -> None:
    """Takes the whole worker with it."""
    _note("begin", context)
    os._exit(1)


@register_task_handler("faults.block")
async def block(context: TaskContext, payload: dict[str, Any]) -> dict[str, int]:
    """Blocks the worker's event loop for `seconds` in the first attempt."""
    _note("begin", context)
    if context.attempt == 1:
        time.sleep(payload["seconds"])  # noqa: ASYNC251 - the misbehaviour itself
    _note("end", context)
    return _result(context)


@register_task_handler("faults.stubborn")
async def stubborn(context: TaskContext, payload: dict[str, Any]) -> dict[str, int]:
    """Swallows every cancellation of the first attempt, until the file `until` is there."""
    _note("begin", context)
    while context.attempt == 1 and not Path(payload["until"]).exists():  # noqa: ASYNC240 - a stat is quick
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            _note("stopped", context)
    _note("end", context)
    return _result(context)


def _note(step: Step, context: TaskContext) -> None:
    note(step, context.tenant_id, context.task_id, context.attempt)


def _result(context: TaskContext) -> dict[str, int]:
    """What tells the checker which attempt, in which process, wrote it."""
    return {"attempt": context.attempt, "pid": os.getpid()}
