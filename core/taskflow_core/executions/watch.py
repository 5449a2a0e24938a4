"""Watching one execution."""

from taskflow_core.events import EventFeed
from taskflow_core.executions.read import ExecutionReader, Whole
from taskflow_core.states import EXECUTION_FINAL, ExecutionEventKind
from taskflow_core.tasks.rows import Row
from taskflow_core.watch import Watched


def watched_executions(reader: ExecutionReader, feed: EventFeed) -> Watched[Whole]:
    """Executions with their node runs, as a Watch has them."""
    return Watched(
        noun="execution",
        mark="watch execution",
        final=EXECUTION_FINAL,
        read=reader.whole,
        read_row=reader.get,
        row=lambda whole: whole.row,
        follow=feed.follow_execution,
        progress_of=_progress_of,
    )


def _progress_of(event: Row) -> str | None:
    """The id of the node run."""
    if event["kind"] != ExecutionEventKind.NODE_PROGRESS:
        return None
    run_id: str = event["data"]["node_run"]["id"]
    return run_id
