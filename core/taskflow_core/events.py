"""The numbered log of every task, read live: one Redis subscription per process, fan-out in memory.

The log in PostgreSQL is the truth, and a ring says only "read again". So a lost ring costs a delay,
never an event.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from taskflow_core.batching import Shared
from taskflow_core.db import Database, until_answered
from taskflow_core.listener import Listener
from taskflow_core.queue import EVENTS_CHANNEL, Queue
from taskflow_core.tasks.rows import Row

# Many watchers read in one trip; each gets at most this many events at a time, or a row without an event if
# the task is gone.
READ_LIMIT = 200
READ = """
SELECT wanted.place, e.*
FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS wanted (id, after, place)
LEFT JOIN LATERAL (
  SELECT * FROM {events} e WHERE e.{key} = wanted.id AND e.sequence > wanted.after
  ORDER BY e.sequence LIMIT $3
) AS e ON true
WHERE e.sequence IS NOT NULL OR (SELECT t.id FROM {things} t WHERE t.id = wanted.id) IS NULL
ORDER BY wanted.place, e.sequence
"""
READ_OF_TASKS = READ.format(events="task_events", key="task_id", things="tasks")
READ_OF_EXECUTIONS = READ.format(events="execution_events", key="execution_id", things="workflow_executions")

Log = Shared[tuple[UUID, int], Sequence[Row] | None]


class EventFeed:
    """Follows the logs of tasks and of executions. Run `listen()` in the background."""

    def __init__(self, database: Database, queue: Queue) -> None:
        self._database = database
        self._listener = Listener(
            queue.redis,
            EVENTS_CHANNEL,
            on_message=self._ring,
            on_change=self._wake_all,  # whatever rang while nobody listened is in the log
            otherwise="redis: watchers read the log every second",
        )
        self._watchers: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self.draining = False
        self._everything: set[asyncio.Event] = set()
        self._log: Log = Shared(lambda batch: self._read(READ_OF_TASKS, batch))
        self._log_of_executions: Log = Shared(lambda batch: self._read(READ_OF_EXECUTIONS, batch))

    def follow(self, task_id: UUID, after: int, quiet: float) -> AsyncGenerator[Sequence[Row], None]:
        """The events of a task, as `_follow` has them."""
        return self._follow(self._log, task_id, after, quiet)

    def follow_execution(
        self, execution_id: UUID, after: int, quiet: float
    ) -> AsyncGenerator[Sequence[Row], None]:
        """The events of an execution, as `_follow` has them."""
        return self._follow(self._log_of_executions, execution_id, after, quiet)

    async def _follow(
        self, log: Log, thing_id: UUID, after: int, quiet: float
    ) -> AsyncGenerator[Sequence[Row], None]:
        """Events with numbers above `after`, in order, as they are written; it ends if their owner is deleted.

        All who follow a task from the same number get the same rows from one read.

        An empty list says that nothing came for `quiet` seconds, or that the process drains.
        """
        # The waiter is there before the log is read, so that no ring falls in between.
        with self._watching(thing_id) as rung:
            rung.set()  # for what there is already
            while True:
                is_rung = rung.is_set() or await self.rings(rung, quiet)
                rung.clear()
                rows = await log.get((thing_id, after))
                if rows is None:
                    return
                if rows:
                    after = rows[-1]["sequence"]
                    if len(rows) == READ_LIMIT:
                        rung.set()
                    yield rows
                elif self.draining or not is_rung:
                    yield rows

    def drain(self) -> None:
        """Give every reader what there is, now, and do not let it wait any more."""
        self.draining = True
        self._wake_all()

    @contextmanager
    def watching_all(self) -> Iterator[asyncio.Event]:
        """An event that is set by the ring of any task, and by a drain."""
        waiter = asyncio.Event()
        self._everything.add(waiter)
        self._listen_if_watched()
        try:
            yield waiter
        finally:
            self._everything.discard(waiter)
            self._listen_if_watched()

    async def rings(self, rung: asyncio.Event, quiet: float) -> bool:
        """Whether a ring came within `quiet` seconds; while Redis is away, within one."""
        is_late = False

        def give_up() -> None:
            nonlocal is_late
            is_late = True
            rung.set()

        # Thousands wait here: a timer is cheaper than a timeout, which interrupts.
        seconds = quiet if self._listener.is_hearing else min(quiet, 1.0)
        timer = asyncio.get_running_loop().call_later(seconds, give_up)
        try:
            await rung.wait()
        finally:
            timer.cancel()
        return not is_late

    def _wake_all(self) -> None:
        for waiters in (self._everything, *self._watchers.values()):
            for waiter in waiters:
                waiter.set()

    async def listen(self) -> None:
        """Pass rings on while somebody watches, until cancelled."""
        await self._listener.listen()

    def _listen_if_watched(self) -> None:
        self._listener.want(wanted=bool(self._everything or self._watchers))

    def _ring(self, task_ids: bytes) -> None:
        for waiter in self._everything:
            waiter.set()
        if not self._watchers:
            return
        for start in range(0, len(task_ids), 16):
            for waiter in self._watchers.get(UUID(bytes=task_ids[start : start + 16]), ()):
                waiter.set()

    @contextmanager
    def _watching(self, task_id: UUID) -> Iterator[asyncio.Event]:
        waiter = asyncio.Event()
        self._watchers[task_id].add(waiter)
        self._listen_if_watched()
        try:
            yield waiter
        finally:
            self._watchers[task_id].discard(waiter)
            if not self._watchers[task_id]:
                del self._watchers[task_id]
            self._listen_if_watched()

    async def _read(self, statement: str, batch: Sequence[tuple[UUID, int]]) -> list[Sequence[Row] | None]:
        rows = await until_answered(
            lambda: self._database.pool.fetch(
                statement, [thing_id for thing_id, _ in batch], [after for _, after in batch], READ_LIMIT
            ),
            "read events",
            give_up_after=30,
        )
        found: list[list[Row]] = [[] for _ in batch]
        for row in rows:
            found[row["place"] - 1].append(row)
        return [None if events and events[0]["sequence"] is None else events for events in found]
