"""Following one task: a snapshot, then its numbered events, then why it ends."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.errors import InvalidArgument, NotFound
from taskflow_core.events import EventFeed
from taskflow_core.paging import PageTokens
from taskflow_core.states import TASK_FINAL
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.rows import Row


@dataclass(frozen=True)
class Snapshot:
    """The task as it is. `reset`: events between the resume token and now are not kept any more."""

    token: str
    task: Row
    reset: bool = False


@dataclass(frozen=True)
class Event:
    """The next line of the log. The same line is equal for all watchers: what is made of it serves them all."""

    task_id: UUID
    sequence: int
    event: Row = field(compare=False)
    tokens: PageTokens = field(compare=False)

    @property
    def token(self) -> str:
        return _token(self.tokens, self.task_id, self.sequence)


@dataclass(frozen=True)
class KeepAlive:
    """Nothing happened for a while."""

    token: str


@dataclass(frozen=True)
class Closing:
    """The last message. `task` comes with FINISHED."""

    token: str
    reason: Literal["FINISHED", "DRAINING", "SLOW_CONSUMER", "MAX_DURATION", "DELETED"]
    task: Row | None = None


Message = Snapshot | Event | KeepAlive | Closing


class _Thinner:
    """Leaves out progress that comes sooner than a watcher wants it."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = 0.0

    def passes(self, event: Row, now: float) -> bool:
        if event["kind"] != "PROGRESS":
            return True
        if now < self._next:
            return False
        self._next = now + self._interval
        return True


class TaskWatch:
    """Watches tasks; each watch ends with exactly one Closing, whatever ends it on this side."""

    def __init__(
        self,
        database: Database,
        feed: EventFeed,
        tokens: PageTokens,
        *,
        keep_alive: float,
        max_duration: float,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`patience`: seconds for which a reader may leave a message untaken. The other times are seconds, too."""
        self._database = database
        self._feed = feed
        self._tokens = tokens
        self._keep_alive = keep_alive
        self._max_duration = max_duration
        self._patience = patience
        self._clock = clock

    def drain(self) -> None:
        """End all watches: their clients are to reconnect elsewhere."""
        self._feed.drain()

    async def watch(
        self, tenant_id: str, task_id: UUID, resume_token: str = "", min_progress_interval: float = 0.0
    ) -> AsyncGenerator[Message, None]:
        """The messages of one watch. Raises NotFound, InvalidArgument (INVALID_RESUME_TOKEN).

        Nothing is read ahead of the reader by more than one look at the log, so a slow one costs no memory.
        """
        async with aclosing(
            self._follow(tenant_id, task_id, resume_token, min_progress_interval)
        ) as messages:
            async for message in messages:
                handed_over = self._clock()
                yield message
                if self._clock() - handed_over > self._patience and not isinstance(message, Closing):
                    async for last in self._part_with(tenant_id, task_id, message):
                        yield last
                    return

    async def _follow(
        self, tenant_id: str, task_id: UUID, resume_token: str, min_progress_interval: float
    ) -> AsyncGenerator[Message, None]:
        clock = self._clock
        # Spread, so that watches opened together do not end together.
        end = clock() + self._max_duration * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        thinner = _Thinner(min_progress_interval)
        task = await get_task(self._database, tenant_id, task_id)
        after = self._resume(task, resume_token)
        if after is None:
            after = task["last_sequence"]
            yield Snapshot(self._token(task_id, after), task)
        if task["status"] in TASK_FINAL and after >= task["last_sequence"]:
            yield Closing(self._token(task_id, after), "FINISHED", task)
            return
        with suppress(NotFound):  # it was deleted between two of these reads
            async with aclosing(self._feed.follow(task_id, after, self._keep_alive)) as feed:
                async for events in feed:
                    if events and events[0]["sequence"] > after + 1:
                        # Retention has deleted what lies between.
                        task = await get_task(self._database, tenant_id, task_id)
                        after = task["last_sequence"]
                        yield Snapshot(self._token(task_id, after), task, reset=True)
                    for event in events:
                        if event["sequence"] > after and thinner.passes(event, clock()):
                            yield Event(task_id, event["sequence"], event, self._tokens)
                    if events:
                        after = max(after, events[-1]["sequence"])
                    reason = self._reason_to_close(events, overdue=clock() > end)
                    if reason is not None:
                        task = await get_task(self._database, tenant_id, task_id)
                        yield Closing(
                            self._token(task_id, after), reason, task if reason == "FINISHED" else None
                        )
                        return
                    if not events:
                        yield KeepAlive(self._token(task_id, after))
        yield Closing(self._token(task_id, after), "DELETED")

    async def _part_with(self, tenant_id: str, task_id: UUID, last: Message) -> AsyncGenerator[Message, None]:
        """The end of a watch whose reader is too slow: the task as it is by now, instead of all that it missed."""
        try:
            task = await get_task(self._database, tenant_id, task_id)
        except NotFound:
            yield Closing(last.token, "DELETED")
            return
        token = self._token(task_id, task["last_sequence"])
        if token != last.token:
            yield Snapshot(token, task, reset=True)
        if task["status"] in TASK_FINAL:
            yield Closing(token, "FINISHED", task)
        else:
            yield Closing(token, "SLOW_CONSUMER")

    async def wait(self, tenant_id: str, task_id: UUID, seconds: float) -> Row:
        """The task once it is final, or as it is after `seconds`. Raises NotFound."""
        task = await get_task(self._database, tenant_id, task_id)
        if task["status"] in TASK_FINAL:
            return task
        try:
            async with asyncio.timeout(seconds):
                async with aclosing(
                    self._feed.follow(task_id, task["last_sequence"], self._keep_alive)
                ) as feed:
                    async for events in feed:
                        if self._feed.draining or (events and events[-1]["status"] in TASK_FINAL):
                            break
        except TimeoutError:
            pass  # the answer is the task as it is now
        return await get_task(self._database, tenant_id, task_id)

    def _reason_to_close(
        self, events: Sequence[Row], *, overdue: bool
    ) -> Literal["FINISHED", "DRAINING", "MAX_DURATION"] | None:
        if events and events[-1]["status"] in TASK_FINAL:
            return "FINISHED"
        if self._feed.draining:
            return "DRAINING"
        return "MAX_DURATION" if overdue else None

    def _token(self, task_id: UUID, sequence: int) -> str:
        return _token(self._tokens, task_id, sequence)

    def _resume(self, task: Row, token: str) -> int | None:
        """The number of the last event that the watcher has seen; `None` if it starts anew."""
        if not token:
            return None
        try:
            (sequence,) = self._tokens.decode(token, {"watch": str(task["id"])})
        except InvalidArgument:
            sequence = None
        if not isinstance(sequence, int) or sequence > task["last_sequence"]:
            raise InvalidArgument.at(
                "resume_token",
                "is not one that a watch of this task gave out; leave it empty to start with a snapshot",
                reason="INVALID_RESUME_TOKEN",
            )
        return sequence


def _token(tokens: PageTokens, task_id: UUID, sequence: int) -> str:
    return tokens.encode([sequence], {"watch": str(task_id)})
