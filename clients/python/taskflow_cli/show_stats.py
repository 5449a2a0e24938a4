"""Statistics, for people."""

from collections.abc import Iterable, Sequence

from google.protobuf.duration_pb2 import Duration
from rich.markup import escape
from rich.table import Table

from taskflow_cli.show import coloured, console, local, print_table, table_of
from taskflow_client import DurationStats, LaneStats, Overview, Task, TaskGroupStats, TaskStats
from taskflow_proto.v1.stats_pb2 import WebhookStats, WorkerStats

BARS = " ▁▂▃▄▅▆▇█"


def print_overview(overview: Overview) -> None:
    """Everything at a glance."""
    tasks = overview.tasks
    counts = {
        "SCHEDULED": tasks.scheduled,
        "QUEUED": tasks.queued,
        "RUNNING": tasks.running,
        "RETRYING": tasks.retrying,
        "SUCCEEDED": tasks.succeeded,
        "FAILED": tasks.failed,
        "CANCELLED": tasks.cancelled,
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("time", local(overview.time))
    table.add_row("tasks", f"{tasks.total:,}")
    for status, count in counts.items():
        if count:
            table.add_row("", f"{count:,} {coloured(status)}")
    table.add_row("dead letters", f"{overview.dead_letters:,}")
    table.add_row("rates", f"{overview.submit_rate:,.1f} submitted/s, {overview.finish_rate:,.1f} finished/s")
    table.add_row("failed attempts", f"{overview.failed_attempt_ratio:.1%}")
    table.add_row("wait", _durations(overview.wait_time))
    table.add_row("run", _durations(overview.run_time))
    if overview.HasField("oldest_wait"):
        table.add_row("oldest waits", _span(overview.oldest_wait))
    table.add_row("workers", f"{overview.workers} with {overview.worker_slots} slots")
    if overview.paused_queues:
        table.add_row("paused queues", f"[yellow]{overview.paused_queues}[/]")
    if overview.schedules.total:
        active = f"{overview.schedules.active:,} of {overview.schedules.total:,} active"
        following = f", the next fires {local(overview.next_fire_time)}" if overview.schedules.active else ""
        table.add_row("schedules", active + following)
    if overview.workflows:
        running = overview.executions.running + overview.executions.compensating
        table.add_row("workflows", f"{overview.workflows:,}, {running:,} executions under way")
    if overview.webhooks.total:
        enabled = f"{overview.webhooks.enabled:,} of {overview.webhooks.total:,} enabled"
        table.add_row("webhooks", f"{enabled}, {overview.pending_deliveries:,} deliveries to go")
    console.print(table)


def print_webhook_stats(stats: WebhookStats) -> None:
    """All webhooks, then each of them."""
    table = table_of(
        "webhook", "planned", "succeeded", "failed", "cancelled", "pending", "attempts", "latency", "lateness"
    )
    for group in [stats.total, *stats.by_webhook]:
        counts = (
            group.planned,
            group.succeeded,
            group.failed,
            group.cancelled,
            group.pending,
            group.attempts,
        )
        table.add_row(
            escape(group.name) if group.webhook_id else "all",
            *(f"{count:,}" for count in counts),
            _durations(group.latency),
            _durations(group.lateness),
        )
    print_table(table)


def print_task_stats(stats: TaskStats) -> None:
    """Each group in a line, and how much was submitted and finished over time."""
    table = table_of(
        "of", "submitted", "attempts", "retried", "succeeded", "failed", "cancelled", "wait", "run"
    )
    groups = [stats.total, *stats.by_priority, *stats.by_task_type, *stats.by_queue]
    for group in groups:
        counts = (
            group.submitted,
            group.attempts,
            group.retried,
            group.succeeded,
            group.failed,
            group.cancelled,
        )
        table.add_row(
            _name(group),
            *(f"{count:,}" if count else "" for count in counts),
            _durations(group.wait_time),
            _durations(group.run_time),
        )
    console.print(f"[dim]{local(stats.start_time)} to {local(stats.end_time)}[/]")
    print_table(table)
    console.print(f"submitted {_bars([one.submitted for one in stats.throughput])}")
    ended = [one.succeeded + one.failed + one.cancelled for one in stats.throughput]
    console.print(f"finished  {_bars(ended)}")


def print_lanes(lanes: Iterable[LaneStats]) -> None:
    table = table_of(
        "queue", "priority", "queued", "running", "retrying", "scheduled", "oldest", "starts/s", "workers", ""
    )
    for lane in lanes:
        table.add_row(
            lane.queue,
            Task.Priority.Name(lane.priority),
            *(f"{count:,}" for count in (lane.queued, lane.running, lane.retrying, lane.scheduled)),
            _span(lane.oldest_wait) if lane.HasField("oldest_wait") else "",
            f"{lane.start_rate:.1f}",
            str(lane.workers),
            coloured("PAUSED") if lane.paused else "",
        )
    print_table(table)


def print_workers(workers: Iterable[WorkerStats]) -> None:
    table = table_of("worker", "queues", "priorities", "running", "started", "heard of", "")
    for worker in workers:
        table.add_row(
            escape(worker.worker),
            ", ".join(worker.queues),
            ", ".join(map(Task.Priority.Name, worker.priorities)),
            f"{worker.running} of {worker.slots}",
            local(worker.start_time),
            local(worker.heartbeat_time),
            "[yellow]draining[/]" if worker.draining else "",
        )
    print_table(table)


def _name(group: TaskGroupStats) -> str:
    match group.WhichOneof("key"):
        case "priority":
            return Task.Priority.Name(group.priority)
        case "task_type":
            return escape(group.task_type)
        case "queue":
            return f"queue {group.queue}"
    return "all"


def _durations(stats: DurationStats) -> str:
    if not stats.count:
        return ""
    return f"{_span(stats.p50)}, p95 {_span(stats.p95)}, p99 {_span(stats.p99)}"


def _span(duration: Duration) -> str:
    seconds = duration.seconds + duration.nanos / 1e9
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 600 else f"{seconds / 60:,.0f} min"


def _bars(counts: Sequence[int]) -> str:
    most = max(counts, default=0) or 1
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] for count in counts)
