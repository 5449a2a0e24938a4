"""`taskflow queue`: pause, resume and limit queues."""

from collections.abc import Sequence

import click

from taskflow_cli.connection import calls_taskflow
from taskflow_cli.show import print_json, print_queues
from taskflow_client import Queue, TaskFlow, TaskTypeLimit

EXIT_STATUS = "Exit status: 0 done, 2 wrong usage, 3 the service refused or could not be reached."

name = click.argument("name", metavar="QUEUE")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
note = click.option("--note", default="", help="Why, for people.")


@click.group(epilog=EXIT_STATUS)
def queue() -> None:
    """Pause, resume and limit queues."""


@queue.command(name="list")
@click.option("--filter", "filter_", default="", help="Such as: status = PAUSED")
@as_json
@calls_taskflow
async def list_(taskflow: TaskFlow, /, *, filter_: str, as_json: bool) -> None:
    """List the queues that have settings, unfinished tasks or live workers."""
    _print([found async for found in taskflow.queues.list(filter_)], as_json=as_json)


@queue.command()
@name
@as_json
@calls_taskflow
async def get(taskflow: TaskFlow, /, *, name: str, as_json: bool) -> None:
    """Show a queue."""
    _print([await taskflow.queues.get(name)], as_json=as_json)


@queue.command()
@name
@note
@as_json
@calls_taskflow
async def pause(taskflow: TaskFlow, /, *, name: str, note: str, as_json: bool) -> None:
    """Start nothing more from a queue; what runs goes on."""
    _print([await taskflow.queues.pause(name, note)], as_json=as_json)


@queue.command()
@name
@note
@as_json
@calls_taskflow
async def resume(taskflow: TaskFlow, /, *, name: str, note: str, as_json: bool) -> None:
    """Let a paused queue go on."""
    _print([await taskflow.queues.resume(name, note)], as_json=as_json)


@queue.command(name="set")
@name
@click.option("--task-type", default="", metavar="TYPE", help="Limit this type within the queue.")
@click.option("--max-concurrency", type=click.IntRange(0), help="Most attempts at once; 0 is no limit.")
@click.option("--max-rate", type=click.FloatRange(0), help="Most starts in a second; 0 is no limit.")
@as_json
@calls_taskflow
async def set_(
    taskflow: TaskFlow,
    /,
    *,
    name: str,
    task_type: str,
    max_concurrency: int | None,
    max_rate: float | None,
    as_json: bool,
) -> None:
    """Set limits of a queue; they hold across all workers. What is not named stays."""
    if max_concurrency is None and max_rate is None:
        raise click.UsageError("nothing to set: name --max-concurrency or --max-rate")
    # With its etag, so that two people who change it at once cannot overwrite each other.
    changed = await taskflow.queues.get(name)
    limit = _limit_of(changed, task_type) if task_type else changed
    if max_concurrency is not None:
        limit.max_concurrency = max_concurrency
    if max_rate is not None:
        limit.max_rate = max_rate
    fields = ["task_type_limits"] if task_type else ["max_concurrency", "max_rate"]
    _print([await taskflow.queues.update(changed, fields)], as_json=as_json)


def _limit_of(queue: Queue, task_type: str) -> TaskTypeLimit:
    """The limit of a type within a queue, added to it if there was none."""
    for limit in queue.task_type_limits:
        if limit.task_type == task_type:
            return limit
    return queue.task_type_limits.add(task_type=task_type)


def _print(queues: Sequence[Queue], *, as_json: bool) -> None:
    if not as_json:
        print_queues(queues)
        return
    for one in queues:
        print_json(one)
