"""The worker: takes hints from its lanes, claims the tasks behind them, and runs them in its slots.

A subclass of `arq.Worker` with the same keys and job bytes, so that arq's own client and worker still
fit. What it does otherwise: it is woken instead of polling, takes hints in batches under a lease, and
lets PostgreSQL decide what runs.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Coroutine, Sequence
from typing import Any
from uuid import UUID, uuid4

import structlog
from arq.worker import Worker, func

from taskflow_core.announce import Announcement
from taskflow_core.app import App
from taskflow_core.batching import linger
from taskflow_core.queue import REDIS_ERRORS, RUN_TASK, Lane, parse_hint_id
from taskflow_core.sessions import RunningTask
from taskflow_core.tasks.admit import claim_limited
from taskflow_core.tasks.claim import Claim, claim
from taskflow_core.tasks.rows import Row
from taskflow_core.tasks.settle import Settlement
from taskflow_worker.hand_back import hand_back
from taskflow_worker.lane_bell import FALLBACK, REDIS_PAUSE, LaneBell
from taskflow_worker.processes import ProcessPool
from taskflow_worker.registry import Registry
from taskflow_worker.rota import Rota
from taskflow_worker.runner import Attempt, Runner, Stop
from taskflow_worker.session import Session

log = structlog.get_logger()

# Hints by the tasks and attempts that they stand for.
Hints = dict[tuple[UUID, int], tuple[Lane, str]]

# Seconds for one answer of Redis: a line that has gone silent is given up.
REDIS_PATIENCE = 5.0


class TaskWorker(Worker):
    """One worker process: so many attempts at once, from some lanes, under one session at a time."""

    def __init__(self, app: App, registry: Registry, lanes: Sequence[Lane]) -> None:
        super().__init__(
            functions=[func(_not_through_arq, name=RUN_TASK)],
            queue_name=lanes[0].key,
            redis_pool=app.queue.redis,
            handle_signals=False,
            max_jobs=app.settings.worker_slots,
            keep_result=0,
            retry_jobs=False,
        )
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._app = app
        self._lanes = tuple(lanes)
        self._rota = Rota(lanes)
        self._processes = ProcessPool(app.settings.process_pool_size)
        self._runner = Runner(app, registry, self._processes, random.Random())  # noqa: S311 - jitter
        self._session = Session(app, registry, lanes, self.name)
        self._attempts: dict[UUID, Attempt] = {}
        self._runs: set[asyncio.Task[None]] = set()
        # Attempts of lost sessions, and the session that was lost though this worker was well.
        self._fenced: list[Attempt] = []
        self._blameless: int | None = None
        # What goes on beside: claims in limited queues, with the slots kept free for them, and handing back.
        self._asides: set[asyncio.Task[None]] = set()
        self._reserved = 0
        self._bell = LaneBell(app.queue, self._lanes, lambda: self._free_slots > 0)
        # What the next look at the lanes drops.
        self._done_hints: list[tuple[Lane, str]] = []

    async def main(self) -> None:
        """Work until `drain` was called and everything has ended."""
        await self._session.open()
        helpers = [
            self._helper(work)
            for work in (
                self._session.keep(self),
                self._session.hear_cancellations(self),
                self._bell.listen(),
            )
        ]
        log.info("worker ready", lanes=[lane.key for lane in self._lanes], slots=self.max_jobs)
        try:
            while self.allow_pick_jobs:
                await self._poll_iteration()
            await self._session.drain()
            await asyncio.gather(*self._asides, return_exceptions=True)
            await self._end_attempts()
            await self._session.close()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._processes.close()
        for helper in helpers:
            if not helper.cancelled():
                helper.result()

    def drain(self) -> None:
        """Take nothing new, let what runs end, then leave `main`."""
        self.allow_pick_jobs = False
        self._bell.ring()

    def _helper(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run it beside the worker. A worker without a heartbeat is of no use: it drains, and `main` raises."""

        def ended(helper: "asyncio.Task[None]") -> None:
            if not helper.cancelled():
                log.error("a helper of the worker has failed", exc_info=helper.exception())
                self.drain()

        helper = asyncio.create_task(work)
        helper.add_done_callback(ended)
        return helper

    async def _poll_iteration(self) -> None:
        """Fill the free slots with what is due, or wait for something to change."""
        self._bell.silence()
        began = time.monotonic()
        free = self._free_slots
        if free <= 0 or not self._session.is_open:
            await self._bell.rung_within(None)
            return
        # If they are not dropped after all they come back after their lease, and are seen to be stale then.
        done, self._done_hints = self._done_hints, []
        try:
            lease_ms = int(self._app.settings.lease_seconds * 1000)
            async with asyncio.timeout(REDIS_PATIENCE):
                claimed = await self._app.queue.claim(self._rota.next_order(), free, lease_ms, done)
        except REDIS_ERRORS as error:
            log.warning("redis is away", error=repr(error))
            await self._bell.rung_within(REDIS_PAUSE)
            return
        if claimed.taken:
            is_full = len(claimed.taken) == free
            if is_full:
                await self._pass_on(claimed.taken[-1][0])
            await self._start(claimed.taken)
            if is_full:
                return
            await linger(len(claimed.taken), since=began)
        until_next = FALLBACK if claimed.next_due_ms is None else claimed.next_due_ms / 1000
        offered = await self._bell.offered_within(min(FALLBACK, until_next))
        if offered is not None:
            await self._start_offered(*offered)

    async def _pass_on(self, lane: Lane) -> None:
        """Wake another worker: there may be more than fits here."""
        try:
            async with asyncio.timeout(REDIS_PATIENCE):
                await self._app.queue.wake(lane)
        except REDIS_ERRORS as error:
            log.warning("redis: others look at their lanes every second", error=repr(error))

    async def _start_offered(self, lane: Lane, hint_id: str) -> None:
        """Start what came with a wake-up, before the look at the lanes: one trip less for a task that comes alone."""
        if self._free_slots <= 0 or not self._session.is_open or not self.allow_pick_jobs:
            return
        try:
            key = parse_hint_id(hint_id)
        except ValueError:
            log.warning("a wake-up that is not ours", lane=lane.key, hint=repr(hint_id))
        else:
            await self._claim({key: (lane, hint_id)})
            await asyncio.sleep(0)  # the handler comes first, then the look at the lanes

    async def _start(self, hints: Sequence[tuple[Lane, str]]) -> None:
        """Start what the hints stand for, or drop them."""
        wanted: Hints = {}
        for lane, hint_id in hints:
            try:
                key = parse_hint_id(hint_id)
            except ValueError:
                log.warning("a hint that is not ours", lane=lane.key, hint=repr(hint_id))
                self._done_hints.append((lane, hint_id))
                continue
            if self._runs_here(*key):
                self._done_hints.append((lane, hint_id))
            else:
                wanted[key] = (lane, hint_id)
        if wanted:
            await self._claim(wanted)
        if wanted:
            # Apart, so that a queue whose row is locked does not keep other lanes waiting.
            self._reserved += len(wanted)
            limited = asyncio.create_task(self._start_limited(wanted))
            self._asides.add(limited)
            limited.add_done_callback(self._aside_ended)

    def _runs_here(self, task_id: UUID, attempt: int) -> bool:
        running = self._attempts.get(task_id)
        return running is not None and running.task["attempt"] == attempt + 1

    async def _claim(self, wanted: Hints) -> None:
        """Claim the tasks behind the hints in PostgreSQL, and run those that are ours; the others stay in `wanted`."""
        wish = self._claim_of(wanted)
        tasks = await claim(self._app.database, wish)
        self._run_all(tasks, wish.session_id, wanted)

    async def _start_limited(self, wanted: Hints) -> None:
        """Start what limited queues have room for; drop the hints of the rest, which is held, stale or doubled."""
        reserved = len(wanted)
        wish = self._claim_of(wanted)
        try:
            claimed = await claim_limited(self._app.database, wish)
            self._run_all(claimed.tasks, wish.session_id, wanted)
        finally:
            self._reserved -= reserved
            self._bell.ring()
        # A task that waits in no limited queue after all gets its hint back from the sweep.
        await self._finish(list(wanted.values()))
        self._app.held.release(claimed.queues)

    def _claim_of(self, wanted: Hints) -> Claim:
        return Claim(
            self._session.id,
            self.name,
            uuid4(),
            list(wanted),
            attempt_timeout=self._app.settings.attempt_timeout,
            max_crashes=self._app.settings.max_crashes,
        )

    def _run_all(self, tasks: Sequence[Row], session_id: int, wanted: Hints) -> None:
        """Run the tasks that a session claimed, and take their hints out of `wanted`."""
        for task in tasks:
            hint = wanted.pop((task["id"], task["attempt"] - 1))
            attempt = Attempt(task, session_id, self.name)
            is_fenced = session_id != self._session.id or not self._session.is_open
            if is_fenced:
                attempt.stop(Stop.FENCED)
                self._fenced.append(attempt)
            self._attempts[task["id"]] = attempt
            attempt.run = run = asyncio.create_task(self._run(attempt, hint))
            self._runs.add(run)
            run.add_done_callback(self._ended)
        if self._session.is_open:
            self._hand_back()
        self._app.announcer.announce(Announcement(task["id"]) for task in tasks)

    async def _run(self, attempt: Attempt, hint: tuple[Lane, str]) -> None:
        try:
            await self._runner.run(attempt)
        finally:
            # Also after a defect: then a heartbeat finds that the task is not known here, and gives it back.
            if self._attempts.get(attempt.task["id"]) is attempt:
                del self._attempts[attempt.task["id"]]
            self._done_hints.append(hint)

    def _aside_ended(self, aside: asyncio.Task[None]) -> None:
        self._asides.discard(aside)
        if not aside.cancelled() and (error := aside.exception()) is not None:
            log.error("a claim or a handing back ended in a defect of the worker", exc_info=error)

    @property
    def _free_slots(self) -> int:
        return self.max_jobs - len(self._runs) - self._reserved

    def _ended(self, run: asyncio.Task[None]) -> None:
        if self._free_slots <= 0:
            self._bell.ring()
        self._runs.discard(run)
        if not run.cancelled() and (error := run.exception()) is not None:
            log.error("an attempt ended in a defect of the worker", exc_info=error)

    async def _end_attempts(self) -> None:
        """Give running attempts their grace, then hand them back for another worker."""
        grace = self._app.settings.worker_drain_grace
        if self._runs:
            log.info("draining", running=len(self._runs), grace_seconds=grace)
            await asyncio.wait(self._runs, timeout=grace)
        for attempt in list(self._attempts.values()):
            attempt.stop(Stop.DRAIN)
        if self._runs:
            # A handler that does not stop is left behind: its lease runs out, and the sweep takes over.
            await asyncio.wait(self._runs, timeout=self._app.settings.cancel_grace)
        await self._finish(self._done_hints)

    def on_fenced(self) -> None:
        for attempt in list(self._attempts.values()):
            attempt.stop(Stop.FENCED)
            self._fenced.append(attempt)
        self._attempts.clear()

    def on_cancel(self, task_id: UUID, attempt: int) -> None:
        running = self._attempts.get(task_id)
        if running is not None and running.task["attempt"] == attempt:
            running.stop(Stop.CANCEL)

    def on_opened(self, lost: int, *, blameless: bool) -> None:
        self._blameless = lost if blameless else None
        self._hand_back()
        self._bell.ring()

    def _hand_back(self) -> None:
        """Give back what was fenced off although the worker was well; the rest is the sweep's."""
        fenced, self._fenced = self._fenced, []
        attempts = [attempt for attempt in fenced if attempt.session_id == self._blameless]
        if attempts and self._blameless is not None:
            handing = asyncio.create_task(hand_back(self._app, self._blameless, attempts))
            self._asides.add(handing)
            handing.add_done_callback(self._aside_ended)

    def on_running(self, tasks: Sequence[RunningTask]) -> None:
        for task in tasks:
            if task.cancel_requested:
                self.on_cancel(task.task_id, task.attempt)
            known = self._attempts.get(task.task_id)
            if task.settled_in and (known is None or known.task["attempt"] != task.attempt):
                self._give_back(task)

    def _give_back(self, task: RunningTask) -> None:
        """Release a task that the database thinks runs here, although it does not."""
        log.error("a claimed task was not running here", task_id=str(task.task_id), attempt=task.attempt)
        # Not awaited: a heartbeat waits for nothing. The next one tells whether it took.
        self._app.settlement.put(
            Settlement(
                task_id=task.task_id,
                attempt=task.attempt,
                session_id=self._session.id,
                worker=self.name,
                status="QUEUED",
                outcome="LOST",
                message="the worker did not know it",
            )
        )

    async def _finish(self, hints: Sequence[tuple[Lane, str]]) -> None:
        try:
            async with asyncio.timeout(REDIS_PATIENCE):
                await self._app.queue.finish(hints)
        except REDIS_ERRORS as error:
            # A hint that stays comes back after its lease, and is dropped as stale then.
            log.warning("redis: hints stay for a while", hints=len(hints), error=repr(error))


async def _not_through_arq(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
    """Arq wants a function for each job name; the runs here go past it."""
    raise RuntimeError(f"a job came through arq's own run loop: {args} {kwargs} {ctx}")
