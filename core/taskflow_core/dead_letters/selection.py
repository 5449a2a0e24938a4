"""Which dead letters: those of a tenant, by id or by filter."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, literal_column

from taskflow_core.filters import ENUM, INTEGER, TEXT, TIMESTAMP, FilterField
from taskflow_core.models import DEAD_LETTER, Task
from taskflow_core.states import DeadLetterCause
from taskflow_core.tasks import read
from taskflow_core.tasks.shown import shown_tasks

FILTER_FIELDS = read.FILTER_FIELDS | {
    "fingerprint": FilterField(Task.error_fingerprint, TEXT),
    "cause": FilterField(Task.dead_letter_reason, ENUM(DeadLetterCause)),
    "error_type": FilterField(Task.error["type"].astext, TEXT),
    "dead_time": FilterField(Task.finished_at, TIMESTAMP),
    "replay_count": FilterField(Task.replays, INTEGER),
}


@dataclass(frozen=True)
class Selection:
    """These ids or, without any, what matches the filter; all if it is blank."""

    ids: tuple[UUID, ...] = ()
    filter: str = ""

    def conditions(self, tenant_id: str) -> list[ColumnElement[bool]]:
        """As a WHERE clause over tasks. Raises InvalidArgument (INVALID_FILTER)."""
        # Written out, and not bound, so that the planner sees that the partial indexes fit.
        found: list[ColumnElement[bool]] = [Task.tenant_id == tenant_id, literal_column(DEAD_LETTER, Boolean)]
        if self.ids:
            return [*found, Task.id.in_(self.ids)]
        return [*found, *shown_tasks(self.filter, FILTER_FIELDS)]
