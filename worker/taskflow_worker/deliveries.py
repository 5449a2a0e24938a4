"""The deliverer: sends what is planned for webhooks, beside the tasks of a worker and apart from their slots.

It looks when somebody rings, when the next delivery is due, and else every second; without an enabled webhook
every ten.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any
from uuid import UUID

import structlog
from redis.asyncio.client import PubSub

from taskflow_core.app import App
from taskflow_core.db import CONFLICT_ERRORS, CONNECTION_ERRORS
from taskflow_core.queue import EVENTS_CHANNEL, REDIS_ERRORS
from taskflow_core.states import DeliveryOutcome
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.claim import Look
from taskflow_core.webhooks.conditions import holds
from taskflow_core.webhooks.envelope import body_of
from taskflow_core.webhooks.secrets import SecretUnreadable
from taskflow_core.webhooks.settle import Sent
from taskflow_core.webhooks.wake import WEBHOOKS_CHANNEL
from taskflow_worker.posting import Endpoint

log = structlog.get_logger()

# Seconds between two looks: with webhooks, without, and at least when events ring all the time.
LOOK = 1.0
LOOK_IDLE = 10.0
LOOK_APART = 0.02
# Seconds after which an endpoint that nothing was sent to gives up its connections: longer than any request.
ENDPOINT_IDLE = 120.0


class Deliverer:
    """Sends deliveries, `webhook_slots` at once. Run `run()` beside the worker, and `drain` it at the end."""

    def __init__(self, app: App) -> None:
        self._webhooks = app.webhooks
        self._expressions = app.expressions
        self._settings = app.settings
        self._redis = app.queue.redis
        # By webhook and revision.
        self._endpoints: dict[tuple[UUID, int], Endpoint] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._rung = asyncio.Event()
        self._draining = False
        self._any_enabled = False
        self._subscription: PubSub | None = None

    async def run(self) -> None:
        """Deliver until drained."""
        listener = asyncio.create_task(self._listen())
        try:
            while not self._draining:
                self._rung.clear()
                claimed, pause = await self._look_and_start()
                await self._rung_within(pause)
                if not claimed:
                    # Events ring all the time, and few of them are for webhooks.
                    await asyncio.sleep(LOOK_APART)
            await self._end()
        finally:
            listener.cancel()
            for sending in self._sending:
                sending.cancel()
            await asyncio.gather(listener, *self._sending, return_exceptions=True)
            for endpoint in self._endpoints.values():
                await endpoint.close()

    def drain(self) -> None:
        """Start nothing new, let what is being sent end, then leave `run`."""
        self._draining = True
        self._rung.set()

    async def _look_and_start(self) -> tuple[int, float]:
        """Start all that is due and fits; how many that were, and the seconds until the next look."""
        try:
            look = await self._webhooks.claims.look()
            await self._follow_events(any_enabled=look.any_enabled)
            claimed = await self._claim(look)
        except (*CONNECTION_ERRORS, *CONFLICT_ERRORS) as error:
            log.warning("the deliverer looks again", error=repr(error))
            return 0, LOOK
        await self._send_all(claimed)
        await self._close_idle()
        longest = LOOK if look.any_enabled else LOOK_IDLE
        return len(claimed), longest if look.next_due is None else min(longest, look.next_due)

    async def _claim(self, look: Look) -> list[Row]:
        claims = self._webhooks.claims
        if look.lost:
            for delivery in await claims.find_lost(self._settings.webhook_slots):
                await self._webhooks.settlement.settle(_lost(delivery))
        tests = await claims.claim_tests(self._settings.webhook_slots) if look.tests else []
        free = self._settings.webhook_slots - len(self._sending)
        if not look.due or free <= 0:
            return tests
        return tests + await claims.claim(look.due, free)

    async def _send_all(self, claimed: Sequence[Row]) -> None:
        refused = []
        for delivery in claimed:
            try:
                event = self._webhooks.envelopes.event(delivery)
                is_wanted = delivery["test"] or await holds(self._expressions, delivery["condition"], event)
            except Exception:
                # One that cannot be told must not end the worker: its lease runs out until no attempt is left.
                log.exception("a delivery has no event", delivery_id=str(delivery["id"]))
                continue
            if is_wanted:
                self._keep(self._send(delivery, body_of(event)))
            else:
                refused.append(delivery)
            if delivery["condition"]:
                # Conditions of callers may take long in sum; heartbeats must not wait for all of them.
                await asyncio.sleep(0)
        if refused:
            self._keep(self._drop(refused))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        sending = asyncio.create_task(work)
        self._sending.add(sending)
        sending.add_done_callback(self._ended)

    def _ended(self, sending: "asyncio.Task[None]") -> None:
        self._sending.discard(sending)
        self._rung.set()
        if not sending.cancelled() and (error := sending.exception()) is not None:
            log.error("a delivery ended in a defect of the worker", exc_info=error)

    async def _send(self, delivery: Row, body: bytes) -> None:
        try:
            endpoint = self._endpoint_of(delivery)
        except SecretUnreadable as error:
            failure = f"not sent: its secret {error}"
            await self._webhooks.settlement.settle(
                Sent(delivery=delivery, outcome=DeliveryOutcome.CONNECTION_FAILED, error=failure)
            )
            return
        await self._webhooks.settlement.settle(await endpoint.post(delivery, body))

    async def _drop(self, refused: Sequence[Row]) -> None:
        try:
            await self._webhooks.claims.drop(refused)
        except (*CONNECTION_ERRORS, *CONFLICT_ERRORS) as error:
            # Their leases run out, and then the condition refuses them again.
            log.warning("deliveries that a condition refuses stay for now", error=repr(error))

    def _endpoint_of(self, delivery: Row) -> Endpoint:
        key = (delivery["webhook_id"], delivery["revision"])
        if key not in self._endpoints:
            self._endpoints[key] = Endpoint(delivery, self._webhooks.box, self._settings)
        endpoint = self._endpoints[key]
        endpoint.used_at = time.monotonic()
        return endpoint

    async def _close_idle(self) -> None:
        """Give up the connections of endpoints that nothing was sent to for a while."""
        before = time.monotonic() - ENDPOINT_IDLE
        for key, endpoint in list(self._endpoints.items()):
            if endpoint.used_at < before:
                del self._endpoints[key]
                await endpoint.close()

    async def _follow_events(self, *, any_enabled: bool) -> None:
        """Hear of task events only while there is somebody to tell of them."""
        if any_enabled == self._any_enabled:
            return
        self._any_enabled = any_enabled
        if self._subscription is None:
            return
        try:
            if any_enabled:
                await self._subscription.subscribe(EVENTS_CHANNEL)
            else:
                await self._subscription.unsubscribe(EVENTS_CHANNEL)
        except REDIS_ERRORS as error:
            log.warning("redis: the deliverer looks every second", error=repr(error))

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(
                        *((WEBHOOKS_CHANNEL, EVENTS_CHANNEL) if self._any_enabled else (WEBHOOKS_CHANNEL,))
                    )
                    self._subscription = subscription
                    # Whatever rang while nobody listened is in the rows.
                    self._rung.set()
                    while True:
                        if await subscription.get_message(timeout=LOOK_IDLE):
                            self._rung.set()
            except REDIS_ERRORS as error:
                log.warning("redis: the deliverer looks every second", error=repr(error))
            finally:
                self._subscription = None
            await asyncio.sleep(LOOK)

    async def _rung_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return

    async def _end(self) -> None:
        """Give requests that are under way their grace; what is cut off is sent again by another worker."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=self._settings.worker_drain_grace)


def _lost(delivery: Row) -> Sent:
    return Sent(
        delivery=delivery,
        outcome=DeliveryOutcome.LOST,
        error="the worker died before it recorded the answer; the request may have arrived",
        url=delivery["url"],
        latency=max(0.0, delivery["ago"].total_seconds()),
    )
