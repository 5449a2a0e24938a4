"""Waiting for what a test is about."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float, what: str) -> None:
    """Wait until something is so. Raises TimeoutError, which says what was waited for."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while True:
        is_so = condition()
        if is_so if isinstance(is_so, bool) else await is_so:
            return
        if clock() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.02)
