"""Following one execution: a snapshot, then its numbered events, then why it ends; as tasks are watched."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from taskflow_core.errors import InvalidArgument, NotFound
from taskflow_core.events import EventFeed
from taskflow_core.executions.read import ExecutionReader, Whole
from taskflow_core.paging import PageTokens
from taskflow_core.states import EXECUTION_FINAL
from taskflow_core.tasks.rows import Row

Reason = Literal["FINISHED", "DRAINING", "MAX_DURATION", "DELETED"]


@dataclass(frozen=True)
class Snapshot:
    """The execution as it is. `reset`: events between the resume token and now are not kept any more."""

    token: str
    execution: Whole
    reset: bool = False


@dataclass(frozen=True)
class Event:
    """The next line of the log."""

    token: str
    event: Row


@dataclass(frozen=True)
class KeepAlive:
    """Nothing happened for a while."""

    token: str


@dataclass(frozen=True)
class Closing:
    """The last message. `execution` comes with FINISHED."""

    token: str
    reason: Reason
    execution: Whole | None = None


Message = Snapshot | Event | KeepAlive | Closing


class ExecutionWatch:
    """Watches executions; each watch ends with exactly one Closing, whatever ends it on this side."""

    def __init__(
        self,
        reader: ExecutionReader,
        feed: EventFeed,
        tokens: PageTokens,
        *,
        keep_alive: float,
        max_duration: float,
    ) -> None:
        self._reader = reader
        self._feed = feed
        self._tokens = tokens
        self._keep_alive = keep_alive
        self._max_duration = max_duration

    async def watch(
        self, tenant_id: str, execution_id: UUID, resume_token: str = ""
    ) -> AsyncGenerator[Message, None]:
        """The messages of one watch. Raises NotFound, InvalidArgument (INVALID_RESUME_TOKEN)."""
        clock = asyncio.get_running_loop().time
        # Spread, so that watches opened together do not end together.
        end = clock() + self._max_duration * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        whole = await self._reader.whole(tenant_id, execution_id)
        last = whole.row["last_sequence"]
        after = self._resume(whole.row, resume_token)
        if after is None:
            after = last
            yield Snapshot(self._token(execution_id, after), whole)
        if whole.row["status"] in EXECUTION_FINAL and after >= last:
            yield Closing(self._token(execution_id, after), "FINISHED", whole)
            return
        with suppress(NotFound):  # it was deleted between two of these reads
            async with aclosing(self._feed.follow_execution(execution_id, after, self._keep_alive)) as feed:
                async for events in feed:
                    if events and events[0]["sequence"] > after + 1:
                        # Retention has deleted what lies between.
                        whole = await self._reader.whole(tenant_id, execution_id)
                        after = whole.row["last_sequence"]
                        yield Snapshot(self._token(execution_id, after), whole, reset=True)
                    for event in events:
                        if event["sequence"] > after:
                            yield Event(self._token(execution_id, event["sequence"]), event)
                    if events:
                        after = max(after, events[-1]["sequence"])
                    reason = self._reason_to_close(events, overdue=clock() > end)
                    if reason is not None:
                        finished = reason == "FINISHED"
                        at_end = await self._reader.whole(tenant_id, execution_id) if finished else None
                        yield Closing(self._token(execution_id, after), reason, at_end)
                        return
                    if not events:
                        yield KeepAlive(self._token(execution_id, after))
        yield Closing(self._token(execution_id, after), "DELETED")

    async def wait(self, tenant_id: str, execution_id: UUID, seconds: float) -> Row:
        """The execution once it is final, or as it is after `seconds`. Raises NotFound."""
        execution = await self._reader.get(tenant_id, execution_id)
        if execution["status"] in EXECUTION_FINAL:
            return execution
        try:
            async with asyncio.timeout(seconds):
                feed = self._feed.follow_execution(execution_id, execution["last_sequence"], self._keep_alive)
                async with aclosing(feed):
                    async for events in feed:
                        if self._feed.draining or (events and events[-1]["status"] in EXECUTION_FINAL):
                            break
        except TimeoutError:
            pass  # the answer is the execution as it is now
        return await self._reader.get(tenant_id, execution_id)

    def _reason_to_close(self, events: Sequence[Row], *, overdue: bool) -> Reason | None:
        if events and events[-1]["status"] in EXECUTION_FINAL:
            return "FINISHED"
        if self._feed.draining:
            return "DRAINING"
        return "MAX_DURATION" if overdue else None

    def _token(self, execution_id: UUID, sequence: int) -> str:
        return self._tokens.encode([sequence], {"watch execution": str(execution_id)})

    def _resume(self, execution: Row, token: str) -> int | None:
        """The number of the last event that the watcher has seen; `None` if it starts anew."""
        if not token:
            return None
        try:
            (sequence,) = self._tokens.decode(token, {"watch execution": str(execution["id"])})
        except InvalidArgument:
            sequence = None
        if not isinstance(sequence, int) or sequence > execution["last_sequence"]:
            raise InvalidArgument.at(
                "resume_token",
                "is not one that a watch of this execution gave out; leave it empty to start with a snapshot",
                reason="INVALID_RESUME_TOKEN",
            )
        return sequence
