"""Hearing a channel of Redis, but only while somebody wants to: each message wakes every process that hears it."""

import asyncio
import time
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from taskflow_core.queue import REDIS_ERRORS

log = structlog.get_logger()

# Seconds for which a channel is heard although nobody wants it any more: who comes and goes does not start anew.
KEEP = 10.0
# Seconds between two tries to reach a Redis that is away.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0


class Listener:
    """Hears one channel while it is wanted, over any number of reconnections. Run `listen()` in the background.

    What is said while it does not hear is lost to it. So `on_change` is called whenever hearing begins, ends or does not
    come about: then it is time to look. `otherwise` is what the log says while Redis is away.
    """

    def __init__(
        self,
        client: Redis,
        channel: str,
        *,
        on_message: Callable[[bytes], None],
        on_change: Callable[[], None],
        otherwise: str,
    ) -> None:
        self._redis = client
        self._channel = channel
        self._on_message = on_message
        self._on_change = on_change
        self._otherwise = otherwise
        self._wanted = asyncio.Event()
        self._unwanted_at = 0.0
        self.is_hearing = False

    def want(self, *, wanted: bool = True) -> None:
        """Hear from now on, or for a while only."""
        if wanted:
            self._wanted.set()
        elif self._wanted.is_set():
            self._wanted.clear()
            self._unwanted_at = time.monotonic()

    async def listen(self) -> None:
        """Pass on what is said, until cancelled."""
        pause = FIRST_PAUSE
        while True:
            await self._wanted.wait()
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    await self._hear(subscription)
            except (*REDIS_ERRORS, ValueError) as error:  # away, or a message that is not ours
                log.warning(self._otherwise, error=repr(error))
                pause = FIRST_PAUSE if self.is_hearing else min(pause * 2, LONGEST_PAUSE)
                self._turn(hearing=False)
                await asyncio.sleep(pause)
            else:
                self._turn(hearing=False)

    async def _hear(self, subscription: PubSub) -> None:
        while self._wanted.is_set() or time.monotonic() - self._unwanted_at < KEEP:
            message = await subscription.get_message(timeout=KEEP)
            if message is None:
                continue
            if message["type"] == "message":
                self._on_message(message["data"])
            else:  # Redis has begun to send, maybe once more: the client connects anew by itself
                self._turn(hearing=True)

    def _turn(self, *, hearing: bool) -> None:
        self.is_hearing = hearing
        self._on_change()
