"""`taskflow workflow`: apply, check, draw, read and delete definitions of workflows."""

import sys
import uuid
from typing import Any, TextIO

import click
import yaml
from google.protobuf import json_format

from taskflow_cli.arguments import Definition, NameOrDefinition
from taskflow_cli.connection import DEFINITION_IS_WRONG, calls_taskflow, tell
from taskflow_cli.show import plain, print_json, print_problems, print_workflows
from taskflow_client import TaskFlow, Workflow
from taskflow_client.workflows import RenderFormat

EXIT_STATUS = "Exit status: 0 done, 1 the definition is wrong, 2 wrong usage, 3 the service refused or could not be reached."

workflow_name = click.argument("name", metavar="NAME")
file = click.argument("definition", metavar="FILE", type=Definition())
version = click.option("--version", type=click.IntRange(1), default=None, help="Default: the latest.")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")


@click.group(epilog=EXIT_STATUS)
def workflow() -> None:
    """Apply, check, draw, read and delete workflows. NAME is the name of one or its id."""


@workflow.command()
@file
@as_json
@calls_taskflow
async def apply(taskflow: TaskFlow, /, *, definition: dict[str, Any], as_json: bool) -> None:
    """Make the workflow as FILE has it: YAML or JSON, or - for standard input.

    It is created, or gets a new version if anything has changed. Executions that run keep theirs.
    """
    await _check(taskflow, definition, as_json=False)
    _print([await taskflow.workflows.apply(definition)], as_json=as_json)


@workflow.command()
@file
@as_json
@calls_taskflow
async def validate(taskflow: TaskFlow, /, *, definition: dict[str, Any], as_json: bool) -> None:
    """Say all that is wrong with FILE. Stores nothing."""
    await _check(taskflow, definition, as_json=as_json)


@workflow.command(name="list")
@click.option("--filter", "filter_", default="", help="Such as: tags : etl")
@as_json
@calls_taskflow
async def list_(taskflow: TaskFlow, /, *, filter_: str, as_json: bool) -> None:
    """List the workflows in their latest versions."""
    _print([found async for found in taskflow.workflows.list(filter_)], as_json=as_json)


@workflow.command()
@workflow_name
@as_json
@calls_taskflow
async def versions(taskflow: TaskFlow, /, *, name: str, as_json: bool) -> None:
    """List the versions of a workflow, newest first."""
    workflow_id = await _id(taskflow, name)
    _print([found async for found in taskflow.workflows.versions(workflow_id)], as_json=as_json)


@workflow.command()
@workflow_name
@version
@as_json
@calls_taskflow
async def get(taskflow: TaskFlow, /, *, name: str, version: int | None, as_json: bool) -> None:
    """Show a definition as YAML, ready to be changed and applied."""
    found = await taskflow.workflows.get(await _id(taskflow, name), version or 0)
    if as_json:
        print_json(found)
    else:
        click.echo(_yaml(found), nl=False)


@workflow.command()
@click.argument("what", metavar="NAME|FILE", type=NameOrDefinition())
@version
@click.option(
    "--format",
    "drawing",
    type=click.Choice(["MERMAID", "DOT", "SVG"], case_sensitive=False),
    default="MERMAID",
    show_default=True,
    help="The language of the drawing.",
)
@click.option("-o", "--output", type=click.File("w"), default="-", help="Default: standard output.")
@calls_taskflow
async def render(
    taskflow: TaskFlow,
    /,
    *,
    what: str | dict[str, Any],
    version: int | None,
    drawing: RenderFormat,
    output: TextIO,
) -> None:
    """Draw a workflow, or a definition that is not applied yet."""
    target = await _id(taskflow, what) if isinstance(what, str) else what
    output.write(await taskflow.workflows.render(target, drawing, version=version or 0))


@workflow.command()
@workflow_name
@calls_taskflow
async def delete(taskflow: TaskFlow, /, *, name: str) -> None:
    """Delete a workflow. Executions that run keep their version and end."""
    await taskflow.workflows.delete(await _id(taskflow, name))


async def _check(taskflow: TaskFlow, definition: dict[str, Any], *, as_json: bool) -> None:
    problems = await taskflow.workflows.validate(definition)
    if as_json:
        for problem in problems:
            print_json(problem)
    else:
        print_problems(problems)
    if problems:
        sys.exit(DEFINITION_IS_WRONG)


async def _id(taskflow: TaskFlow, name: str) -> str:
    try:
        return str(uuid.UUID(name))
    except ValueError:
        found = await taskflow.workflows.find(name)
    if found is None:
        tell(f"no workflow {name!r}; `taskflow workflow list` has those that there are")
        sys.exit(3)
    return found.id


def _yaml(found: Workflow) -> str:
    """What callers define, without what the service adds."""
    fields = json_format.MessageToDict(found, preserving_proto_field_name=True)
    for name in ("id", "version", "create_time", "update_time", "etag"):
        fields.pop(name, None)
    _without_types(fields)
    text: str = yaml.safe_dump(plain(fields), sort_keys=False, allow_unicode=True, width=110)
    return text


def _without_types(graph: dict[str, Any]) -> None:
    """Take the types from nodes, whose other fields tell them."""
    for node in graph["nodes"]:
        node.pop("type", None)
        parallel = node.get("parallel", {})
        branches = parallel.get("branches", {}).get("branches", [])
        for inner in [*(branch["graph"] for branch in branches), parallel.get("map", {}).get("graph")]:
            if inner is not None:
                _without_types(inner)


def _print(workflows: list[Workflow], *, as_json: bool) -> None:
    if not as_json:
        print_workflows(workflows)
        return
    for one in workflows:
        print_json(one)
