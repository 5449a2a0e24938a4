"""`taskflow execution`: start, read, steer and watch executions of workflows."""

import json
from typing import Any

import click

from taskflow_cli.connection import calls_taskflow
from taskflow_cli.show import print_json
from taskflow_cli.show_executions import print_events, print_execution, print_executions, print_runs
from taskflow_client import Execution, ExecutionFinished, ExecutionHappened, TaskFlow

EXIT_STATUS = (
    "Exit status: 0 done, 1 the execution that was waited for did not succeed, 2 wrong usage,"
    " 3 the service refused or could not be reached."
)

execution_id = click.argument("execution_id", metavar="EXECUTION")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
reason = click.option("--reason", default="", help="Why, for the audit trail.")
content = click.option("--input", "content", default="", metavar="JSON", help="A JSON object.")


@click.group(epilog=EXIT_STATUS)
def execution() -> None:
    """Start, read, steer and watch executions of workflows."""


@execution.command()
@click.argument("workflow_id", metavar="WORKFLOW")
@content
@click.option("--name", default="", help="A name for people.")
@click.option("--version", type=click.IntRange(0), default=0, help="Of the workflow; default: the latest.")
@click.option("--tag", "tags", multiple=True, help="A word to find it by; may be repeated.")
@click.option("--wait", is_flag=True, help="Wait for its end.")
@as_json
@calls_taskflow
async def start(
    taskflow: TaskFlow,
    /,
    *,
    workflow_id: str,
    content: str,
    name: str,
    version: int,
    tags: tuple[str, ...],
    wait: bool,
    as_json: bool,
) -> None:
    """Start an execution of a workflow."""
    started = await taskflow.executions.start(
        workflow_id, _object(content) or {}, name=name, version=version, tags=tags
    )
    if wait:
        started = await taskflow.executions.wait(started)
    _print(started, as_json=as_json)
    if wait:
        _exit_as(started)


@execution.command()
@execution_id
@as_json
@calls_taskflow
async def get(taskflow: TaskFlow, /, *, execution_id: str, as_json: bool) -> None:
    """Show an execution with its node runs."""
    _print(await taskflow.executions.get(execution_id), as_json=as_json)


@execution.command(name="list")
@click.option("--filter", "filter_", default="", help="Such as: status = FAILED")
@click.option("--workflow", "workflow_id", default="", help="Only those of this workflow.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@as_json
@calls_taskflow
async def list_(taskflow: TaskFlow, /, *, filter_: str, workflow_id: str, limit: int, as_json: bool) -> None:
    """List executions, newest first."""
    found: list[Execution] = []
    async for one in taskflow.executions.list(filter_, workflow_id=workflow_id):
        found.append(one)
        if len(found) == limit:
            break
    if not as_json:
        print_executions(found)
        return
    for one in found:
        print_json(one)


@execution.command()
@execution_id
@click.option("--filter", "filter_", default="", help="Such as: status = FAILED")
@as_json
@calls_taskflow
async def nodes(taskflow: TaskFlow, /, *, execution_id: str, filter_: str, as_json: bool) -> None:
    """List the node runs of an execution."""
    found = [run async for run in taskflow.executions.node_runs(execution_id, filter_)]
    if not as_json:
        print_runs(found)
        return
    for run in found:
        print_json(run)


@execution.command()
@execution_id
@as_json
@calls_taskflow
async def events(taskflow: TaskFlow, /, *, execution_id: str, as_json: bool) -> None:
    """List the log of an execution."""
    found = [event async for event in taskflow.executions.events(execution_id)]
    if not as_json:
        print_events(found)
        return
    for event in found:
        print_json(event)


@execution.command()
@execution_id
@as_json
@calls_taskflow
async def watch(taskflow: TaskFlow, /, *, execution_id: str, as_json: bool) -> None:
    """Follow an execution to its end."""
    async for update in taskflow.executions.watch(execution_id):
        match update:
            case ExecutionHappened(event=event):
                if as_json:
                    print_json(event)
                else:
                    print_events([event])
            case ExecutionFinished(execution=finished):
                _print(finished, as_json=as_json)
                _exit_as(finished)


@execution.command()
@execution_id
@reason
@click.option("--skip-compensation", is_flag=True, help="Leave what was done as it is.")
@as_json
@calls_taskflow
async def cancel(
    taskflow: TaskFlow, /, *, execution_id: str, reason: str, skip_compensation: bool, as_json: bool
) -> None:
    """Cancel an execution, and undo what it did."""
    cancelled = await taskflow.executions.cancel(execution_id, reason, skip_compensation=skip_compensation)
    _print(cancelled, as_json=as_json)


@execution.command()
@execution_id
@reason
@as_json
@calls_taskflow
async def retry(taskflow: TaskFlow, /, *, execution_id: str, reason: str, as_json: bool) -> None:
    """Run a failed or cancelled execution on."""
    _print(await taskflow.executions.retry(execution_id, reason), as_json=as_json)


@execution.command()
@execution_id
@click.option("--node", "node_id", default="", help="The node to start at; default: the beginning.")
@content
@reason
@as_json
@calls_taskflow
async def rerun(
    taskflow: TaskFlow, /, *, execution_id: str, node_id: str, content: str, reason: str, as_json: bool
) -> None:
    """Start a new execution from a node of an old one."""
    started = await taskflow.executions.rerun(execution_id, node_id, _object(content), reason=reason)
    _print(started, as_json=as_json)


@execution.command()
@execution_id
@click.argument("signal", metavar="SIGNAL")
@click.option("--payload", default="", metavar="JSON", help="A JSON object.")
@as_json
@calls_taskflow
async def signal(
    taskflow: TaskFlow, /, *, execution_id: str, signal: str, payload: str, as_json: bool
) -> None:
    """Send a signal, such as an approval: `signal ID approve --payload '{"approved": true}'`."""
    _print(await taskflow.executions.signal(execution_id, signal, _object(payload)), as_json=as_json)


def _object(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.UsageError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError("must be a JSON object")
    return value


def _print(one: Execution, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    else:
        print_execution(one)


def _exit_as(one: Execution) -> None:
    if one.status != Execution.SUCCEEDED:
        raise click.exceptions.Exit(1)
