"""Runs plain functions beside the event loop."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


async def run_in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """What `function` returns, run in a thread of its own with the caller's context variables.

    asyncio's shared pool of threads would let a handful of slow handlers hold up all others and every name
    look-up, and Python would wait for them at exit. When the caller is cancelled the thread is left behind.
    """
    outcome: Future[Any] = Future()
    work = contextvars.copy_context().run
    threading.Thread(
        target=_settle, args=(outcome, work, function, *args), name=function.__name__, daemon=True
    ).start()
    return await asyncio.wrap_future(outcome)


def _settle(outcome: Future[Any], work: Callable[..., Any], *args: Any) -> None:
    # From here on a cancelled caller can no longer take the future away.
    if not outcome.set_running_or_notify_cancel():
        return
    try:
        result = work(*args)
    except StopIteration as error:
        # A future cannot carry it, as it would end the coroutine that waits.
        outcome.set_exception(RuntimeError(f"the function raised {error!r}"))
    except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is awaited
        outcome.set_exception(error)
    else:
        outcome.set_result(result)
