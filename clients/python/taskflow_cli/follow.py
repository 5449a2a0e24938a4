"""A task, live: a progress bar on a terminal, else a line for each event."""

from collections.abc import AsyncIterator

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from taskflow_cli.show import coloured, detail, print_json
from taskflow_client import Event, Finished, Snapshot, Task, TaskEvent, TenantUpdate, Update

# These stay on the screen, above the bars.
TOLD = frozenset(
    {TaskEvent.LOG, TaskEvent.RETRYING, TaskEvent.RELEASED, TaskEvent.CANCEL_REQUESTED, TaskEvent.FAILED}
)


async def follow_in_json(updates: AsyncIterator[Update]) -> Task:
    """One JSON object for each event, between the task as it is and as it ends."""
    async for update in updates:
        match update:
            case Snapshot(task=task):
                print_json(task)
            case Event(event=event):
                print_json(event)
            case Finished(task=task):
                print_json(task)
                return task
    raise AssertionError("a watch ends with Finished or an error")


async def follow_in_lines(updates: AsyncIterator[Update], title: str) -> Task:
    """One line for each event."""
    async for update in updates:
        match update:
            case Snapshot(task=task):
                click.echo(f"{title} {Task.Status.Name(task.status)}")
            case Event(event=event):
                click.echo(f"{title} {_line(event)}")
            case Finished(task=task):
                return task
    raise AssertionError("a watch ends with Finished or an error")


async def follow_all(updates: AsyncIterator[TenantUpdate], *, as_json: bool) -> None:
    """One line for each event of any task."""
    async for update in updates:
        if not isinstance(update, Event):
            continue
        if as_json:
            print_json(update.event)
        else:
            click.echo(f"{update.event.task_id} {_line(update.event)}")


def progress_bars(console: Console) -> Progress:
    """The display for `follow_with_bar`, to be opened with `with`: many tasks may share it."""
    return Progress(
        TextColumn("[bold]{task.description}"),
        TextColumn("{task.fields[status]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[message]}"),
        console=console,
    )


async def follow_with_bar(updates: AsyncIterator[Update], progress: Progress, title: str) -> Task:
    """A bar that moves; log lines and failed attempts stand above it."""
    bar = progress.add_task(escape(title), total=100, status="", message="")
    async for update in updates:
        match update:
            case Snapshot(task=task):
                progress.update(bar, completed=task.progress.percent, status=_status(task.status))
            case Event(event=event):
                if event.kind in TOLD:
                    progress.console.print(f"[bold]{escape(title)}[/] {escape(_line(event))}")
                progress.update(bar, status=_status(event.status))
                if event.HasField("progress"):
                    reported = event.progress
                    progress.update(bar, completed=reported.percent, message=escape(reported.message))
            case Finished(task=task):
                done = 100 if task.status == Task.SUCCEEDED else task.progress.percent
                progress.update(bar, completed=done, status=_status(task.status), message="")
                progress.stop_task(bar)
                return task
    raise AssertionError("a watch ends with Finished or an error")


def _line(event: TaskEvent) -> str:
    return f"#{event.sequence} {TaskEvent.Kind.Name(event.kind)} {detail(event)}".rstrip()


def _status(status: Task.Status) -> str:
    return coloured(Task.Status.Name(status))
