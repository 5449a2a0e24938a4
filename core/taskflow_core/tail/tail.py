"""The one reader of all logs in a process, and what it hands to those who watch a tenant."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from itertools import groupby
from typing import TypeAlias

from taskflow_core.events import EventFeed
from taskflow_core.tail.log import Log
from taskflow_core.tail.order import NO_TASK, CommitOrder, Line, Place
from taskflow_core.waiting import set_within

READ_LIMIT = 500
# Lines of one tenant kept in memory. Who is further behind reads the log on its own.
KEPT = 1000
# Seconds between two looks at events whose transactions are not settled.
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.5
QUIET = 15.0  # seconds without a ring, then a look

Batch: TypeAlias = tuple[Sequence[Line], Place]


class Tail:
    """Follows the logs of whole tenants. It reads only while somebody watches.

    However many watch, the log is read once and its lines are kept once, up to a bound: a watcher is but a
    place in them, and a slow one falls back to the log in PostgreSQL.
    """

    def __init__(self, log: Log, feed: EventFeed) -> None:
        self._log = log
        self._feed = feed
        self._tenants: dict[str, _Recent] = {}
        self._place: Place | None = None
        self._reader: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop reading, also if somebody has left a watch without ending it."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    @property
    def draining(self) -> bool:
        """The process is about to stop."""
        return self._feed.draining

    async def follow(self, tenant_id: str, place: Place, quiet: float) -> AsyncGenerator[Batch, None]:
        """The lines after `place` as they come, and where the watcher then stands.

        An empty batch says that nothing came for `quiet` seconds, or that the process drains.
        """
        with self._watching(tenant_id) as (recent, rung):
            while True:
                rung.clear()
                if not recent.reaches_back_to(place):
                    async with aclosing(self._catch_up(tenant_id, place, recent)) as batches:
                        async for lines, place in batches:  # noqa: PLR1704 - it moves on
                            if lines:
                                yield lines, place
                    if not recent.reaches_back_to(place):
                        # The reader has yet to start, and to say where.
                        await self._rings(rung, quiet)
                    continue
                lines = recent.after(place)
                if lines:
                    place = lines[-1].place
                    yield lines, place
                elif self._feed.draining or not await self._rings(rung, quiet):
                    place = max(place, self._place or place)
                    yield [], place

    async def _catch_up(self, tenant_id: str, place: Place, recent: "_Recent") -> AsyncGenerator[Batch, None]:
        """What the log has after `place`, page by page, to its end or to what is in memory."""
        order = CommitOrder(place)
        cursor = (place.low, NO_TASK, 0)
        while True:
            page = await self._log.read(cursor, READ_LIMIT, tenant_id)
            lines = order.arrange(page.rows)
            cursor = page.cursor
            if page.is_last:
                place = max(place, order.settle(cursor[0]))
            elif lines:
                place = lines[-1].place
            yield lines, place
            if page.is_last or recent.reaches_back_to(place):
                return

    async def _rings(self, rung: asyncio.Event, quiet: float) -> bool:
        is_rung = await set_within(rung, quiet)
        if self._reader is not None and self._reader.done():
            self._reader.result()  # raises what ended it
        return is_rung

    @contextmanager
    def _watching(self, tenant_id: str) -> Iterator["tuple[_Recent, asyncio.Event]"]:
        recent = self._tenants.setdefault(tenant_id, _Recent(self._place))
        rung = asyncio.Event()
        recent.watchers.add(rung)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_on())
            self._reader.add_done_callback(lambda _: self._wake_all())
        try:
            yield recent, rung
        finally:
            recent.watchers.discard(rung)
            if not recent.watchers:
                del self._tenants[tenant_id]
            if not self._tenants and self._reader is not None:
                self._reader.cancel()
                self._reader = self._place = None

    async def _read_on(self) -> None:
        """Read whatever comes, for all tenants. If the database stays away, watchers end with its error."""
        start = await self._log.start()
        order = CommitOrder(start)
        cursor = (start.low, NO_TASK, 0)
        self._place = start
        for recent in self._tenants.values():
            recent.begin(start)
        pause = FIRST_PAUSE
        with self._feed.watching_all() as rung:
            while True:
                rung.clear()
                page = await self._log.read(cursor, READ_LIMIT)
                lines = order.arrange(page.rows)
                cursor = page.cursor
                self._hand_out(lines)
                if page.is_last:
                    self._place = order.settle(cursor[0])
                elif lines:
                    self._place = lines[-1].place
                if self._feed.draining:
                    self._wake_all()
                if not page.is_last:
                    continue
                # A transaction that is open holds back those after it, and rings no bell when it is over.
                pause = FIRST_PAUSE if page.is_all or page.rows else min(pause * 2, LONGEST_PAUSE)
                await self._feed.rings(rung, QUIET if page.is_all else pause)

    def _hand_out(self, lines: Sequence[Line]) -> None:
        for tenant_id, group in groupby(lines, key=lambda line: line.row["tenant_id"]):
            recent = self._tenants.get(tenant_id)
            if recent is not None:
                recent.add(list(group))

    def _wake_all(self) -> None:
        for recent in self._tenants.values():
            recent.wake()


class _Recent:
    """The newest lines of one tenant, without a gap after `start`, and who waits for more."""

    def __init__(self, start: Place | None) -> None:
        self.start = start
        self.watchers: set[asyncio.Event] = set()
        self._lines: list[Line] = []

    def begin(self, start: Place) -> None:
        """A new reader hands out what comes after `start`."""
        self.start = start
        self._lines.clear()
        self.wake()

    def reaches_back_to(self, place: Place) -> bool:
        return self.start is not None and place >= self.start

    def after(self, place: Place) -> Sequence[Line]:
        at = bisect_right(self._lines, place, key=lambda line: line.place)
        return self._lines[at : at + READ_LIMIT]

    def add(self, lines: Sequence[Line]) -> None:
        self._lines += lines
        if len(self._lines) > 2 * KEPT:
            self.start = self._lines[-KEPT - 1].place
            del self._lines[:-KEPT]
        self.wake()

    def wake(self) -> None:
        for waiter in self.watchers:
            waiter.set()
