"""Tasks and what belongs to them, for people and, with `--json`, for programs."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from taskflow_client import (
    Delivery,
    DeliveryAttempt,
    PreviewedFire,
    Queue,
    Schedule,
    ScheduleFire,
    Task,
    TaskAttempt,
    TaskEvent,
    TaskType,
    TaskTypeLimit,
    Webhook,
    Workflow,
    WorkflowProblem,
)

COLOURS = {
    "SUCCEEDED": "green",
    "FAILED": "bold red",
    "CANCELLED": "magenta",
    "RUNNING": "cyan",
    "RETRYING": "yellow",
    "LOST": "red",
    "PAUSED": "yellow",
    "BUFFERED": "cyan",
    "SKIPPED": "yellow",
    "MISSED": "red",
    "DROPPED": "red",
    "REFUSED": "bold red",
    "DISABLED": "yellow",
    "FAILING": "bold red",
    "GONE": "magenta",
}
CELL = 60  # characters

console = Console(highlight=False)


def print_json(message: Message) -> None:
    """One line, named as in the contract; fields that are not set are there, as over REST."""
    fields = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    click.echo(json.dumps(plain(fields), ensure_ascii=False))


def json_text(value: Message | str) -> str:
    """JSON that came as text, or as a Struct or Value."""
    if isinstance(value, str):
        return value
    return json.dumps(plain(json_format.MessageToDict(value)), ensure_ascii=False)


def plain(value: Any) -> Any:
    """The same with 30 for 30.0: protobuf has every number of a Struct as a float."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [plain(item) for item in value]
        case dict():
            return {name: plain(item) for name, item in value.items()}
    return value


def print_value(value: Any) -> None:
    """A result: coloured on a terminal, else plain JSON."""
    if console.is_terminal:
        console.print_json(data=value, ensure_ascii=False)
    else:
        click.echo(json.dumps(value, ensure_ascii=False))


def print_tasks(tasks: Iterable[Task]) -> None:
    table = table_of("id", "name", "type", "status", "priority", "attempt", "created", "took")
    for task in tasks:
        table.add_row(
            task.id,
            _short(task.name),
            _short(task.task_type),
            coloured(Task.Status.Name(task.status)),
            Task.Priority.Name(task.priority),
            str(task.attempt),
            local(task.create_time),
            took(task.start_time, task.end_time) if task.HasField("start_time") else "",
        )
    print_table(table)


