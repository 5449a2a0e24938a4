"""A channel is heard by those who want it, while they want it, and who begins to hear is told so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from taskflow_core.app import App
from taskflow_core.listener import Listener
from taskflow_core.queue import EVENTS_CHANNEL

CHANNEL = "taskflow:test"


class Ear:
    """A listener, and what it has heard."""

    def __init__(self, redis: Redis) -> None:
        self.heard: list[bytes] = []
        self.changes: list[bool] = []
        self.listener = Listener(
            redis,
            CHANNEL,
            on_message=self.heard.append,
            on_change=lambda: self.changes.append(self.listener.is_hearing),
            otherwise="redis: nothing is heard",
        )


@pytest.fixture
async def ear(app: App) -> AsyncIterator[Ear]:
    ear = Ear(app.queue.redis)
    listening = asyncio.create_task(ear.listener.listen())
    yield ear
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await is_so():
            await asyncio.sleep(0.01)


async def hearers(app: App, channel: str = CHANNEL) -> int:
    [(_, count)] = await app.queue.redis.pubsub_numsub(channel)
    return int(count)


async def test_nobody_hears_a_channel_that_nobody_wants(app: App, ear: Ear):
    assert await hearers(app) == 0
    assert ear.changes == []


async def test_a_channel_that_is_wanted_is_heard_from_the_moment_that_is_told(app: App, ear: Ear):
    ear.listener.want()

    async def begins() -> bool:
        return ear.changes == [True]

    await until(begins)
    await app.queue.redis.publish(CHANNEL, b"one")

    async def hears() -> bool:
        return ear.heard == [b"one"]

    await until(hears)


async def test_a_channel_that_is_wanted_no_more_is_heard_for_a_while_only(
    app: App, ear: Ear, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("taskflow_core.listener.KEEP", 0.3)
    ear.listener.want()

    async def is_heard() -> bool:
        return await hearers(app) == 1

    await until(is_heard)
    ear.listener.want(wanted=False)
    assert await is_heard()

    async def is_silent() -> bool:
        return await hearers(app) == 0 and ear.changes == [True, False]

    await until(is_silent)
    ear.listener.want()
    await until(is_heard)


async def test_a_connection_that_is_cut_is_opened_anew_and_told_of(app: App, ear: Ear):
    ear.listener.want()

    async def begins() -> bool:
        return True in ear.changes

    await until(begins)
    ear.changes.clear()
    await app.queue.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(begins)


async def test_a_server_hears_of_events_only_while_somebody_watches(app: App):
    assert await hearers(app, EVENTS_CHANNEL) == 0
    with app.feed.watching_all():

        async def hears() -> bool:
            return await hearers(app, EVENTS_CHANNEL) == 1

        await until(hears)
