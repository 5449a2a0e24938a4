"""A channel is heard by those who want it, while they want it, and who begins to hear is told so."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from support.waiting import until
from taskflow_core.app import App
from taskflow_core.listener import Listener
from taskflow_core.queue import EVENTS_CHANNEL

CHANNEL = "taskflow:test"
PATIENCE = 20  # seconds


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


async def hearers(app: App, channel: str = CHANNEL) -> int:
    [(_, count)] = await app.queue.redis.pubsub_numsub(channel)
    return int(count)


async def test_nobody_hears_a_channel_that_nobody_wants(app: App, ear: Ear):
    assert await hearers(app) == 0
    assert ear.changes == []


async def until_heard(app: App, channel: str = CHANNEL) -> None:
    async def is_heard() -> bool:
        return await hearers(app, channel) == 1

    await until(is_heard, PATIENCE, f"somebody hears {channel}")


async def test_a_channel_that_is_wanted_is_heard_from_the_moment_that_is_told(app: App, ear: Ear):
    ear.listener.want()
    await until(lambda: ear.changes == [True], PATIENCE, "hearing begins")
    await app.queue.redis.publish(CHANNEL, b"one")
    await until(lambda: ear.heard == [b"one"], PATIENCE, "the message is heard")


async def test_a_channel_that_is_wanted_no_more_is_heard_for_a_while_only(
    app: App, ear: Ear, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("taskflow_core.listener.KEEP", 0.3)
    ear.listener.want()
    await until_heard(app)
    ear.listener.want(wanted=False)
    assert await hearers(app) == 1

    async def is_silent() -> bool:
        return await hearers(app) == 0 and ear.changes == [True, False]

    await until(is_silent, PATIENCE, "hearing ends")
    ear.listener.want()
    await until_heard(app)


async def test_a_connection_that_is_cut_is_opened_anew_and_told_of(app: App, ear: Ear):
    ear.listener.want()
    await until(lambda: True in ear.changes, PATIENCE, "hearing begins")
    ear.changes.clear()
    await app.queue.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: True in ear.changes, PATIENCE, "hearing begins anew")


async def test_a_server_hears_of_events_only_while_somebody_watches(app: App):
    assert await hearers(app, EVENTS_CHANNEL) == 0
    with app.feed.watching_all():
        await until_heard(app, EVENTS_CHANNEL)
