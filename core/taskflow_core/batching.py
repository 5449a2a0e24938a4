"""Natural batching: what arrives together is written together, and what arrives alone does not wait."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from taskflow_core.db import is_outage
from taskflow_core.errors import Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# A trip costs as much as some thirty rows. After one for several, but fewer, the next waits a little (seconds).
LINGER = 0.005
ENOUGH = 32


async def linger_after(size: int) -> None:
    """Wait after a trip of so many items, if that lets more of them share the next."""
    if 1 < size < ENOUGH:
        await asyncio.sleep(LINGER)


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
                batch = self._waiting[: self._limit]
                del self._waiting[: self._limit]
                await self._flush_or_split(batch)
                await linger_after(len(batch))
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
