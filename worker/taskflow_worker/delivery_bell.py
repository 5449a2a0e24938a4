"""What tells a deliverer that something may be due, so that it does not find out a second later."""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from taskflow_core.queue import EVENTS_CHANNEL, REDIS_ERRORS
from taskflow_core.webhooks.wake import WEBHOOKS_CHANNEL
from taskflow_worker.bell import Bell

log = structlog.get_logger()

# Seconds between two tries to hear of Redis, and longest wait for one message.
AGAIN = 1.0
MESSAGE = 10.0


class DeliveryBell(Bell):
    """Is rung by Redis, while `listen` runs, and by hand. Without Redis it is silent, and the deliverer looks itself."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self._redis = redis
        self._follows_events = False
        self._subscription: PubSub | None = None

    async def follow_events(self, *, follow: bool) -> None:
        """Ring with every task event, or no longer: there is nobody to tell of them."""
        if follow == self._follows_events:
            return
        self._follows_events = follow
        if self._subscription is None:
            return
        try:
            if follow:
                await self._subscription.subscribe(EVENTS_CHANNEL)
            else:
                await self._subscription.unsubscribe(EVENTS_CHANNEL)
        except REDIS_ERRORS as error:
            log.warning("redis: the deliverer looks every second", error=repr(error))

    async def listen(self) -> None:
        """Ring as Redis says, until cancelled."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await self._ring_with(subscription)
            except REDIS_ERRORS as error:
                log.warning("redis: the deliverer looks every second", error=repr(error))
            finally:
                self._subscription = None
            await asyncio.sleep(AGAIN)

    async def _ring_with(self, subscription: PubSub) -> None:
        channels = (WEBHOOKS_CHANNEL, EVENTS_CHANNEL) if self._follows_events else (WEBHOOKS_CHANNEL,)
        await subscription.subscribe(*channels)
        self._subscription = subscription
        # Whatever rang while nobody listened is in the rows.
        self.ring()
        while True:
            if await subscription.get_message(timeout=MESSAGE):
                self.ring()
