"""What was counted of some tasks, and how it is kept. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from taskflow_core.stats.durations import Durations
from taskflow_core.tasks.rows import Row

# By the name of the figure: the kind of event that it counts.
COUNTED_KINDS = {
    "submitted": "CREATED",
    "attempts": "STARTED",
    "retried": "RETRYING",
    "succeeded": "SUCCEEDED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
}
# From due to started; from started to ended; from due to final.
MEASURES = ("wait", "run", "total")


class TaskGroup(NamedTuple):
    """What tasks have in common that are counted together."""

    queue: str
    priority: str
    task_type: str


class Slot(NamedTuple):
    """Where figures are kept: a row of `task_stats`."""

    tenant_id: str
    starts_at: datetime
    seconds: int
    group: TaskGroup


def _nothing_measured() -> dict[str, Durations]:
    return {measure: Durations() for measure in MEASURES}


@dataclass
class Figures:
    """Counts by name, and durations by measure."""

    counts: Counter[str] = field(default_factory=Counter)
    durations: Mapping[str, Durations] = field(default_factory=_nothing_measured)

    def add(self, other: "Figures") -> None:
        """Add what was counted of others."""
        self.counts.update(other.counts)
        for measure, durations in self.durations.items():
            durations.add_all(other.durations[measure])

    def add_row(self, row: Row) -> None:
        """Add a row of `task_stats`."""
        self.counts.update({name: row[name] for name in COUNTED_KINDS})
        for measure, durations in self.durations.items():
            durations.add(
                total=row[f"{measure}_sum"],
                longest=row[f"{measure}_max"],
                buckets=((int(bucket), count) for bucket, count in row[f"{measure}_buckets"].items()),
            )

    def columns(self) -> Iterator[Any]:
        """The values of a row of `task_stats`, in the order of its columns."""
        for name in COUNTED_KINDS:
            yield self.counts[name]
        for durations in self.durations.values():
            yield durations.total
            yield durations.longest
            yield dict(durations.buckets)
