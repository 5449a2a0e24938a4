"""`taskflow task`: submit, read, steer and watch tasks."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from taskflow_cli.arguments import JsonObject, Length, Time
from taskflow_cli.connection import TASK_ENDED_BADLY, calls_taskflow, tell
from taskflow_cli.follow import follow_all, follow_in_json, follow_in_lines, follow_with_bar, progress_bars
from taskflow_cli.show import (
    console,
    print_attempts,
    print_events,
    print_json,
    print_task,
    print_task_types,
    print_tasks,
    print_value,
)
from taskflow_client import RetryPolicy, Task, TaskCancelled, TaskEndedBadly, TaskEvent, TaskFlow

EXIT_STATUS = """Exit status: 0 done, 1 the task failed or was cancelled, 2 wrong usage, 3 the service refused,
could not be reached, or did not finish in time."""

task_id = click.argument("task_id", metavar="TASK")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
reason = click.option("--reason", default="", help="Why, for the audit trail.")
limit = click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Most lines.")


@click.group(epilog=EXIT_STATUS)
def task() -> None:
    """Submit, read, steer and watch tasks."""


@task.command()
@click.argument("task_type", metavar="TYPE")
@click.argument("payload", type=JsonObject(), default="{}", metavar="[PAYLOAD | -]")
@click.option("--name", default="", help="A name for people.")
@click.option(
    "--priority",
    type=click.Choice(["critical", "high", "normal", "low"], case_sensitive=False),
    help="How urgent.",
)
@click.option("--queue", default="", help="A named queue.")
@click.option("--tag", "tags", multiple=True, help="A word to find it by. Repeatable.")
@click.option("--at", "schedule_time", type=Time(), help="Not before this time, such as 2026-01-31T09:00.")
@click.option("--in", "delay", type=Length(), help="Not before so long from now, such as 90s or 1h30m.")
@click.option("--timeout", "attempt_timeout", type=Length(), help="Longest time of one attempt.")
@click.option("--max-attempts", type=click.IntRange(1, 1000), help="Attempts in all.")
@click.option("--unique-key", help="Refuse it while an unfinished task has the same key.")
@click.option("--request-id", help="Makes the command safe to repeat.")
@click.option("--wait", is_flag=True, help="Wait for the result and print it.")
@click.option("--watch", is_flag=True, help="Show its progress, then print the result.")
@as_json
@calls_taskflow
async def submit(
    taskflow: TaskFlow,
    /,
    *,
    task_type: str,
    payload: dict[str, Any],
    priority: Any,
    schedule_time: datetime | None,
    delay: timedelta | None,
    max_attempts: int | None,
    wait: bool,
    watch: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Submit a task of TYPE. PAYLOAD is a JSON object, or `-` for standard input."""
    if schedule_time and delay:
        raise click.UsageError("--at and --in exclude each other")
    if delay:
        schedule_time = datetime.now().astimezone() + delay
    submitted = await taskflow.submit(
        task_type,
        payload,
        priority=priority and priority.upper(),
        schedule_time=schedule_time,
        retry_policy=RetryPolicy(max_attempts=max_attempts) if max_attempts else None,
        **options,
    )
    if watch:
        await _watch(taskflow, submitted, as_json=as_json)
    elif wait:
        await _print_result(taskflow, submitted, None)
    elif as_json:
        print_json(submitted)
    elif console.is_terminal:
        console.print(f"[green]submitted[/] {submitted.id}")
        console.print(f"[dim]Follow it with: taskflow task watch {submitted.id}[/]")
    else:
        click.echo(submitted.id)  # for ID=$(taskflow task submit ...)


@task.command()
@task_id
@as_json
@calls_taskflow
async def get(taskflow: TaskFlow, /, *, task_id: str, as_json: bool) -> None:
    """Show a task."""
    _print_one(await taskflow.get(task_id), as_json=as_json)


@task.command(name="list")
@click.option("--filter", "filter_", default="", help='Such as: status = FAILED AND task_type = "email"')
@click.option("--order", default="", help="create_time or end_time, with ` desc` for falling.")
@limit
@as_json
@calls_taskflow
async def list_(taskflow: TaskFlow, /, *, filter_: str, order: str, limit: int, as_json: bool) -> None:
    """List tasks, newest first."""
    found = taskflow.list(filter_, order_by=order, page_size=min(limit, 1000))
    _print_many(await _first(limit, found), print_tasks, as_json=as_json)


@task.command()
@task_id
@reason
@as_json
@calls_taskflow
async def cancel(taskflow: TaskFlow, /, *, task_id: str, reason: str, as_json: bool) -> None:
    """Cancel a task; one that runs is told to stop."""
    _print_one(await taskflow.cancel(task_id, reason), as_json=as_json)


