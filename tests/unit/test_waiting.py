"""Waiting for an event ends with it, or with the time, and says which."""

import asyncio

from taskflow_core.waiting import set_within


async def test_an_event_ends_the_wait():
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    assert await set_within(event, None)


async def test_the_time_ends_the_wait():
    assert not await set_within(asyncio.Event(), 0.0)


async def test_an_event_counts_that_comes_in_the_moment_in_which_the_time_is_over():
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    assert await set_within(event, 0.0)
