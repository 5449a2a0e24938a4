"""What tells a deliverer that something may be due, so that it does not find out a second later."""

import asyncio

from redis.asyncio import Redis

from taskflow_core.listener import Listener
from taskflow_core.queue import EVENTS_CHANNEL
from taskflow_core.webhooks.wake import WEBHOOKS_CHANNEL
from taskflow_worker.bell import Bell


class DeliveryBell(Bell):
    """Is rung by Redis, while `listen` runs, and by hand. Without Redis it is silent, and the deliverer looks itself."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        # Whatever rang while nobody listened is in the rows.
        self._webhooks, self._events = (
            Listener(
                redis,
                channel,
                on_message=lambda _: self.ring(),
                on_change=self.ring,
                otherwise="redis: the deliverer looks every second",
            )
            for channel in (WEBHOOKS_CHANNEL, EVENTS_CHANNEL)
        )
        self._webhooks.want()

    def follow_events(self, *, follow: bool) -> None:
        """Ring with every task event, or no longer: there is nobody to tell of them."""
        self._events.want(wanted=follow)

    async def listen(self) -> None:
        """Ring as Redis says, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._webhooks.listen())
            group.create_task(self._events.listen())
