"""What a caller says about a schedule: its defaults, and the checks across fields."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer

from taskflow_core.errors import InvalidArgument
from taskflow_core.models import Schedule
from taskflow_core.schedules.expressions import check_expressions
from taskflow_core.schedules.timing import Timing, parse_timing
from taskflow_core.service_tasks import PREFIX, is_reserved
from taskflow_core.states import CatchUpPolicy, OverlapPolicy, Priority, ScheduleType

DAY = 24 * 3600.0
DEFAULT_CATCH_UP_WINDOW = 365 * DAY

# Every field that a caller can set, by its column, with its default.
DEFAULTS: dict[str, Any] = {
    "name": "",
    "description": "",
    "task_type": None,
    "task_name": "",
    "workflow_id": None,
    "workflow_version": None,
    "payload": "{}",
    "payload_form": "STRUCT",
    "payload_expressions": {},
    "priority": Priority.NORMAL,
    "queue": "default",
    "tags": [],
    "retry_policy": None,
    "attempt_timeout": None,
    "expire_after": None,
    "timing": {},
    "max_runs": None,
    "overlap_policy": OverlapPolicy.SKIP,
    "catch_up_policy": CatchUpPolicy.ALL,
    "catch_up_window": DEFAULT_CATCH_UP_WINDOW,
    "pause_on_failure": False,
}
# A row without anything in it.
BLANK: dict[str, Any] = {
    **{
        name: 0 if isinstance(column.type, Integer) and not column.nullable else None
        for name, column in Schedule.__table__.columns.items()
    },
    "note": "",
    "revision": 1,
}
COLUMNS = tuple(BLANK)
DEFINED = (*DEFAULTS, "schedule_type")
# Raises InvalidArgument at `workflow_id` or `workflow_version` if a schedule of the tenant cannot start that.
CheckWorkflow = Callable[[str, UUID, int | None], Awaitable[None]]


@dataclass(frozen=True)
class Definition:
    """A schedule as its caller wants it: checked, complete, and what its times are."""

    fields: Mapping[str, Any]
    timing: Timing


def check_definition(fields: Mapping[str, Any], created_at: datetime) -> Definition:
    """The definition of a schedule with these fields. Raises InvalidArgument with paths from `schedule` on."""
    fields = {**fields, "timing": anchored(fields["timing"], created_at)}
    try:
        if not fields["name"].strip():
            raise InvalidArgument.at("name", "is required: 1 to 200 characters")
        _check_work(fields)
        check_expressions(fields["payload_expressions"], "payload_expressions")
        return Definition(fields, parse_timing(fields["timing"]))
    except InvalidArgument as error:
        raise error.under("schedule") from None


def anchored(timing: Mapping[str, Any], created_at: datetime) -> dict[str, Any]:
    """The description of times, in which an interval has an anchor."""
    if timing.get("interval") and not (timing.get("anchor_time") or timing.get("start_time")):
        return {**timing, "anchor_time": created_at.isoformat()}
    return dict(timing)


def _check_work(fields: Mapping[str, Any]) -> None:
    task_type, workflow_id = fields["task_type"], fields["workflow_id"]
    if task_type is None and workflow_id is None:
        raise InvalidArgument.at("task_type", "is required, unless workflow_id says what to start")
    if task_type is not None and workflow_id is not None:
        raise InvalidArgument.at(
            "workflow_id", "is not allowed beside task_type; a schedule starts one of them"
        )
    if task_type is not None and is_reserved(task_type):
        raise InvalidArgument.at(
            "task_type",
            f"{task_type!r} is the service's own; names that begin with {PREFIX!r} are reserved",
            task_type=task_type,
            reserved=PREFIX,
        )
    if workflow_id is not None and fields["timing"].get("jitter"):
        raise InvalidArgument.at("jitter", "is allowed only with task_type: an execution starts at once")
    if workflow_id is None and fields["workflow_version"] is not None:
        raise InvalidArgument.at("workflow_version", "is allowed only with workflow_id")


async def check_workflow_of(definition: Definition, tenant_id: str, check_workflow: CheckWorkflow) -> None:
    """Raise InvalidArgument if the definition names a workflow that it cannot start."""
    workflow_id = definition.fields["workflow_id"]
    if workflow_id is None:
        return
    await check_workflow(tenant_id, workflow_id, definition.fields["workflow_version"])


def first_time(definition: Definition, now: datetime) -> datetime | None:
    """When a schedule that begins now fires first. A single time that has passed fires at once."""
    timing = definition.timing
    if timing.schedule_type == ScheduleType.ONE_TIME:
        return timing.next_after(datetime.min.replace(tzinfo=now.tzinfo))
    return timing.next_after(now)


def merged(present: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a schedule with changes laid over them; None goes back to the default."""
    fields = dict(present)
    for name, value in changes.items():
        if name == "timing":
            timing = {**present["timing"], **value}
            fields[name] = {member: wanted for member, wanted in timing.items() if wanted is not None}
        else:
            fields[name] = DEFAULTS[name] if value is None else value
    return fields
