"""What the statements of this package share: the columns of a row, and the hint that stands for it."""

import math
from datetime import datetime, timedelta
from typing import Any, Protocol

from taskflow_core.models import Task
from taskflow_core.queue import HORIZON_SECONDS, Hint, Lane


class Row(Protocol):
    """One row of a statement, by column name: of the driver, of SQLAlchemy, or a dict."""

    def __getitem__(self, name: str, /) -> Any: ...


COLUMNS = tuple(Task.__table__.columns.keys())


def columns(alias: str) -> str:
    """All columns of `tasks`, for a SELECT or a RETURNING."""
    return ", ".join(f"{alias}.{name}" for name in COLUMNS)


def hint_of(row: Row) -> Hint:
    """The hint that stands for a waiting task. Needs id, queue, priority, attempt and run_at."""
    return Hint(
        lane=Lane(row["queue"], row["priority"]),
        task_id=row["id"],
        attempt=row["attempt"],
        # Rounded up: a hint that comes a fraction early would be dropped as not yet due.
        due_ms=math.ceil(row["run_at"].timestamp() * 1000),
    )


def hint_if_near(row: Row, now: datetime) -> Hint | None:
    """The hint, unless the task is due so late that the sweep is to bring it."""
    if row["run_at"] - now > timedelta(seconds=HORIZON_SECONDS):
        return None
    return hint_of(row)
