"""`taskflow schedule`: make, steer and explain schedules."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import click
from google.protobuf import json_format

from taskflow_cli.arguments import JsonObject, Length, Time
from taskflow_cli.connection import calls_taskflow
from taskflow_cli.show import print_fires, print_json, print_preview, print_schedules
from taskflow_client import Schedule, ScheduleFire, TaskFlow

EXIT_STATUS = "Exit status: 0 done, 2 wrong usage, 3 the service refused or could not be reached."
POLICIES = [name.lower() for name in Schedule.OverlapPolicy.keys()[1:]]

schedule_id = click.argument("schedule_id", metavar="SCHEDULE")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
note = click.option("--note", default="", help="Why, for people.")
overlap = click.option(
    "--overlap", type=click.Choice(POLICIES, case_sensitive=False), help="While earlier work runs."
)


@click.group(epilog=EXIT_STATUS)
def schedule() -> None:
    """Start tasks again and again: cron, intervals, single times."""


def describes_times(command: Any) -> Any:
    """Options that say when."""
    for option in (
        click.option("--cron", multiple=True, help="Such as '0 9 * * mon-fri'; repeatable."),
        click.option("--every", type=Length(), help="An interval, such as 90s or 1h30m."),
        click.option("--at", type=Time(), help="A single time, such as 2026-01-31T09:00."),
        click.option("--time-zone", default="", metavar="ZONE", help="Of --cron, such as Europe/Berlin."),
        click.option("--jitter", type=Length(), help="Puts each start off by up to this."),
    ):
        command = option(command)
    return command


@schedule.command()
@click.argument("name")
@click.argument("task_type", metavar="TYPE")
@click.argument("payload", type=JsonObject(), default="{}")
@describes_times
@overlap
@click.option("--max-runs", type=click.IntRange(1), help="Then it is over.")
@click.option("--tag", "tags", multiple=True, help="Repeatable.")
@click.option("--pause-on-failure", is_flag=True, help="Pause when a task has FAILED for good.")
@as_json
@calls_taskflow
async def create(
    taskflow: TaskFlow,
    /,
    *,
    name: str,
    task_type: str,
    payload: dict[str, Any],
    overlap: str | None,
    max_runs: int | None,
    tags: Sequence[str],
    pause_on_failure: bool,
    as_json: bool,
    **times: Any,
) -> None:
    """Create a schedule that submits tasks of TYPE with a JSON PAYLOAD."""
    new = _timed(**times)
    new.name, new.task_type = name, task_type
    json_format.ParseDict(payload, new.payload)
    new.tags.extend(tags)
    new.pause_on_failure = pause_on_failure
    new.max_runs = max_runs or 0
    new.overlap_policy = _policy(overlap)
    _print([await taskflow.schedules.create(new)], as_json=as_json)


@schedule.command()
@click.argument("schedule_id", metavar="[SCHEDULE]", default="")
@describes_times
@click.option("--count", type=click.IntRange(1, 1000), default=10, show_default=True)
@as_json
@calls_taskflow
async def preview(
    taskflow: TaskFlow, /, *, schedule_id: str, count: int, as_json: bool, **times: Any
) -> None:
    """Show the next times of a SCHEDULE, or of the times that the options describe."""
    fires = await taskflow.schedules.preview(schedule_id or _timed(**times), count)
    if not as_json:
        print_preview(fires)
        return
    for one in fires:
        print_json(one)


@schedule.command(name="list")
@click.option("--filter", "filter_", default="", help="Such as: status = PAUSED")
@as_json
@calls_taskflow
async def list_(taskflow: TaskFlow, /, *, filter_: str, as_json: bool) -> None:
    """List schedules, newest first."""
    _print([found async for found in taskflow.schedules.list(filter_)], as_json=as_json)


@schedule.command()
@schedule_id
@as_json
@calls_taskflow
async def get(taskflow: TaskFlow, /, *, schedule_id: str, as_json: bool) -> None:
    """Show a schedule."""
    _print([await taskflow.schedules.get(schedule_id)], as_json=as_json)


@schedule.command()
@schedule_id
@note
@as_json
@calls_taskflow
async def pause(taskflow: TaskFlow, /, *, schedule_id: str, note: str, as_json: bool) -> None:
    """Let a schedule fire no more until it is resumed."""
    _print([await taskflow.schedules.pause(schedule_id, note)], as_json=as_json)


@schedule.command()
@schedule_id
@note
@as_json
@calls_taskflow
async def resume(taskflow: TaskFlow, /, *, schedule_id: str, note: str, as_json: bool) -> None:
    """Let a paused schedule go on, from now."""
    _print([await taskflow.schedules.resume(schedule_id, note)], as_json=as_json)


@schedule.command()
@schedule_id
@overlap
@as_json
@calls_taskflow
async def trigger(taskflow: TaskFlow, /, *, schedule_id: str, overlap: str | None, as_json: bool) -> None:
    """Fire a schedule now, in any status."""
    fire = await taskflow.schedules.trigger(schedule_id, overlap_policy=_policy(overlap))
    _print_fires([fire], as_json=as_json)


@schedule.command()
@schedule_id
@click.option("--from", "start", type=Time(), required=True, help="The first time, included.")
@click.option("--to", "end", type=Time(), required=True, help="The end, not included; not in the future.")
@overlap
@calls_taskflow
async def backfill(
    taskflow: TaskFlow, /, *, schedule_id: str, start: datetime, end: datetime, overlap: str | None
) -> None:
    """Fire the times of a past range that did not fire."""
    print_json(await taskflow.schedules.backfill(schedule_id, start, end, _policy(overlap)))


@schedule.command()
@schedule_id
@click.option("--filter", "filter_", default="", help="Such as: outcome = MISSED")
@as_json
@calls_taskflow
async def fires(taskflow: TaskFlow, /, *, schedule_id: str, filter_: str, as_json: bool) -> None:
    """Show what became of each time, newest first, and why."""
    found = [fire async for fire in taskflow.schedules.fires(schedule_id, filter_)]
    _print_fires(found, as_json=as_json)


@schedule.command()
@schedule_id
@calls_taskflow
async def delete(taskflow: TaskFlow, /, *, schedule_id: str) -> None:
    """Delete a schedule; the work that it started runs on."""
    await taskflow.schedules.delete(schedule_id)


def _timed(
    cron: Sequence[str],
    every: timedelta | None,
    at: datetime | None,
    time_zone: str,
    jitter: timedelta | None,
) -> Schedule:
    """A schedule of which only the times are set."""
    if not (cron or every or at):
        raise click.UsageError("name the times: --cron, --every or --at")
    timed = Schedule(cron_expressions=cron, time_zone=time_zone)
    if every is not None:
        timed.interval.FromTimedelta(every)
    if at is not None:
        timed.run_time.FromDatetime(at)
    if jitter is not None:
        timed.jitter.FromTimedelta(jitter)
    return timed


def _policy(name: str | None) -> Schedule.OverlapPolicy:
    if name is None:
        return Schedule.OVERLAP_POLICY_UNSPECIFIED
    return getattr(Schedule, name.upper())  # type: ignore[no-any-return]


def _print(schedules: Sequence[Schedule], *, as_json: bool) -> None:
    if not as_json:
        print_schedules(schedules)
        return
    for one in schedules:
        print_json(one)


def _print_fires(found: Sequence[ScheduleFire], *, as_json: bool) -> None:
    if not as_json:
        print_fires(found)
        return
    for one in found:
        print_json(one)