@task.command()
@task_id
@reason
@as_json
@calls_taskflow
async def retry(taskflow: TaskFlow, /, *, task_id: str, reason: str, as_json: bool) -> None:
    """Put a failed or cancelled task back into its queue."""
    _print_one(await taskflow.retry(task_id, reason), as_json=as_json)


@task.command()
@task_id
@as_json
@calls_taskflow
async def watch(taskflow: TaskFlow, /, *, task_id: str, as_json: bool) -> None:
    """Follow a task to its end, then print its result."""
    await _watch(taskflow, await taskflow.get(task_id), as_json=as_json)


@task.command()
@click.option(
    "--filter", "filter_", default="", help="As in `list`; status and attempt are those of the event."
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(TaskEvent.Kind.keys()[1:], case_sensitive=False),
    help="Only such events. Repeatable.",
)
@as_json
@calls_taskflow
async def tail(taskflow: TaskFlow, /, *, filter_: str, kinds: Sequence[str], as_json: bool) -> None:
    """Follow all tasks, from now on, until interrupted."""
    numbers: list[Any] = [TaskEvent.Kind.Value(kind.upper()) for kind in kinds]
    await follow_all(taskflow.watch_all(filter_, kinds=numbers), as_json=as_json)


@task.command()
@task_id
@click.option("--timeout", "longest", type=Length(), help="Give up after this time.")
@as_json
@calls_taskflow
async def wait(taskflow: TaskFlow, /, *, task_id: str, longest: timedelta | None, as_json: bool) -> None:
    """Wait for a task's end, and show it."""
    final = await taskflow.wait(task_id, _seconds(longest))
    _print_one(final, as_json=as_json)
    if final.status != Task.SUCCEEDED:
        sys.exit(TASK_ENDED_BADLY)


@task.command()
@task_id
@click.option("--timeout", "longest", type=Length(), help="Give up after this time.")
@calls_taskflow
async def result(taskflow: TaskFlow, /, *, task_id: str, longest: timedelta | None) -> None:
    """Wait for a task's result, and print it as JSON."""
    await _print_result(taskflow, task_id, _seconds(longest))


@task.command()
@task_id
@limit
@as_json
@calls_taskflow
async def events(taskflow: TaskFlow, /, *, task_id: str, limit: int, as_json: bool) -> None:
    """Show the log of a task: its audit trail."""
    _print_many(await _first(limit, taskflow.events(task_id)), print_events, as_json=as_json)


@task.command()
@task_id
@limit
@as_json
@calls_taskflow
async def attempts(taskflow: TaskFlow, /, *, task_id: str, limit: int, as_json: bool) -> None:
    """Show the attempts of a task."""
    _print_many(await _first(limit, taskflow.attempts(task_id)), print_attempts, as_json=as_json)


@task.command()
@limit
@as_json
@calls_taskflow
async def types(taskflow: TaskFlow, /, *, limit: int, as_json: bool) -> None:
    """Show what can be submitted: the task types that workers have registered."""
    _print_many(await _first(limit, taskflow.task_types()), print_task_types, as_json=as_json)


async def _watch(taskflow: TaskFlow, watched: Task, *, as_json: bool) -> None:
    updates = taskflow.watch(watched)
    if as_json:
        final = await follow_in_json(updates)
        if final.status != Task.SUCCEEDED:
            sys.exit(TASK_ENDED_BADLY)
        return
    if console.is_terminal:
        with progress_bars(console) as progress:
            await follow_with_bar(updates, progress, watched.name)
    else:
        await follow_in_lines(updates, watched.id)
    await _print_result(taskflow, watched, None)


async def _print_result(taskflow: TaskFlow, wanted: Task | str, seconds: float | None) -> None:
    try:
        print_value(await taskflow.result(wanted, seconds))
    except TaskEndedBadly as error:
        tell(str(error))
        if not isinstance(error, TaskCancelled):
            tell(f"See what happened: taskflow task attempts {error.task.id}", style="red")
        sys.exit(TASK_ENDED_BADLY)


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def _print_one(one: Task, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    else:
        print_task(one)


def _print_many(many: Sequence[Any], print_table: Callable[[Sequence[Any]], None], *, as_json: bool) -> None:
    if not as_json:
        print_table(many)
        return
    for one in many:
        print_json(one)


async def _first(limit: int, items: Any) -> list[Any]:
    found = []
    async for item in items:
        found.append(item)
        if len(found) == limit:
            break
    await items.aclose()
    return found
