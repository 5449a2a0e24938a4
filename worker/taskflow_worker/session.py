"""A worker's lease on life: opened, renewed by heartbeats, and replaced when it could not be renewed."""

import asyncio
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import structlog

from taskflow_core.app import App
from taskflow_core.db import CONNECTION_ERRORS
from taskflow_core.queue import REDIS_ERRORS, Lane, cancel_channel, parse_hint_id
from taskflow_core.retry import RetryPolicy
from taskflow_core.sessions import RunningTask, TypeDefaults, beat, close_session, drain_session, open_session
from taskflow_worker.registry import Registry

log = structlog.get_logger()

# Seconds by which a heartbeat may be late before the worker is taken to have been frozen, or kept busy.
STALL = 1.0


class SessionOwner(Protocol):
    """What a session tells its worker."""

    def on_fenced(self) -> None:
        """The lease is lost: others may run its tasks by now, so nothing more may be written of them."""

    def on_opened(self, lost: int, *, blameless: bool) -> None:
        """Another session has taken the place of the lost one; `blameless` if but the database was away."""

    def on_cancel(self, task_id: UUID, attempt: int) -> None:
        """Somebody asked the task to stop."""

    def on_running(self, tasks: Sequence[RunningTask]) -> None:
        """What the database thinks the worker runs."""


class Session:
    """The present session of a worker. `id` changes when a lost one is replaced.

    In between `is_open` is False, and nothing may be claimed.
    """

    def __init__(self, app: App, registry: Registry, lanes: Sequence[Lane], worker: str) -> None:
        self.id = 0
        self.is_open = False
        self._app = app
        self._registry = registry
        self._lanes = lanes
        self._worker = worker

    async def open(self) -> None:
        """Register the worker, its lanes and its task types. Waits for the database."""
        settings = self._app.settings
        self.id = await open_session(
            self._app.database,
            self._worker,
            queues=sorted({lane.queue for lane in self._lanes}),
            priorities=sorted({lane.priority for lane in self._lanes}),
            types={
                handler.task_type: TypeDefaults(
                    handler.description,
                    handler.timeout or settings.attempt_timeout,
                    handler.retry or RetryPolicy(),
                )
                for handler in self._registry
            },
            slots=settings.worker_slots,
            lease_seconds=settings.lease_seconds,
        )
        self.is_open = True
        log.info("session opened", session_id=self.id, worker=self._worker)

    async def drain(self) -> None:
        """Say that nothing more is started."""
        try:
            await drain_session(self._app.database, self.id)
        except CONNECTION_ERRORS as error:
            log.warning("nobody is told that this worker drains", error=repr(error))

    async def close(self) -> None:
        """Give the lease back; all tasks must be settled."""
        try:
            await close_session(self._app.database, self.id)
        except CONNECTION_ERRORS as error:
            log.warning("the session stays open until its lease is over", error=repr(error))

    async def keep(self, owner: SessionOwner) -> None:
        """Renew the lease until cancelled; replace the session when it was lost."""
        settings = self._app.settings
        clock = asyncio.get_running_loop().time
        good_until = clock() + settings.lease_seconds
        away = stalled = False
        while True:
            started = clock()
            await asyncio.sleep(settings.heartbeat_seconds)
            asked = clock()
            # A worker that did not get to run cannot tell whether it or the database was away.
            stalled |= asked - started > settings.heartbeat_seconds + STALL
            running = None
            try:
                running = await self._beat(good_until - asked)
            except (*CONNECTION_ERRORS, TimeoutError) as error:
                log.warning("heartbeat failed", error=repr(error))
                away = True
                stalled |= clock() > max(asked, good_until) + STALL
                if clock() < good_until:
                    continue
            if running is None:
                log.error("lease lost: stopping everything that runs", session_id=self.id)
                self.is_open = False
                owner.on_fenced()
                lost = self.id
                await self.open()
                owner.on_opened(lost, blameless=away and not stalled)
                good_until = clock() + settings.lease_seconds
            else:
                good_until = asked + settings.lease_seconds
                owner.on_running(running)
            away = stalled = False

    async def _beat(self, seconds: float) -> list[RunningTask] | None:
        """What `beat` answers. Raises TimeoutError when the lease may be over, whatever the line does."""
        beating = asyncio.create_task(beat(self._app.database, self.id, self._app.settings.lease_seconds))
        answered, _ = await asyncio.wait([beating], timeout=max(0.0, seconds))
        if not answered:
            # Not awaited: on a line that has gone silent even giving up waits for an answer.
            beating.cancel()
            raise TimeoutError("no answer before the end of the lease")
        return beating.result()

    async def hear_cancellations(self, owner: SessionOwner) -> None:
        """Pass on what is asked for at once, until cancelled; the heartbeat brings it too."""
        while True:
            try:
                async with self._app.queue.redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    heard_for = self.id
                    await subscription.subscribe(cancel_channel(heard_for))
                    while heard_for == self.id:
                        message = await subscription.get_message(timeout=1.0)
                        if message is not None:
                            owner.on_cancel(*parse_hint_id(message["data"].decode()))
            except (*REDIS_ERRORS, ValueError) as error:  # away, or a message that is not ours
                log.warning("redis: cancellations come with the heartbeat", error=repr(error))
            await asyncio.sleep(0.5)
