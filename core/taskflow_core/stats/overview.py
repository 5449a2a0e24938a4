"""The whole tenant at a glance."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from taskflow_core.db import Database
from taskflow_core.queue import Lane
from taskflow_core.states import TASK_FINAL
from taskflow_core.stats.durations import Durations
from taskflow_core.stats.figures import COUNTED_KINDS
from taskflow_core.stats.now import Recent, Standing, recent, snapshot, standings
from taskflow_core.stats.oldest import oldest_due

FINISHED = [name for name, kind in COUNTED_KINDS.items() if kind in TASK_FINAL]

# Workers and their slots serve all tenants.
AROUND = """
SELECT
  (SELECT count(*) FROM worker_sessions WHERE ended_at IS NULL AND lease_until > now()) AS workers,
  (SELECT coalesce(sum(slots), 0) FROM worker_sessions WHERE ended_at IS NULL AND lease_until > now()) AS slots,
  (SELECT count(*) FROM queues WHERE tenant_id = $1 AND status = 'PAUSED') AS paused_queues
"""


@dataclass(frozen=True)
class Overview:
    """A tenant as of `time`. `states` counts tasks; rates are per second; `oldest_wait` is in seconds.

    `failed_attempt_ratio` is of the attempts that ended in this minute and the last one, as are `wait` and `run`.
    """

    time: datetime
    states: Mapping[str, int]
    submit_rate: float
    finish_rate: float
    failed_attempt_ratio: float
    wait: Durations
    run: Durations
    oldest_wait: float | None
    workers: int
    worker_slots: int
    paused_queues: int


async def read_overview(database: Database, tenant_id: str) -> Overview:
    """The overview as of now."""
    async with snapshot(database, tenant_id) as seen:
        all_tasks = Standing()
        queued_since: dict[Lane, datetime] = {}
        for group, standing in (await standings(seen)).items():
            all_tasks.add_all(standing)
            if standing.queued_since is not None:
                lane = Lane(group.queue, group.priority)
                queued_since[lane] = min(standing.queued_since, queued_since.get(lane, standing.queued_since))
        oldest = await oldest_due(seen, queued_since)
        happened = await recent(seen)
        [around] = await seen.connection.fetch(AROUND, tenant_id)
        lately = Recent()
        for of_group in happened.values():
            lately.add(of_group)
        both = lately.together()
        ended = both.durations["run"].count
        return Overview(
            time=seen.time,
            states=all_tasks.states,
            submit_rate=lately.rate(["submitted"]),
            finish_rate=lately.rate(FINISHED),
            failed_attempt_ratio=(both.counts["retried"] + both.counts["failed"]) / ended if ended else 0.0,
            wait=both.durations["wait"],
            run=both.durations["run"],
            oldest_wait=max(0.0, (seen.time - min(oldest.values())).total_seconds()) if oldest else None,
            workers=around["workers"],
            worker_slots=around["slots"],
            paused_queues=around["paused_queues"],
        )
