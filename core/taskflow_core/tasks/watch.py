"""Watching one task."""

from functools import partial
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.events import EventFeed
from taskflow_core.states import TASK_FINAL
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.rows import Row
from taskflow_core.watch import Watched


def watched_tasks(database: Database, feed: EventFeed) -> Watched[Row]:
    """Tasks, as a Watch has them."""
    read = partial(get_task, database)
    return Watched(
        noun="task",
        mark="watch",
        final=TASK_FINAL,
        read=read,
        read_row=read,
        row=lambda task: task,
        follow=feed.follow,
        progress_of=_progress_of,
    )


def _progress_of(event: Row) -> UUID | None:
    task_id: UUID = event["task_id"]
    return task_id if event["kind"] == "PROGRESS" else None
