"""Following one thing that keeps a numbered log: a snapshot, then its events, then why it ends.

Tasks and executions are followed in the same way; `Watched` has what differs.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Hashable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar
from uuid import UUID

from taskflow_core.batching import Shared
from taskflow_core.errors import InvalidArgument, NotFound
from taskflow_core.events import EventFeed
from taskflow_core.paging import PageTokens
from taskflow_core.tasks.rows import Row

Subject = TypeVar("Subject")

Reason = Literal["FINISHED", "DRAINING", "SLOW_CONSUMER", "MAX_DURATION", "DELETED"]


@dataclass(frozen=True)
class Watched(Generic[Subject]):
    """A kind of thing that can be watched. The readers raise NotFound."""

    noun: str
    mark: str  # in resume tokens
    final: Collection[str]  # the statuses that end a watch
    read: Callable[[str, UUID], Awaitable[Subject]]  # by tenant and id
    read_row: Callable[[str, UUID], Awaitable[Row]]  # the same, but only its own row
    row: Callable[[Subject], Row]
    follow: Callable[[UUID, int, float], AsyncGenerator[Sequence[Row], None]]  # of an EventFeed
    progress_of: Callable[[Row], Hashable]  # what an event is a progress report of; None if it is none


@dataclass(frozen=True)
class WatchTimes:
    """All in seconds. `patience`: for which a reader may leave a message untaken."""

    keep_alive: float
    max_duration: float
    patience: float


@dataclass(frozen=True)
class Snapshot(Generic[Subject]):
    """The thing as it is. `reset`: events between the resume token and now are not kept any more."""

    token: str
    subject: Subject
    reset: bool = False


@dataclass(frozen=True)
class Event:
    """The next line of the log. The same line is equal for all watchers: what is made of it serves them all."""

    subject_id: UUID
    sequence: int
    event: Row = field(compare=False)
    tokens: "ResumeTokens" = field(compare=False)

    @property
    def token(self) -> str:
        return self.tokens.encode(self.subject_id, self.sequence)


@dataclass(frozen=True)
class KeepAlive:
    """Nothing happened for a while."""

    token: str


@dataclass(frozen=True)
class Closing(Generic[Subject]):
    """The last message. `subject` comes with FINISHED."""

    token: str
    reason: Reason
    subject: Subject | None = None


Message: TypeAlias = Snapshot[Subject] | Event | KeepAlive | Closing[Subject]


@dataclass(frozen=True)
class ResumeTokens:
    """Tokens that hold a number in the log of one thing."""

    tokens: PageTokens
    noun: str
    mark: str

    def encode(self, subject_id: UUID, sequence: int) -> str:
        return self.tokens.encode([sequence], {self.mark: str(subject_id)})

    def decode(self, row: Row, token: str) -> int | None:
        """The number of the last event that the watcher has seen; None without a token.

        Raises InvalidArgument (INVALID_RESUME_TOKEN).
        """
        if not token:
            return None
        try:
            (sequence,) = self.tokens.decode(token, {self.mark: str(row["id"])})
        except InvalidArgument:
            sequence = None
        if not isinstance(sequence, int) or sequence > row["last_sequence"]:
            raise InvalidArgument.at(
                "resume_token",
                f"is not one that a watch of this {self.noun} gave out; leave it empty to start with a snapshot",
                reason="INVALID_RESUME_TOKEN",
            )
        return sequence


class _Thinner:
    """Leaves out progress that comes sooner than a watcher wants it."""

    def __init__(self, progress_of: Callable[[Row], Hashable], interval: float) -> None:
        self._progress_of = progress_of
        self._interval = interval
        self._next: dict[Hashable, float] = {}

    def passes(self, event: Row, now: float) -> bool:
        if not self._interval:
            return True
        reporter = self._progress_of(event)
        if reporter is None:
            return True
        if now < self._next.get(reporter, now):
            return False
        self._next[reporter] = now + self._interval
        return True


class Watch(Generic[Subject]):
    """Watches things of one kind; each watch ends with exactly one Closing, whatever ends it on this side."""

    def __init__(
        self,
        watched: Watched[Subject],
        feed: EventFeed,
        tokens: PageTokens,
        times: WatchTimes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watched = watched
        self._feed = feed
        self._tokens = ResumeTokens(tokens, watched.noun, watched.mark)
        self._times = times
        self._clock = clock
        # Those who watch the same thing open together after a restart, and end together: they share one read.
        self._reads: Shared[tuple[str, UUID], Subject] = Shared(self._read_all)

    async def watch(
        self, tenant_id: str, subject_id: UUID, resume_token: str = "", min_progress_interval: float = 0.0
    ) -> AsyncGenerator[Message[Subject], None]:
        """The messages of one watch. Raises NotFound, InvalidArgument (INVALID_RESUME_TOKEN).

        Nothing is read ahead of the reader by more than one look at the log, so a slow one costs no memory.
        """
        async with aclosing(
            self._follow(tenant_id, subject_id, resume_token, min_progress_interval)
        ) as messages:
            async for message in messages:
                handed_over = self._clock()
                yield message
                if self._clock() - handed_over > self._times.patience and not isinstance(message, Closing):
                    async for last in self._part_with(tenant_id, subject_id, message):
                        yield last
                    return

    async def _follow(
        self, tenant_id: str, subject_id: UUID, resume_token: str, min_progress_interval: float
    ) -> AsyncGenerator[Message[Subject], None]:
        clock, watched = self._clock, self._watched
        # Spread, so that watches opened together do not end together.
        end = clock() + self._times.max_duration * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        thinner = _Thinner(watched.progress_of, min_progress_interval)
        subject = await self._reads.get((tenant_id, subject_id))
        row = watched.row(subject)
        after = self._tokens.decode(row, resume_token)
        if after is None:
            after = row["last_sequence"]
            yield Snapshot(self._token(subject_id, after), subject)
        if row["status"] in watched.final and after >= row["last_sequence"]:
            yield Closing(self._token(subject_id, after), "FINISHED", subject)
            return
        # What a watcher needs no more is not kept while it waits.
        del subject, row
        with suppress(NotFound):  # it was deleted between two of these reads
            async with aclosing(watched.follow(subject_id, after, self._times.keep_alive)) as feed:
                async for events in feed:
                    if events and events[0]["sequence"] > after + 1:
                        # Retention has deleted what lies between.
                        snapshot = await self._snapshot(tenant_id, subject_id)
                        after = watched.row(snapshot.subject)["last_sequence"]
                        yield snapshot
                    for event in events:
                        if event["sequence"] > after and thinner.passes(event, clock()):
                            yield Event(subject_id, event["sequence"], event, self._tokens)
                    if events:
                        after = max(after, events[-1]["sequence"])
                    reason = self._reason_to_close(events, overdue=clock() > end)
                    if reason is not None:
                        is_end = reason == "FINISHED"
                        at_end = await self._reads.get((tenant_id, subject_id)) if is_end else None
                        yield Closing(self._token(subject_id, after), reason, at_end)
                        return
                    if not events:
                        yield KeepAlive(self._token(subject_id, after))
        yield Closing(self._token(subject_id, after), "DELETED")

    async def _part_with(
        self, tenant_id: str, subject_id: UUID, last: Message[Subject]
    ) -> AsyncGenerator[Message[Subject], None]:
        """The end of a watch whose reader is too slow: the thing as it is by now, instead of all that it missed."""
        try:
            snapshot = await self._snapshot(tenant_id, subject_id)
        except NotFound:
            yield Closing(last.token, "DELETED")
            return
        if snapshot.token != last.token:
            yield snapshot
        if self._watched.row(snapshot.subject)["status"] in self._watched.final:
            yield Closing(snapshot.token, "FINISHED", snapshot.subject)
        else:
            yield Closing(snapshot.token, "SLOW_CONSUMER")

    async def wait(self, tenant_id: str, subject_id: UUID, seconds: float) -> Row:
        """Its row once it is final, or as it is after `seconds`. Raises NotFound."""
        watched = self._watched
        row = await watched.read_row(tenant_id, subject_id)
        if row["status"] in watched.final:
            return row
        try:
            async with asyncio.timeout(seconds):
                feed = watched.follow(subject_id, row["last_sequence"], self._times.keep_alive)
                async with aclosing(feed):
                    async for events in feed:
                        if self._feed.draining or (events and events[-1]["status"] in watched.final):
                            break
        except TimeoutError:
            pass  # the answer is the row as it is now
        return await watched.read_row(tenant_id, subject_id)

    async def _snapshot(self, tenant_id: str, subject_id: UUID) -> Snapshot[Subject]:
        """The thing as it is, for a watcher that has missed events."""
        subject = await self._reads.get((tenant_id, subject_id))
        token = self._token(subject_id, self._watched.row(subject)["last_sequence"])
        return Snapshot(token, subject, reset=True)

    async def _read_all(self, keys: Sequence[tuple[str, UUID]]) -> list[Subject | Exception]:
        async def one(tenant_id: str, subject_id: UUID) -> Subject | Exception:
            try:
                return await self._watched.read(tenant_id, subject_id)
            except Exception as error:  # noqa: BLE001 - it is raised to those who asked
                return error

        return await asyncio.gather(*(one(*key) for key in keys))

    def _reason_to_close(self, events: Sequence[Row], *, overdue: bool) -> Reason | None:
        if events and events[-1]["status"] in self._watched.final:
            return "FINISHED"
        if self._feed.draining:
            return "DRAINING"
        return "MAX_DURATION" if overdue else None

    def _token(self, subject_id: UUID, sequence: int) -> str:
        return self._tokens.encode(subject_id, sequence)
