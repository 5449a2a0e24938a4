"""Executions, their node runs and events, for people."""

from collections.abc import Iterable
from datetime import UTC

from taskflow_cli.show import coloured, json_text, local, print_rows, short, took
from taskflow_client import Execution, ExecutionEvent, NodeRun


def print_executions(executions: Iterable[Execution]) -> None:
    print_rows(
        ("id", "name", "workflow", "version", "status", "created", "took"),
        (
            (
                one.id,
                short(one.name),
                short(one.workflow_name),
                str(one.workflow_version),
                coloured(Execution.Status.Name(one.status)),
                local(one.create_time),
                took(one.create_time, one.end_time),
            )
            for one in executions
        ),
    )


def print_execution(execution: Execution) -> None:
    """What an execution is at, and each of its node runs."""
    print_executions([execution])
    if execution.HasField("error"):
        print_rows(("error",), [(short(f"{execution.error.type}: {execution.error.message}"),)])
    output = execution.WhichOneof("output_kind")
    if output:
        print_rows(("output",), [(json_text(getattr(execution, output)),)])
    print_runs(execution.node_runs)


def print_runs(runs: Iterable[NodeRun]) -> None:
    print_rows(
        ("node", "status", "attempt", "took", "result or error"),
        (
            (
                run.path,
                coloured(NodeRun.Status.Name(run.status)),
                str(run.attempt),
                took(run.start_time, run.end_time) if run.HasField("start_time") else "",
                short(_outcome(run)),
            )
            for run in runs
        ),
    )


def print_events(events: Iterable[ExecutionEvent]) -> None:
    print_rows(
        ("#", "time", "event", "node", "detail"),
        (
            (
                str(event.sequence),
                event.event_time.ToDatetime(UTC).astimezone().time().isoformat("milliseconds"),
                ExecutionEvent.Kind.Name(event.kind),
                event.node_run.path,
                short(event.message or event.error.message or event.node_run.error.message),
            )
            for event in events
        ),
    )


def _outcome(run: NodeRun) -> str:
    if run.HasField("error"):
        return f"{run.error.type}: {run.error.message}"
    result = run.WhichOneof("result_kind")
    return json_text(getattr(run, result)) if result else ""
