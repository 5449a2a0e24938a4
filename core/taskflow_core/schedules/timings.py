"""The times of schedules, read once for every change of one."""

from collections import OrderedDict
from uuid import UUID

from taskflow_core.schedules.timing import Timing, stored_timing
from taskflow_core.tasks.rows import Row

# Schedules whose times are kept in memory.
KEPT = 10_000


class Timings:
    """Remembers what the descriptions of times mean."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, tuple[int, Timing]] = OrderedDict()

    def of(self, schedule: Row) -> Timing:
        """The times of a stored schedule."""
        revision, timing = self._known.get(schedule["id"], (None, None))
        if timing is None or revision != schedule["revision"]:
            timing = stored_timing(schedule["timing"])
        self._known[schedule["id"]] = (schedule["revision"], timing)
        self._known.move_to_end(schedule["id"])
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return timing