def print_task(task: Task) -> None:
    """Everything worth knowing about one task."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(task):
        if value:
            table.add_row(name, value)
    console.print(table)


def print_events(events: Iterable[TaskEvent]) -> None:
    table = table_of("#", "time", "kind", "attempt", "by", "detail")
    for event in events:
        table.add_row(
            str(event.sequence),
            local(event.event_time, "milliseconds"),
            coloured(TaskEvent.Kind.Name(event.kind)),
            str(event.attempt or ""),
            _short(event.actor),
            escape(detail(event)),
        )
    print_table(table)


def print_attempts(attempts: Iterable[TaskAttempt]) -> None:
    table = table_of("attempt", "outcome", "worker", "started", "took", "error")
    for attempt in attempts:
        error = f"{attempt.error.type}: {attempt.error.message}" if attempt.HasField("error") else ""
        table.add_row(
            str(attempt.attempt),
            coloured(TaskAttempt.Outcome.Name(attempt.outcome)) if attempt.outcome else "",
            attempt.worker,
            local(attempt.start_time),
            took(attempt.start_time, attempt.end_time),
            escape(error),
        )
    print_table(table)


def print_task_types(task_types: Iterable[TaskType]) -> None:
    table = table_of("type", "workers", "queues", "attempts", "timeout", "description")
    for task_type in task_types:
        policy, timeout = task_type.retry_policy, task_type.attempt_timeout
        table.add_row(
            task_type.name,
            str(task_type.workers),
            ", ".join(task_type.queues),
            str(policy.max_attempts) if policy.HasField("max_attempts") else "",
            f"{timeout.ToTimedelta()}" if task_type.HasField("attempt_timeout") else "",
            escape(task_type.description),
        )
    print_table(table)


def print_queues(queues: Iterable[Queue]) -> None:
    """Queues with their limits: attempts at once, and starts in a second."""
    table = table_of("queue", "status", "limit", "limits of types", "note")
    for queue in queues:
        table.add_row(
            queue.name,
            coloured(Queue.Status.Name(queue.status)),
            _limits(queue),
            ", ".join(f"{limit.task_type} {_limits(limit)}" for limit in queue.task_type_limits),
            _short(queue.note),
        )
    print_table(table)


def print_workflows(workflows: Iterable[Workflow]) -> None:
    table = table_of("id", "name", "version", "changed", "tags", "description")
    for workflow in workflows:
        table.add_row(
            workflow.id,
            _short(workflow.name),
            str(workflow.version),
            local(workflow.update_time),
            escape(", ".join(workflow.tags)),
            _short(workflow.description),
        )
    print_table(table)


def print_problems(problems: Iterable[WorkflowProblem]) -> None:
    """What is wrong with a definition: where, what kind, and what."""
    for problem in problems:
        where = f"[bold]{escape(problem.field)}[/] " if problem.field else ""
        console.print(f"{where}[red]{escape(problem.rule)}[/] {escape(problem.description)}", soft_wrap=True)


def print_schedules(schedules: Iterable[Schedule]) -> None:
    table = table_of("id", "name", "starts", "times", "status", "next", "fired", "note")
    for one in schedules:
        table.add_row(
            one.id,
            _short(one.name),
            _short(one.task_type or f"workflow {one.workflow_id}"),
            escape(_times_of(one)),
            coloured(Schedule.Status.Name(one.status)),
            local(one.next_fire_time) if one.HasField("next_fire_time") else "",
            str(one.fire_counts.fired),
            _short(one.note),
        )
    print_table(table)


def print_fires(fires: Iterable[ScheduleFire]) -> None:
    """What became of times, and why."""
    table = table_of("time", "outcome", "trigger", "run", "work", "reason")
    for fire in fires:
        table.add_row(
            local(fire.fire_time, "milliseconds"),
            coloured(ScheduleFire.Outcome.Name(fire.outcome)),
            ScheduleFire.Trigger.Name(fire.trigger),
            str(fire.run_number or ""),
            fire.task_id or fire.execution_id,
            escape(fire.reason),
        )
    print_table(table)


def print_preview(fires: Iterable[PreviewedFire]) -> None:
    """Times that lie ahead, in the zone of their schedule."""
    table = table_of("time", "start", "")
    for fire in fires:
        change = "[yellow]clocks change[/]" if fire.clock_change else ""
        table.add_row(fire.local_time, local(fire.start_time, "milliseconds"), change)
    print_table(table)


def _times_of(schedule: Schedule) -> str:
    if schedule.HasField("interval"):
        return f"every {schedule.interval.ToTimedelta()}"
    if schedule.HasField("run_time"):
        return local(schedule.run_time)
    expressions = [schedule.cron_expression, *schedule.cron_expressions]
    return " | ".join(expression for expression in expressions if expression)


def _limits(of: Queue | TaskTypeLimit) -> str:
    parts = [f"{of.max_concurrency} at once"] if of.max_concurrency else []
    return " and ".join([*parts, f"{of.max_rate:g}/s"] if of.max_rate else parts)


def print_webhooks(webhooks: Iterable[Webhook]) -> None:
    table = table_of("id", "name", "status", "url", "events", "failures", "note")
    for webhook in webhooks:
        table.add_row(
            webhook.id,
            _short(webhook.name),
            coloured(Webhook.Status.Name(webhook.status)),
            escape(webhook.url),
            ", ".join(webhook.event_types),
            str(webhook.consecutive_failures or ""),
            _short(webhook.note),
        )
    print_table(table)


def print_deliveries(deliveries: Iterable[Delivery]) -> None:
    table = table_of("id", "event", "#", "time", "status", "attempt", "answer", "error")
    for delivery in deliveries:
        table.add_row(
            delivery.id,
            delivery.event_type,
            str(delivery.sequence or ""),
            local(delivery.event_time),
            coloured(Delivery.Status.Name(delivery.status)),
            str(delivery.attempt),
            str(delivery.response_status or ""),
            _short(delivery.error),
        )
    print_table(table)


def print_delivery(delivery: Delivery) -> None:
    """A delivery, what was sent, and each answer."""
    print_deliveries([delivery])
    table = table_of("attempt", "outcome", "to", "started", "took", "answer", "body")
    for attempt in delivery.attempts:
        outcome = DeliveryAttempt.Outcome.Name(attempt.outcome) if attempt.outcome else ""
        table.add_row(
            str(attempt.attempt),
            coloured(outcome),
            attempt.remote_address,
            local(attempt.start_time),
            f"{attempt.latency.ToTimedelta().total_seconds():.3f} s" if attempt.HasField("latency") else "",
            str(attempt.response_status or ""),
            _short(attempt.response_body or attempt.error),
        )
    print_table(table)
    if delivery.body_json:
        console.print(escape(delivery.body_json), soft_wrap=True)


def coloured(word: str) -> str:
    """A status, kind or outcome in its colour."""
    colour = COLOURS.get(word)
    return f"[{colour}]{word}[/]" if colour else word


def detail(event: TaskEvent) -> str:
    """What an event says besides its kind, in one line."""
    if event.HasField("progress"):
        return f"{event.progress.percent:.0f} % {event.progress.message}".rstrip()
    if event.HasField("error"):
        return f"{event.error.type}: {event.error.message}"
    return event.message


def print_rows(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table of plain texts; those that carry colours are made with `coloured`."""
    table = table_of(*names)
    for row in rows:
        table.add_row(*row)
    print_table(table)


