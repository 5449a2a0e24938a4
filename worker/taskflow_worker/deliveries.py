"""The deliverer: sends what is planned for webhooks, beside the tasks of a worker and apart from their slots.

It looks when somebody rings, when the next delivery is due, and else every second; without an enabled webhook
every ten.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from taskflow_core.app import App
from taskflow_core.db import CONFLICT_ERRORS, CONNECTION_ERRORS
from taskflow_core.states import DeliveryOutcome
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.claim import Look
from taskflow_core.webhooks.conditions import holds
from taskflow_core.webhooks.envelope import body_of
from taskflow_core.webhooks.secrets import SecretUnreadable
from taskflow_core.webhooks.settle import Sent
from taskflow_worker.delivery_bell import DeliveryBell
from taskflow_worker.endpoints import Endpoints

log = structlog.get_logger()

# Seconds between two looks: with webhooks, without, and at least when events ring all the time.
LOOK = 1.0
LOOK_IDLE = 10.0
LOOK_APART = 0.02


class Deliverer:
    """Sends deliveries, `webhook_slots` at once. Run `run()` beside the worker, and `drain` it at the end."""

    def __init__(self, app: App) -> None:
        self._claims = app.webhooks.claims
        self._envelopes = app.webhooks.envelopes
        self._settlement = app.webhooks.settlement
        self._expressions = app.expressions
        self._slots = app.settings.webhook_slots
        self._grace = app.settings.worker_drain_grace
        self._endpoints = Endpoints(app.webhooks.box, app.settings)
        self._bell = DeliveryBell(app.queue.redis)
        self._sending: set[asyncio.Task[None]] = set()
        self._draining = False

    async def run(self) -> None:
        """Deliver until drained."""
        listener = asyncio.create_task(self._bell.listen())
        try:
            while not self._draining:
                self._bell.silence()
                started, pause = await self._look_and_start()
                await self._bell.rung_within(pause)
                if not started:
                    # Events ring all the time, and few of them are for webhooks.
                    await asyncio.sleep(LOOK_APART)
            if self._sending:
                # What is cut off is sent again by another worker.
                await asyncio.wait(self._sending, timeout=self._grace)
        finally:
            listener.cancel()
            for sending in self._sending:
                sending.cancel()
            await asyncio.gather(listener, *self._sending, return_exceptions=True)
            await self._endpoints.close()

    def drain(self) -> None:
        """Start nothing new, let what is being sent end, then leave `run`."""
        self._draining = True
        self._bell.ring()

    async def _look_and_start(self) -> tuple[int, float]:
        """Start all that is due and fits; how many that were, and the seconds until the next look."""
        try:
            look = await self._claims.look()
            self._bell.follow_events(follow=look.any_enabled)
            claimed = await self._claim(look)
        except (*CONNECTION_ERRORS, *CONFLICT_ERRORS) as error:
            log.warning("the deliverer looks again", error=repr(error))
            return 0, LOOK
        await self._start(claimed)
        await self._endpoints.close_idle()
        longest = LOOK if look.any_enabled else LOOK_IDLE
        return len(claimed), longest if look.next_due is None else min(longest, look.next_due)

    async def _claim(self, look: Look) -> list[Row]:
        if look.lost:
            for delivery in await self._claims.find_lost(self._slots):
                await self._settlement.settle(_lost(delivery))
        tests = await self._claims.claim_tests(self._slots) if look.tests else []
        free = self._slots - len(self._sending)
        if not look.due or free <= 0:
            return tests
        return tests + await self._claims.claim(look.due, free)

    async def _start(self, claimed: Sequence[Row]) -> None:
        """Send what its webhook wants, and drop what its condition refuses."""
        refused = []
        for delivery in claimed:
            try:
                event = self._envelopes.event(delivery)
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

    async def _send(self, delivery: Row, body: bytes) -> None:
        try:
            endpoint = self._endpoints.of(delivery)
        except SecretUnreadable as error:
            sent = Sent(
                delivery=delivery,
                outcome=DeliveryOutcome.CONNECTION_FAILED,
                error=f"not sent: its secret {error}",
            )
        else:
            sent = await endpoint.post(delivery, body)
        await self._settlement.settle(sent)

    async def _drop(self, refused: Sequence[Row]) -> None:
        try:
            await self._claims.drop(refused)
        except (*CONNECTION_ERRORS, *CONFLICT_ERRORS) as error:
            # Their leases run out, and then the condition refuses them again.
            log.warning("deliveries that a condition refuses stay for now", error=repr(error))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        sending = asyncio.create_task(work)
        self._sending.add(sending)
        sending.add_done_callback(self._ended)

    def _ended(self, sending: "asyncio.Task[None]") -> None:
        self._sending.discard(sending)
        # There is room for another.
        self._bell.ring()
        if not sending.cancelled() and (error := sending.exception()) is not None:
            log.error("a delivery ended in a defect of the worker", exc_info=error)


def _lost(delivery: Row) -> Sent:
    return Sent(
        delivery=delivery,
        outcome=DeliveryOutcome.LOST,
        error="the worker died before it recorded the answer; the request may have arrived",
        url=delivery["url"],
        latency=max(0.0, delivery["ago"].total_seconds()),
    )
