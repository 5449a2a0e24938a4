"""The whole tenant at a glance."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from taskflow_core.db import Database
from taskflow_core.queue import Lane
from taskflow_core.states import TASK_FINAL, ExecutionStatus
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


# Of executions and deliveries: so many are counted of a status, so that the overview stays quick.
MOST = 10_000

EXECUTIONS = f"""
SELECT wanted.status, (
  SELECT count(*) FROM (
    SELECT FROM workflow_executions e WHERE e.tenant_id = $1 AND e.status = wanted.status LIMIT {MOST}
  ) AS found)
FROM unnest($2::text[]) AS wanted (status)
"""  # noqa: S608 - a number

WORKFLOWS = "SELECT count(*) FROM workflows WHERE tenant_id = $1 AND deleted_at IS NULL"
SCHEDULES = """
SELECT status, count(*), min(next_fire_at) AS next_fire_at
FROM schedules WHERE tenant_id = $1 GROUP BY status
"""
WEBHOOKS = "SELECT status, count(*) FROM webhooks WHERE tenant_id = $1 GROUP BY status"
# By the index of each webhook: LATERAL, as the pool does not plan nested loops where there is another way.
PENDING_DELIVERIES = f"""
SELECT count(*) FROM (
  SELECT FROM webhooks w CROSS JOIN LATERAL (
    SELECT FROM webhook_deliveries d
    WHERE d.webhook_id = w.id AND NOT (d.status IN ('CANCELLED', 'FAILED', 'SUCCEEDED')) AND NOT d.test
    LIMIT {MOST}
  ) AS waiting
  WHERE w.tenant_id = $1 LIMIT {MOST}
) AS found
"""  # noqa: S608 - a number


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
    schedules: Mapping[str, int]  # by status
    next_fire_at: datetime | None
    workflows: int
    executions: Mapping[str, int]  # by status, at most MOST of each
    webhooks: Mapping[str, int]  # by status
    pending_deliveries: int  # at most MOST


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
        executions = await seen.connection.fetch(EXECUTIONS, tenant_id, list(ExecutionStatus))
        schedules = await seen.connection.fetch(SCHEDULES, tenant_id)
        webhooks = await seen.connection.fetch(WEBHOOKS, tenant_id)
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
            schedules={row["status"]: row["count"] for row in schedules},
            next_fire_at=min((row["next_fire_at"] for row in schedules if row["next_fire_at"]), default=None),
            workflows=await seen.connection.fetchval(WORKFLOWS, tenant_id),
            executions={row["status"]: row["count"] for row in executions},
            webhooks={row["status"]: row["count"] for row in webhooks},
            pending_deliveries=await seen.connection.fetchval(PENDING_DELIVERIES, tenant_id),
        )
