"""`taskflow stats`: how much work there is, how fast it goes and how it ends."""

from datetime import UTC, datetime, timedelta

import click

from taskflow_cli.connection import calls_taskflow
from taskflow_cli.show import print_json
from taskflow_cli.show_stats import (
    print_lanes,
    print_overview,
    print_task_stats,
    print_webhook_stats,
    print_workers,
)
from taskflow_client import TaskFlow

EXIT_STATUS = "Exit status: 0 done, 2 wrong usage, 3 the service refused or could not be reached."

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")


@click.group(epilog=EXIT_STATUS)
def stats() -> None:
    """Tell how much work there is, how fast it goes and how it ends."""


@stats.command()
@click.option("--watch", is_flag=True, help="Go on, until Ctrl-C.")
@click.option("--interval", default=2.0, show_default=True, help="Seconds between two, from 1 to 60.")
@as_json
@calls_taskflow
async def overview(taskflow: TaskFlow, /, *, watch: bool, interval: float, as_json: bool) -> None:
    """Show the whole tenant at a glance."""
    show = print_json if as_json else print_overview
    if not watch:
        show(await taskflow.stats.overview())
        return
    async for found in taskflow.stats.watch(timedelta(seconds=interval)):
        show(found)


@stats.command()
@click.option("--last", default=60.0, show_default=True, help="Minutes until now.")
@click.option("--task-type", default="", help="Only tasks of this type.")
@click.option("--queue", default="", help="Only tasks of this queue.")
@as_json
@calls_taskflow
async def tasks(taskflow: TaskFlow, /, *, last: float, task_type: str, queue: str, as_json: bool) -> None:
    """Show tasks of the last hour, or of --last minutes: by priority, type and queue."""
    found = await taskflow.stats.tasks(
        start_time=datetime.now(UTC) - timedelta(minutes=last), task_type=task_type, queue=queue
    )
    if as_json:
        print_json(found)
    else:
        print_task_stats(found)


@stats.command()
@click.argument("queue", default="")
@as_json
@calls_taskflow
async def queues(taskflow: TaskFlow, /, *, queue: str, as_json: bool) -> None:
    """Show how full the queues are, and which workers serve them."""
    found = await taskflow.stats.queues(queue)
    if as_json:
        print_json(found)
        return
    print_lanes(found.lanes)
    print_workers(found.workers)


@stats.command()
@click.option("--last", default=24.0, show_default=True, help="Hours until now.")
@click.option("--webhook", "webhook_id", default="", help="Only the webhook with this id.")
@as_json
@calls_taskflow
async def webhooks(taskflow: TaskFlow, /, *, last: float, webhook_id: str, as_json: bool) -> None:
    """Show webhooks of the last day, or of --last hours: all together, and one by one."""
    found = await taskflow.stats.webhooks(
        start_time=datetime.now(UTC) - timedelta(hours=last), webhook_id=webhook_id
    )
    if as_json:
        print_json(found)
    else:
        print_webhook_stats(found)
