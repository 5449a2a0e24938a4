"""Statistics."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from taskflow_core.stats import statistics
from taskflow_core.stats.durations import Durations
from taskflow_core.stats.figures import COUNTED_KINDS, Figures
from taskflow_core.stats.overview import Overview
from taskflow_core.stats.queues import LaneStats, QueueStats
from taskflow_core.stats.schedules import ScheduleStats
from taskflow_core.stats.tasks import TaskStats
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.statistics import WebhookFigures
from taskflow_proto.v1 import stats_pb2, stats_service_pb2, task_service_pb2
from taskflow_server.pack.values import duration, id_text, timestamp

Counts = TypeVar("Counts")
WEBHOOK_COUNTS = ("total", "enabled", "disabled", "gone", "failing")


def overview(found: Overview) -> stats_pb2.Overview:
    """The whole tenant at a glance."""
    return stats_pb2.Overview(
        time=timestamp(found.time),
        tasks=_task_counts(found.states),
        submit_rate=found.submit_rate,
        finish_rate=found.finish_rate,
        failed_attempt_ratio=found.failed_attempt_ratio,
        wait_time=_durations(found.wait),
        run_time=_durations(found.run),
        oldest_wait=duration(found.oldest_wait),
        dead_letters=found.states.get("FAILED", 0),
        workers=found.workers,
        worker_slots=found.worker_slots,
        paused_queues=found.paused_queues,
        schedules=_by_status(stats_pb2.ScheduleCounts, found.schedules),
        next_fire_time=timestamp(found.next_fire_at),
        workflows=found.workflows,
        executions=_by_status(stats_pb2.ExecutionCounts, found.executions),
        webhooks=_by_status(stats_pb2.WebhookCounts, found.webhooks),
        pending_deliveries=found.pending_deliveries,
    )


def task_stats(found: TaskStats) -> stats_pb2.TaskStats:
    """Tasks over a period, with a slice for every interval."""
    return stats_pb2.TaskStats(
        start_time=timestamp(found.period.start),
        end_time=timestamp(found.period.end),
        total=_group(found.total),
        current=_task_counts(found.states),
        by_priority=[_group(figures, priority=key) for key, figures in found.by_priority.items()],
        by_task_type=[_group(figures, task_type=key) for key, figures in found.by_task_type.items()],
        by_queue=[_group(figures, queue=key) for key, figures in found.by_queue.items()],
        throughput=[_slice(start, found.throughput.get(start)) for start in found.period.slices()],
    )


def queue_stats(found: QueueStats) -> stats_pb2.QueueStats:
    """The queues and the workers now."""
    return stats_pb2.QueueStats(
        time=timestamp(found.time),
        lanes=map(_lane, found.lanes),
        workers=map(_worker, found.workers),
    )


def schedule_stats(found: ScheduleStats) -> stats_pb2.ScheduleStats:
    """Schedules over a period."""
    current = {status.lower(): count for status, count in found.current.items()}
    return stats_pb2.ScheduleStats(
        start_time=timestamp(found.start),
        end_time=timestamp(found.end),
        current=stats_pb2.ScheduleCounts(total=sum(current.values()), **current),
        total=_fires(found.total),
        by_schedule=map(_fires, found.by_schedule),
    )


def webhook_stats(found: WebhookFigures) -> stats_pb2.WebhookStats:
    """Webhooks over a period."""
    return stats_pb2.WebhookStats(
        start_time=timestamp(found.period.start),
        end_time=timestamp(found.period.end),
        current=stats_pb2.WebhookCounts(**{name: found.current[name] for name in WEBHOOK_COUNTS}),
        total=_webhook_group(found.total),
        by_webhook=map(_webhook_group, found.by_webhook),
    )


def stats_message(message: statistics.Message) -> stats_service_pb2.WatchStatsResponse:
    """One message of a watch on the overview."""
    match message:
        case statistics.KeepAlive():
            keep_alive = task_service_pb2.KeepAlive(time=timestamp(datetime.now(UTC)))
            return stats_service_pb2.WatchStatsResponse(keep_alive=keep_alive)
        case statistics.Closing():
            closing = task_service_pb2.StreamClosing(reason=message.reason)
            return stats_service_pb2.WatchStatsResponse(closing=closing)
    return stats_service_pb2.WatchStatsResponse(overview=overview(message))


def _task_counts(states: Mapping[str, int]) -> stats_pb2.TaskCounts:
    return stats_pb2.TaskCounts(
        total=sum(states.values()),
        scheduled=states.get("SCHEDULED", 0),
        queued=states.get("QUEUED", 0),
        running=states.get("RUNNING", 0),
        retrying=states.get("RETRYING", 0),
        succeeded=states.get("SUCCEEDED", 0),
        # A discarded dead letter is no longer one, but the task stays FAILED.
        failed=states.get("FAILED", 0) + states.get("DISCARDED", 0),
        cancelled=states.get("CANCELLED", 0),
    )


def _by_status(counts: Callable[..., Counts], found: Mapping[str, int]) -> Counts:
    return counts(total=sum(found.values()), **{status.lower(): count for status, count in found.items()})


def _webhook_group(row: Row) -> stats_pb2.WebhookGroupStats:
    is_total = row["webhook_id"] is None
    names = ("planned", "succeeded", "failed", "cancelled", "pending", "attempts", "failed_attempts")
    return stats_pb2.WebhookGroupStats(
        webhook_id="" if is_total else str(row["webhook_id"]),
        name="" if is_total else row["name"],
        **{name: row[name] for name in names},
        latency=_measured(row, "latency", row["latency_count"]),
        lateness=_measured(row, "lateness", row["succeeded"]),
    )


def _measured(row: Row, what: str, count: int) -> stats_pb2.DurationStats:
    if not count:
        return stats_pb2.DurationStats()
    p50, p95, p99 = map(duration, row[f"{what}_percentiles"])
    return stats_pb2.DurationStats(
        count=count,
        average=duration(row[f"{what}_average"]),
        p50=p50,
        p95=p95,
        p99=p99,
        max=duration(row[f"{what}_max"]),
    )


def _durations(found: Durations) -> stats_pb2.DurationStats:
    if not found.count:
        return stats_pb2.DurationStats()
    return stats_pb2.DurationStats(
        count=found.count,
        average=duration(found.mean),
        p50=duration(found.percentile(0.50)),
        p95=duration(found.percentile(0.95)),
        p99=duration(found.percentile(0.99)),
        max=duration(found.longest / 1e6),
    )


def _fires(row: Row) -> stats_pb2.ScheduleGroupStats:
    names = ("fired", "skipped", "missed", "dropped", "refused", "succeeded", "failed")
    lateness = stats_pb2.DurationStats()
    if row["measured"]:
        p50, p95, p99 = row["percentiles"]
        lateness = stats_pb2.DurationStats(
            count=row["measured"],
            average=duration(row["average"]),
            p50=duration(p50),
            p95=duration(p95),
            p99=duration(p99),
            max=duration(row["longest"]),
        )
    return stats_pb2.ScheduleGroupStats(
        schedule_id=id_text(row["id"]),
        name=row["name"] or "",
        lateness=lateness,
        **{name: row[name] for name in names},
    )


def _group(figures: Figures, **key: Any) -> stats_pb2.TaskGroupStats:
    counts: dict[str, Any] = {name: figures.counts[name] for name in COUNTED_KINDS}
    return stats_pb2.TaskGroupStats(
        **key,
        **counts,
        wait_time=_durations(figures.durations["wait"]),
        run_time=_durations(figures.durations["run"]),
        total_time=_durations(figures.durations["total"]),
    )


def _slice(start: datetime, figures: Figures | None) -> stats_pb2.TaskThroughput:
    counts = {} if figures is None else figures.counts
    names = ("submitted", "attempts", "succeeded", "failed", "cancelled")
    return stats_pb2.TaskThroughput(
        start_time=timestamp(start), **{name: counts.get(name, 0) for name in names}
    )


def _lane(found: LaneStats) -> stats_pb2.LaneStats:
    states = found.standing.states
    return stats_pb2.LaneStats(
        queue=found.lane.queue,
        priority=found.lane.priority,
        queued=states["QUEUED"],
        scheduled=states["SCHEDULED"],
        retrying=states["RETRYING"],
        running=states["RUNNING"],
        oldest_wait=duration(found.oldest_wait),
        start_rate=found.start_rate,
        workers=found.workers,
        paused=found.paused,
    )


def _worker(row: Row) -> stats_pb2.WorkerStats:
    return stats_pb2.WorkerStats(
        worker=row["worker"],
        queues=row["queues"],
        priorities=row["priorities"],
        slots=row["slots"],
        running=row["running"],
        start_time=timestamp(row["started_at"]),
        heartbeat_time=timestamp(row["heard_at"]),
        draining=row["draining"],
    )
