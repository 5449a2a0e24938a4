"""Following all tasks of a tenant: those that match as they are, then the lines of their logs as they come."""

import random
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from taskflow_core.errors import InvalidArgument
from taskflow_core.paging import PageTokens
from taskflow_core.tail import Line, Place, Tail
from taskflow_core.tail.log import Log
from taskflow_core.tasks.read import FILTER_FIELDS, PageRequest, TaskReader
from taskflow_core.tasks.rows import Row
from taskflow_core.tasks.shown import shows
from taskflow_core.watch import Closing, KeepAlive, Snapshot, WatchTimes

# Tasks read at a time; they wait in memory until the watcher has taken them.
SNAPSHOTS_AT_ONCE = 100


@dataclass(frozen=True)
class SnapshotEnd:
    """All snapshots were sent. `reset`: events between the resume token and now are not kept any more."""

    token: str
    count: int
    reset: bool


@dataclass(frozen=True)
class TenantEvent:
    """A line of some task's log. The same line is equal for all watchers: what is made of it serves them all."""

    line: Line
    start: str | None  # the token, while the watch can only be started anew
    tenant_id: str = field(compare=False)
    tokens: "ResumeTokens" = field(compare=False)

    @property
    def token(self) -> str:
        if self.start is not None:
            return self.start
        return self.tokens.encode(self.tenant_id, self.line.place, self.event["created_at"])

    @property
    def event(self) -> Row:
        return self.line.row


TenantMessage = Snapshot[Row] | SnapshotEnd | TenantEvent | KeepAlive | Closing[Row]


@dataclass(frozen=True)
class ResumeTokens:
    """Tokens that hold a place in the logs of a tenant. After `kept` seconds what followed may be deleted."""

    tokens: PageTokens
    kept: float  # seconds
    now: Callable[[], datetime]

    def encode(self, tenant_id: str, place: Place, at: datetime) -> str:
        return self.tokens.encode(
            [place.low, place.xid, place.task_id, place.sequence, at], {"watch all": tenant_id}
        )

    def decode(self, tenant_id: str, token: str) -> Place | None:
        """The place; None if it is too old. Raises InvalidArgument (INVALID_RESUME_TOKEN)."""
        try:
            low, xid, task_id, sequence, at = self.tokens.decode(token, {"watch all": tenant_id})
        except (InvalidArgument, ValueError):
            raise _not_ours() from None
        if not (
            isinstance(low, int)
            and isinstance(xid, int)
            and isinstance(task_id, UUID)
            and isinstance(sequence, int)
            and isinstance(at, datetime)
        ):
            raise _not_ours()
        if self.now() - at > timedelta(seconds=self.kept):
            return None
        return Place(xid, task_id, sequence, low)


def _not_ours() -> InvalidArgument:
    return InvalidArgument.at(
        "resume_token",
        "is not one that a watch of this tenant gave out; leave it empty to start with snapshots",
        reason="INVALID_RESUME_TOKEN",
    )


