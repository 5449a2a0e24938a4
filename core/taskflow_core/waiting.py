"""Waiting for an event, but not for ever."""

import asyncio
from contextlib import suppress


async def set_within(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for an event, but not longer; whether it is set, be it in the very moment in which the time was over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