def short(text: str) -> str:
    """A text that fits into a cell."""
    return _short(text)


def local(time: Timestamp, precision: str = "seconds") -> str:
    """A time of the service in the zone of this machine."""
    return time.ToDatetime(UTC).astimezone().replace(tzinfo=None).isoformat(" ", precision)


def took(start: Timestamp, end: Timestamp) -> str:
    """From start to end, or until now if there is no end yet."""
    until = end.ToDatetime(UTC) if end.ByteSize() else datetime.now(UTC)
    seconds = max((until - start.ToDatetime(UTC)).total_seconds(), 0)
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {seconds} s"


def _facts(task: Task) -> Iterable[tuple[str, str]]:
    yield "id", task.id
    yield "name", escape(task.name)
    yield "type", escape(task.task_type)
    yield (
        "status",
        coloured(Task.Status.Name(task.status))
        + (" [yellow](cancel requested)[/]" if task.cancel_requested else ""),
    )
    yield "priority", Task.Priority.Name(task.priority)
    yield "queue", task.queue
    yield "tags", escape(", ".join(task.tags))
    yield "attempt", str(task.attempt)
    if task.HasField("progress"):
        yield "progress", escape(f"{task.progress.percent:.0f} % {task.progress.message}")
    for name in ("create_time", "start_time", "end_time", "next_attempt_time", "expire_time"):
        if task.HasField(name):
            yield name.replace("_", " "), local(getattr(task, name))
    payload = task.WhichOneof("payload_kind")
    if payload:
        yield "payload", escape(json_text(getattr(task, payload)))
    result = task.WhichOneof("result_kind")
    if result:
        yield "result", escape(json_text(getattr(task, result)))
    if task.HasField("error"):
        yield "error", f"[red]{escape(f'{task.error.type}: {task.error.message}')}[/]"


def table_of(*names: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name.upper(), overflow="fold", no_wrap=name in {"id", "status", "created", "time"})
    return table


def print_table(table: Table) -> None:
    if not table.row_count:
        console.print("[dim]none[/]")
        return
    # A pipe has no width: what reads it wants whole lines.
    width = None if console.is_terminal else 10_000
    Console(highlight=False, width=width).print(table)


def _short(text: str) -> str:
    return escape(text if len(text) <= CELL else f"{text[: CELL - 1]}…")