class TenantWatch:
    """Watches whole tenants; each watch ends with exactly one Closing, whatever ends it on this side."""

    def __init__(
        self,
        log: Log,
        tail: Tail,
        reader: TaskReader,
        tokens: PageTokens,
        times: WatchTimes,
        *,
        kept: float,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`kept`: seconds for which events are sure to be kept."""
        self._log = log
        self._tail = tail
        self._reader = reader
        self._tokens = ResumeTokens(tokens, kept, now)
        self._times = times
        self._clock = clock

    async def close(self) -> None:
        """End what reads for the watches, also if one of them was left without being ended."""
        await self._tail.close()

    async def watch(
        self, tenant_id: str, *, filter: str = "", kinds: Collection[str] = (), resume_token: str = ""
    ) -> AsyncGenerator[TenantMessage, None]:
        """The messages of one watch. `kinds`: of events; none means all.

        Raises InvalidArgument (INVALID_FILTER, INVALID_RESUME_TOKEN).
        """
        async with aclosing(self._follow(tenant_id, filter, kinds, resume_token)) as messages:
            async for message in messages:
                handed_over = self._clock()
                yield message
                if self._clock() - handed_over > self._times.patience and not isinstance(message, Closing):
                    # Nothing is lost to it: the log has what it missed.
                    yield Closing(message.token, "SLOW_CONSUMER")
                    return

    async def _follow(
        self, tenant_id: str, filter: str, kinds: Collection[str], resume_token: str
    ) -> AsyncGenerator[TenantMessage, None]:
        # Spread, so that watches opened together do not end together.
        end = self._clock() + self._times.max_duration * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        matches = shows(filter, FILTER_FIELDS)
        place = await self._resume(tenant_id, resume_token)
        shown = _Shown()
        if place is None:
            place = await self._log.start()
            count = 0
            async with aclosing(self._matching(tenant_id, filter, place, shown)) as tasks:
                async for task in tasks:
                    count += 1
                    # Who is cut off in the middle gets all of them anew.
                    yield Snapshot(resume_token, task)
            shown.until = await self._log.end()
            token = resume_token if shown else self._token(tenant_id, place)
            yield SnapshotEnd(token, count, reset=bool(resume_token))
        async with aclosing(self._tail.follow(tenant_id, place, self._times.keep_alive)) as batches:
            async for lines, place in batches:
                for line in lines:
                    wanted = not kinds or line.row["kind"] in kinds
                    if wanted and not shown.has(line) and matches(line.row):
                        start = resume_token if shown else None
                        yield TenantEvent(line, start, tenant_id, self._tokens)
                shown.forget_before(place)
                token = resume_token if shown else self._token(tenant_id, place)
                reason = self._reason_to_close(overdue=self._clock() > end)
                if reason is not None and not lines:
                    yield Closing(token, reason)
                    return
                if not lines:
                    yield KeepAlive(token)

    async def _resume(self, tenant_id: str, token: str) -> Place | None:
        """The place that a token holds; None without one, and if it is too old."""
        place = self._tokens.decode(tenant_id, token) if token else None
        if place is not None and place.xid > await self._log.end():
            raise _not_ours()
        return place

    async def _matching(
        self, tenant_id: str, filter: str, place: Place, shown: "_Shown"
    ) -> AsyncGenerator[Row, None]:
        """The tasks that match, oldest first, page by page. Notes which of them have moved since `place`."""
        token = ""
        while True:
            page = await self._reader.list_tasks(
                tenant_id,
                PageRequest(SNAPSHOTS_AT_ONCE, token),
                filter=filter,
                order_by="create_time",
                full=False,
            )
            shown.last_events |= await self._log.since(place, page.rows)
            for row in page.rows:
                yield row
            token = page.next_page_token
            if not token:
                return

    def _reason_to_close(self, *, overdue: bool) -> Literal["DRAINING", "MAX_DURATION"] | None:
        if self._tail.draining:
            return "DRAINING"
        return "MAX_DURATION" if overdue else None

    def _token(self, tenant_id: str, place: Place) -> str:
        return self._tokens.encode(tenant_id, place, self._tokens.now())


@dataclass
class _Shown:
    """Events that a snapshot has already told: of tasks that moved while the snapshots were read.

    It is true while there may be any. A watch that is cut off meanwhile starts anew, for a place in the log
    would not say what it has been told.
    """

    last_events: dict[UUID, int] = field(default_factory=dict)
    until: int = 0  # the xid that none of them reaches

    def __bool__(self) -> bool:
        return bool(self.last_events)

    def has(self, line: Line) -> bool:
        return bool(line.row["sequence"] <= self.last_events.get(line.row["task_id"], 0))

    def forget_before(self, place: Place) -> None:
        """The watch has come so far."""
        if self.last_events and place.xid >= self.until:
            self.last_events.clear()
