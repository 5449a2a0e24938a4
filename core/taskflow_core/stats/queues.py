"""How full the queues are now, and which workers serve them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from taskflow_core.db import Database
from taskflow_core.queue import Lane
from taskflow_core.states import TASK_FINAL, Priority, QueueStatus, TaskStatus
from taskflow_core.stats.figures import TaskGroup
from taskflow_core.stats.now import Recent, Standing, recent, snapshot, standings
from taskflow_core.stats.oldest import oldest_due
from taskflow_core.tasks.rows import Row

UNFINISHED = frozenset(TaskStatus) - TASK_FINAL

WORKERS = """
SELECT s.worker, s.queues, s.priorities, s.slots, s.started_at, s.draining,
  s.lease_until - make_interval(secs => $1) AS heard_at,
  coalesce(r.running, 0) AS running
FROM worker_sessions s LEFT JOIN (
  SELECT session_id, count(*) AS running FROM tasks WHERE status = 'RUNNING' GROUP BY session_id
) AS r ON r.session_id = s.id
WHERE s.ended_at IS NULL AND s.lease_until > now()
ORDER BY s.worker, s.id
"""
PAUSED = f"SELECT name FROM queues WHERE tenant_id = $1 AND status = '{QueueStatus.PAUSED}'"  # noqa: S608 - a word


@dataclass
class LaneStats:
    """One lane. `oldest_wait` is in seconds, `start_rate` in attempts a second over the last minute."""

    lane: Lane
    standing: Standing = field(default_factory=Standing)
    recent: Recent = field(default_factory=Recent)
    oldest_wait: float | None = None
    workers: int = 0
    paused: bool = False

    @property
    def start_rate(self) -> float:
        return self.recent.rate(["attempts"])


@dataclass(frozen=True)
class QueueStats:
    """The queues as of `time`; `workers` are rows."""

    time: datetime
    lanes: Sequence[LaneStats]
    workers: Sequence[Row]


async def read_queue_stats(
    database: Database, tenant_id: str, queue: str, *, lease_seconds: float
) -> QueueStats:
    """The lanes with unfinished tasks or live workers, of one queue or of all if the name is empty."""
    async with snapshot(database, tenant_id) as seen:
        workers = await seen.connection.fetch(WORKERS, lease_seconds)
        lanes = _lanes(await standings(seen), workers)
        for group, happened in (await recent(seen)).items():
            if (lane := Lane(group.queue, group.priority)) in lanes:
                lanes[lane].recent.add(happened)
        oldest = await oldest_due(seen, _queued_since(lanes))
        paused = {row["name"] for row in await seen.connection.fetch(PAUSED, tenant_id)}
    for lane, stats in lanes.items():
        stats.paused = lane.queue in paused
        if lane in oldest:
            stats.oldest_wait = max(0.0, (seen.time - oldest[lane]).total_seconds())
    return QueueStats(
        seen.time,
        [lanes[lane] for lane in sorted(lanes, key=_place) if queue in ("", lane.queue)],
        [worker for worker in workers if not queue or queue in worker["queues"]],
    )


def _lanes(standing: Mapping[TaskGroup, Standing], workers: Sequence[Row]) -> dict[Lane, LaneStats]:
    """The lanes that have unfinished tasks or live workers, with how many of each."""
    lanes: dict[Lane, LaneStats] = {}

    def lane_of(queue: str, priority: str) -> LaneStats:
        lane = Lane(queue, priority)
        return lanes.setdefault(lane, LaneStats(lane))

    for group, of_group in standing.items():
        if UNFINISHED & of_group.states.keys():
            lane_of(group.queue, group.priority).standing.add_all(of_group)
    for worker in workers:
        for queue in worker["queues"]:
            for priority in worker["priorities"]:
                lane_of(queue, priority).workers += 1
    return lanes


def _queued_since(lanes: Mapping[Lane, LaneStats]) -> dict[Lane, datetime]:
    since = {lane: stats.standing.queued_since for lane, stats in lanes.items()}
    return {lane: minute for lane, minute in since.items() if minute is not None}


def _place(lane: Lane) -> tuple[str, int]:
    return lane.queue, list(Priority).index(Priority(lane.priority))
