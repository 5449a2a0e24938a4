"""Handlers for the tests of the whole stack, served beside the built-in ones."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taskflow_worker import Fail, Retry, TaskContext, register_task_handler


@register_task_handler("test.flaky")
async def flaky(context: TaskContext, payload: dict[str, Any]) -> dict[str, int]:
    """Fails in the first `failures` attempts, then returns the number of the attempt."""
    if context.attempt <= payload["failures"]:
        raise ConnectionError(f"failure {context.attempt}")
    return {"attempt": context.attempt}


@register_task_handler("test.steps")
async def steps(context: TaskContext, payload: dict[str, Any]) -> int:
    """Writes so many lines to the task's log, one by one; with `after`, once that file is there."""
    while "after" in payload and not Path(payload["after"]).exists():  # noqa: ASYNC240 - a stat is quick
        await asyncio.sleep(0.05)
    for step in range(payload["steps"]):
        context.log(f"step {step}")
        await asyncio.sleep(0)
    return int(payload["steps"])


@register_task_handler("test.halfway")
async def halfway(context: TaskContext, payload: dict[str, Any]) -> None:
    """Stops at 50 % until the file `until` is there, then goes on to 100 %."""
    context.progress(50)
    while not Path(payload["until"]).exists():  # noqa: ASYNC240 - a stat is quick
        await asyncio.sleep(0.05)
    context.progress(75)
    # So long that the one is written before the other.
    await asyncio.sleep(0.5)
    context.progress(100)


@register_task_handler("test.forever")
async def forever(context: TaskContext, payload: dict[str, Any]) -> None:
    """Runs until it is stopped."""
    context.log("running")
    await asyncio.Event().wait()


@register_task_handler("test.refuse")
async def refuse(context: TaskContext, payload: dict[str, Any]) -> None:
    """Fails for good at once."""
    raise Fail(payload.get("reason", "refused"))


@register_task_handler("test.raise")
async def raise_error(context: TaskContext, payload: dict[str, Any]) -> None:
    """Fails with an error of its own."""
    raise ValueError(UNUSUAL_TEXTS.get(payload["message"], payload["message"]))


@register_task_handler("test.return")
async def return_value(context: TaskContext, payload: dict[str, Any]) -> Any:
    """Returns something that is hard to keep."""
    return UNUSUAL_RESULTS[payload["result"]]()


@register_task_handler("test.deaf")
async def deaf(context: TaskContext, payload: dict[str, Any]) -> str:
    """Goes on when it is told to stop."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "done all the same"
    return "never"


@register_task_handler("test.thread")
def wait_in_a_thread(context: TaskContext, payload: dict[str, Any]) -> None:
    """Runs in a thread, and looks now and then whether it is to stop."""
    while not context.stopped:
        time.sleep(0.01)


@register_task_handler("test.exit")
async def exit_python(context: TaskContext, payload: dict[str, Any]) -> None:
    """Tries to end the worker."""
    sys.exit(payload["code"])


@register_task_handler("test.process")
async def die_in_a_process(context: TaskContext, payload: dict[str, Any]) -> None:
    """Ends the process in which it runs, as a fault in native code would."""
    await context.run_in_process(os._exit, payload["code"])


@register_task_handler("test.retry")
async def retry(context: TaskContext, payload: dict[str, Any]) -> dict[str, int]:
    """Asks for a second attempt after `delay` seconds."""
    if context.attempt == 1:
        raise Retry(delay=payload["delay"], reason="not yet")
    return {"attempt": context.attempt}


@register_task_handler("test.report")
async def report(context: TaskContext, payload: dict[str, Any]) -> None:
    """Writes lines and reports progress with a text."""
    text = UNUSUAL_TEXTS.get(payload["text"], payload["text"])
    context.log(text)
    context.log(text, level="warning")
    context.progress(message=text, current=5, total=10, unit="rows")


def _nested(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = {"in": value}
    return value


def _circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


UNUSUAL_TEXTS = {"a nul": "\0", "half a surrogate pair": "\ud800", "10,000 letters": "x" * 10_000}

UNUSUAL_RESULTS: dict[str, Callable[[], Any]] = {
    "a set": lambda: {1, 2},
    "nan": lambda: {"values": [1, float("nan")]},
    "bytes": lambda: {"data": b"\x00"},
    "a number as key": lambda: {1: "one"},
    "a nul": lambda: "\0",
    "half a surrogate pair": lambda: "\ud800",
    "a circle": _circle,
    "101 levels": lambda: _nested(101),
    "60 levels": lambda: _nested(60),
    "a huge number": lambda: 10**400,
    "nothing": lambda: None,
    "9 MiB": lambda: "x" * 9 * 1024 * 1024,
}


@register_task_handler("test.large")
async def large(context: TaskContext, payload: dict[str, Any]) -> str:
    """Returns a text of so many characters."""
    return "0123456789" * (int(payload["characters"]) // 10)
