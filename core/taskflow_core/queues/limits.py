"""How much room a queue has. Pure: times are seconds since 1970, by the database's clock."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from taskflow_core.tasks.rows import Row

Task = TypeVar("Task", bound=Row)

# Attempts that started together: when, and how many.
Start = tuple[float, int]


@dataclass(frozen=True)
class Limit:
    """Most attempts that run at once, and that start in a second; `None` is no limit."""

    max_concurrency: int | None = None
    max_rate: float | None = None

    @property
    def burst(self) -> int:
        """Attempts that may start within one `window`."""
        return max(1, math.floor(self.max_rate or 0))

    @property
    def window(self) -> float:
        """Seconds: a second if the rate is a whole number, else what the rate comes to for whole attempts."""
        return self.burst / self.max_rate if self.max_rate else 0.0


class Gauge:
    """A limit, and what counts against it."""

    def __init__(self, limit: Limit, running: int, starts: Iterable[Start] = ()) -> None:
        self._limit = limit
        self._running = running
        self._starts = sorted(starts)

    def free(self, at: float) -> float:
        """Attempts that may start at this time; infinite without a limit."""
        free = math.inf
        if self._limit.max_concurrency is not None:
            free = self._limit.max_concurrency - self._running
        if self._limit.max_rate is not None:
            free = min(free, self._limit.burst - sum(count for _, count in self.recent_starts(at)))
        return max(free, 0)

    def opens_at(self, now: float) -> float:
        """When the next attempt may start if none ends; infinite if one must end first."""
        if self._limit.max_concurrency is not None and self._running >= self._limit.max_concurrency:
            return math.inf
        openings = (started + self._limit.window for started, _ in self.recent_starts(now))
        return next((at for at in (now, *openings) if self.free(at) > 0), math.inf)

    def take(self, at: float) -> None:
        """Count one more attempt that starts at this time."""
        self._running += 1
        if self._limit.max_rate is not None:
            self._starts.append((at, 1))

    def recent_starts(self, at: float) -> list[Start]:
        """What still counts against the rate at this time, added up by time."""
        counts: dict[float, int] = {}
        for started, count in self._starts:
            if started + self._limit.window > at:
                counts[started] = counts.get(started, 0) + count
        return list(counts.items())


class Room:
    """The room in one queue: for all of its tasks together, and for those of each type that has a limit."""

    def __init__(self, *, paused: bool, queue: Gauge, types: Mapping[str, Gauge]) -> None:
        self._paused = paused
        self._queue = queue
        self._types = types

    def admit(self, tasks: Iterable[Task], at: float) -> list[Task]:
        """Those that may start at this time, the first ones first. They are counted in."""
        return [task for task in tasks if self._takes(task["task_type"], at)]

    def opens_at(self, task_types: Iterable[str], now: float) -> float:
        """When a task of one of the types may start if no attempt ends; infinite if one must end first."""
        if self._paused:
            return math.inf
        return min(
            (max(gauge.opens_at(now) for gauge in self._gauges(name)) for name in task_types),
            default=math.inf,
        )

    def starts(self, at: float) -> dict[str, list[Start]]:
        """What counts against the rates at this time, by type; under the empty name, of the whole queue."""
        gauges = {"": self._queue, **self._types}
        return {name: starts for name, gauge in gauges.items() if (starts := gauge.recent_starts(at))}

    def _takes(self, task_type: str, at: float) -> bool:
        gauges = self._gauges(task_type)
        if self._paused or any(gauge.free(at) < 1 for gauge in gauges):
            return False
        for gauge in gauges:
            gauge.take(at)
        return True

    def _gauges(self, task_type: str) -> Sequence[Gauge]:
        of_type = self._types.get(task_type)
        return [self._queue] if of_type is None else [self._queue, of_type]


def room_of(queue: Row) -> Room:
    """The room in a queue as `rooms.py` reads it: its settings, `running` by type, `recent_starts` by type."""
    running: Mapping[str, int] = queue["running"]
    starts: Mapping[str, Any] = queue["recent_starts"]

    def gauge(limit: Limit, name: str, count: int) -> Gauge:
        return Gauge(limit, count, ((at, number) for at, number in starts.get(name, ())))

    return Room(
        paused=queue["status"] == "PAUSED",
        queue=gauge(Limit(queue["max_concurrency"], queue["max_rate"]), "", sum(running.values())),
        types={
            name: gauge(Limit(**limit), name, running.get(name, 0))
            for name, limit in queue["task_type_limits"].items()
        },
    )
