"""One order over the logs of all tasks, the same for every reader and at every time.

Events are read by the number of their transaction (xid), once no transaction with a lower one is open. Alone
that would not do: a transaction that got its number first may have waited for a row that one with a higher
number wrote, and then event 8 of a task has a lower xid than event 7. So an event whose predecessor has a
higher xid is held until that one comes, and stands right after it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from uuid import UUID

from taskflow_core.tasks.rows import Row

# Before all tasks.
NO_TASK = UUID(int=0)


@dataclass(frozen=True, order=True)
class Place:
    """Where a reader stands: it has had each event up to here, and none beyond.

    `low` is the xid from which a reader that goes on must read: lower than `xid` while events are held.
    """

    xid: int
    task_id: UUID
    sequence: int
    low: int = field(compare=False)


@dataclass(frozen=True)
class Line:
    """One event in its place. The same event is the same line, whoever has read it."""

    place: Place
    row: Row = field(compare=False)


class CommitOrder:
    """Puts events that come by rising (xid, task_id, sequence) into their places, from `start` on.

    Rows need `previous_xid`: that of the event before in the same task, if there is one.
    """

    def __init__(self, start: Place) -> None:
        self._start = start
        self._held: dict[tuple[UUID, int], Row] = {}

    def arrange(self, rows: Iterable[Row]) -> list[Line]:
        """The lines that these rows complete, in order; those up to `start` are left out."""
        lines = []
        for row in rows:
            if self._must_wait(row):
                self._held[row["task_id"], row["sequence"]] = row
                continue
            ready = [row, *self._released_by(row)]
            low = self._low(row["xid"])
            # Whoever goes on from the middle of these must hold them again.
            low_within = min(low, *(one["xid"] for one in ready))
            for one in ready:
                place = Place(
                    row["xid"], row["task_id"], one["sequence"], low if one is ready[-1] else low_within
                )
                if place > self._start:
                    lines.append(Line(place, one))
        return lines

    def settle(self, xid: int) -> Place:
        """Where the reader stands when it has read all events with lower xids."""
        # What waits for an event that should have come is of a task that was deleted meanwhile.
        for (task_id, sequence), row in sorted(self._held.items(), key=itemgetter(0)):
            if row["previous_xid"] < xid and (task_id, sequence - 1) not in self._held:
                del self._held[task_id, sequence]
        return Place(xid, NO_TASK, 0, self._low(xid))

    def _must_wait(self, row: Row) -> bool:
        previous = row["previous_xid"]
        if previous is None or previous < self._start.low:
            # There is none, or whoever came to `start` has had it.
            return False
        return previous > row["xid"] or (row["task_id"], row["sequence"] - 1) in self._held

    def _released_by(self, row: Row) -> list[Row]:
        """The events of the same task that come next, if they were held."""
        released = []
        following = row["sequence"] + 1
        while (held := self._held.pop((row["task_id"], following), None)) is not None:
            released.append(held)
            following += 1
        return released

    def _low(self, xid: int) -> int:
        return min((row["xid"] for row in self._held.values()), default=xid)
