"""Natural batching: what arrives together is written together, and what arrives alone does not wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from taskflow_core.db import is_outage
from taskflow_core.errors import Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# A trip costs as much as some tens of rows, and some flushes are many trips to the database. After one for several,
# but fewer, the next waits, at most so long (seconds).
LINGER = 0.05
ENOUGH = 100


async def linger(size: int, *, since: float) -> None:
    """Wait after a trip of so many items that began at `since` (of `time.monotonic`) if more may share the next.

    It is as long as the trip took: next to nothing in an idle service, while a busy one collects more and gets less
    to do.
    """
    if 1 < size < ENOUGH:
        await asyncio.sleep(min(LINGER, time.monotonic() - since))


class Batcher(Generic[Item, Answer]):
    """Collects items while a flush is in flight, and flushes at once when none is.

    `flush` takes up to `limit` items and answers with one value for each, in order; a value that is an
    exception is raised to that item's caller alone. When `flush` itself raises, the batch is split in
    halves until the items at fault stand alone, so that one bad row cannot fail its neighbours: `flush`
    must therefore do all or nothing.

    Where items come in numbers a flush waits a moment after the one before, so that more of them share a trip;
    what comes alone goes at once. An idle batcher costs nothing.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        limit: int = 500,
        writers: int = 1,
    ) -> None:
        self._flush = flush
        self._limit = limit
        self._idle_writers = writers
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._flushes: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Answer:
        """Write one item with whatever else is there, and return its answer or raise its error."""
        return await self.put(item)

    def put(self, item: Item) -> "asyncio.Future[Answer]":
        """Hand an item over without waiting; the future has its answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._idle_writers:
            # A task starts on the loop's next turn, so all that is submitted in this one joins it.
            self._start_flush()
        return future

    async def drain(self) -> None:
        """Wait until everything handed over has been answered."""
        while self._flushes:
            await asyncio.wait(self._flushes)

    def _start_flush(self) -> None:
        self._idle_writers -= 1
        task = asyncio.create_task(self._flush_waiting())
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _flush_waiting(self) -> None:
        try:
            while self._waiting:
                began = time.monotonic()
                batch = self._waiting[: self._limit]
                del self._waiting[: self._limit]
                await self._flush_or_split(batch)
                await linger(len(batch), since=began)
        finally:
            # In the same step that saw nothing waiting: an item that comes next finds this writer idle.
            self._idle_writers += 1

    async def _flush_or_split(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers = await self._flush([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is raised to the callers
            # What says nothing about a single item goes to every caller.
            if len(batch) == 1 or isinstance(error, Unavailable) or is_outage(error):
                answers = [error] * len(batch)
            else:
                middle = len(batch) // 2
                await self._flush_or_split(batch[:middle])
                await self._flush_or_split(batch[middle:])
                return
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # its caller has gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


Key = TypeVar("Key", bound=Hashable)


class Shared(Generic[Key, Answer]):
    """Batched reads, where all who ask for the same before it is read get one answer."""

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[Sequence[Answer | Exception]]]) -> None:
        self._read = read
        self._asked: dict[Key, asyncio.Future[Answer]] = {}
        self._batcher: Batcher[Key, Answer] = Batcher(self._flush, writers=2)

    async def get(self, key: Key) -> Answer:
        """What a read that starts from now on says of `key`, or raises."""
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = self._batcher.put(key)
        # One who goes away does not take the answer from the others.
        return await asyncio.shield(answer)

    async def _flush(self, keys: Sequence[Key]) -> Sequence[Answer | Exception]:
        # Who asks from here on is told what is read after this.
        for key in keys:
            self._asked.pop(key, None)
        return await self._read(keys)
