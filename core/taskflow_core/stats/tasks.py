"""Tasks over a period: by priority, type and queue, and over time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from taskflow_core.db import Database
from taskflow_core.states import Priority
from taskflow_core.stats.figures import COUNTED_KINDS, MEASURES, Figures, TaskGroup
from taskflow_core.stats.now import Snapshot, Standing, snapshot, standings
from taskflow_core.stats.period import Period, period

# Most task types, and most queues, that are told apart.
MOST_GROUPS = 100

WITHIN = """
tenant_id = $1 AND starts_at >= $2 AND starts_at < $3
  AND ($4::text IS NULL OR queue = $4) AND ($5::text IS NULL OR priority = $5)
  AND ($6::text IS NULL OR task_type = $6)
"""
SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in COUNTED_KINDS)
TOTALS = f"""
SELECT queue, priority, task_type, {SUMS},
  {", ".join(f"sum({m}_sum)::bigint AS {m}_sum, max({m}_max) AS {m}_max" for m in MEASURES)}
FROM task_stats WHERE {WITHIN} GROUP BY queue, priority, task_type
"""  # noqa: S608 - the words are our own
BUCKETS = f"""
SELECT queue, priority, task_type, measure, bucket, sum(n::bigint)::bigint AS n
FROM task_stats,
  LATERAL (VALUES {", ".join(f"('{m}', {m}_buckets)" for m in MEASURES)}) AS measures (measure, buckets),
  LATERAL jsonb_each_text(buckets) AS counts (bucket, n)
WHERE {WITHIN} GROUP BY queue, priority, task_type, measure, bucket
"""  # noqa: S608 - the words are our own
OVER_TIME = f"""
SELECT date_bin($7, starts_at, $2) AS slice, {SUMS} FROM task_stats WHERE {WITHIN} GROUP BY slice
"""  # noqa: S608 - the words are our own


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks; `None` for all."""

    queue: str | None = None
    priority: str | None = None
    task_type: str | None = None

    def matches(self, group: TaskGroup) -> bool:
        wanted = (self.queue, self.priority, self.task_type)
        return all(one is None or one == other for one, other in zip(wanted, group, strict=True))


@dataclass(frozen=True)
class TaskStats:
    """Figures of a period. `states` counts the tasks of now; `throughput` has only slices with anything in them."""

    period: Period
    states: Mapping[str, int]
    total: Figures
    by_priority: Mapping[str, Figures]
    by_task_type: Mapping[str, Figures]
    by_queue: Mapping[str, Figures]
    throughput: Mapping[datetime, Figures]


async def read_task_stats(
    database: Database,
    tenant_id: str,
    wanted: TaskFilter,
    *,
    start: datetime | None,
    end: datetime | None,
    interval: timedelta | None,
) -> TaskStats:
    """Figures over the period that is asked for. Raises InvalidArgument."""
    async with snapshot(database, tenant_id) as seen:
        cut = period(start, end, interval, now=seen.now)
        groups = await _groups(seen, cut, wanted)
        throughput = await _throughput(seen, cut, wanted)
        for slot, figures in seen.tail.figures.items():
            if cut.start <= slot.starts_at < cut.end and wanted.matches(slot.group):
                groups[slot.group].add(figures)
                throughput[cut.slice_of(slot.starts_at)].add(figures)
        present = Standing()
        for group, standing in (await standings(seen)).items():
            if wanted.matches(group):
                present.add_all(standing)
    by_priority, by_task_type, by_queue = _by(groups)
    total = Figures()
    for figures in by_priority.values():
        total.add(figures)
    return TaskStats(
        cut,
        present.states,
        total,
        {priority: by_priority[priority] for priority in Priority if priority in by_priority},
        _most_submitted(by_task_type),
        _most_submitted(by_queue),
        throughput,
    )


async def _groups(seen: Snapshot, cut: Period, wanted: TaskFilter) -> defaultdict[TaskGroup, Figures]:
    groups: defaultdict[TaskGroup, Figures] = defaultdict(Figures)
    arguments = _arguments(seen, cut, wanted)
    for row in await seen.connection.fetch(TOTALS, *arguments):
        figures = groups[TaskGroup(row["queue"], row["priority"], row["task_type"])]
        figures.counts.update({name: row[name] for name in COUNTED_KINDS})
        for measure, durations in figures.durations.items():
            durations.add(total=row[f"{measure}_sum"], longest=row[f"{measure}_max"], buckets=())
    for row in await seen.connection.fetch(BUCKETS, *arguments):
        figures = groups[TaskGroup(row["queue"], row["priority"], row["task_type"])]
        bucket = (int(row["bucket"]), row["n"])
        figures.durations[row["measure"]].add(total=0, longest=0, buckets=[bucket])
    return groups


async def _throughput(seen: Snapshot, cut: Period, wanted: TaskFilter) -> defaultdict[datetime, Figures]:
    slices: defaultdict[datetime, Figures] = defaultdict(Figures)
    arguments = _arguments(seen, cut, wanted)
    for row in await seen.connection.fetch(OVER_TIME, *arguments, cut.interval):
        slices[row["slice"]].counts.update({name: row[name] for name in COUNTED_KINDS})
    return slices


def _arguments(seen: Snapshot, cut: Period, wanted: TaskFilter) -> Sequence[object]:
    return seen.tenant_id, cut.start, cut.end, wanted.queue, wanted.priority, wanted.task_type


def _by(groups: Mapping[TaskGroup, Figures]) -> Sequence[Mapping[str, Figures]]:
    """The figures by priority, by task type, and by queue."""
    by: Sequence[defaultdict[str, Figures]] = [defaultdict(Figures) for _ in range(3)]
    for group, figures in groups.items():
        for place, key in enumerate((group.priority, group.task_type, group.queue)):
            by[place][key].add(figures)
    return by


def _most_submitted(by: Mapping[str, Figures]) -> Mapping[str, Figures]:
    names = sorted(by, key=lambda name: (-by[name].counts["submitted"], name))
    return {name: by[name] for name in names[:MOST_GROUPS]}
