"""Schedules: the columns that a caller sets, and what describes the times, as JSON has it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from taskflow_proto.v1 import schedule_pb2, schedule_service_pb2, task_pb2
from taskflow_server.masks import fields_to_change
from taskflow_server.unpack.values import payload, retry_policy, seconds, time

TIMING_FIELDS = (
    *(
        "schedule_type",
        "cron_expression",
        "cron_expressions",
        "interval",
        "anchor_time",
        "run_time",
        "time_zone",
    ),
    *("daylight_saving", "jitter", "start_time", "end_time", "exclude_dates", "exclude_cron_expressions"),
)
PAYLOAD_FIELDS = ("payload", "payload_json")
OTHER_FIELDS = (
    *(
        "name",
        "description",
        "task_type",
        "task_name",
        "workflow_id",
        "workflow_version",
        "payload_expressions",
    ),
    *("priority", "queue", "tags", "retry_policy", "attempt_timeout", "expire_after", "max_runs"),
    *("overlap_policy", "catch_up_policy", "catch_up_window", "pause_on_failure"),
)
CHANGEABLE = frozenset({*TIMING_FIELDS, *PAYLOAD_FIELDS, *OTHER_FIELDS})


def new_schedule(schedule: schedule_pb2.Schedule, max_payload_bytes: int) -> dict[str, Any]:
    """The columns that are set. Raises InvalidArgument (INVALID_FIELDS, NUMBER_NOT_EXACT, LIMIT_EXCEEDED)."""
    wanted = {field.name for field, _ in schedule.ListFields()} & CHANGEABLE
    return _columns(schedule, wanted, max_payload_bytes)


def schedule_changes(
    request: schedule_service_pb2.UpdateScheduleRequest, max_payload_bytes: int
) -> dict[str, Any]:
    """The columns to change, None for defaults, and the members of `timing` to change. Raises as `new_schedule`."""
    wanted = fields_to_change(request.update_mask, request.schedule, CHANGEABLE)
    return _columns(request.schedule, wanted, max_payload_bytes)


def timing(schedule: schedule_pb2.Schedule) -> dict[str, Any]:
    """What describes the times. Raises InvalidArgument."""
    members = {name: _value(schedule, name) for name in TIMING_FIELDS}
    return {name: value for name, value in members.items() if value is not None}


def policy(value: int) -> str:
    """The name of an overlap policy; empty if it is not set."""
    return schedule_pb2.Schedule.OverlapPolicy.Name(value) if value else ""


def _columns(schedule: schedule_pb2.Schedule, wanted: set[str], max_payload_bytes: int) -> dict[str, Any]:
    columns = {name: _value(schedule, name) for name in OTHER_FIELDS if name in wanted}
    if "workflow_id" in columns and columns["workflow_id"] is not None:
        columns["workflow_id"] = UUID(columns["workflow_id"])
    if not wanted.isdisjoint(PAYLOAD_FIELDS):
        content = payload(schedule, max_payload_bytes, within="schedule.")
        columns |= {"payload": content.text, "payload_form": content.form}
    members = {name: _value(schedule, name) for name in TIMING_FIELDS if name in wanted}
    return {**columns, "timing": members} if members else columns


ENUMS = {
    "priority": task_pb2.Task.Priority,
    "schedule_type": schedule_pb2.Schedule.Type,
    "overlap_policy": schedule_pb2.Schedule.OverlapPolicy,
    "catch_up_policy": schedule_pb2.Schedule.CatchUpPolicy,
}


def _value(schedule: schedule_pb2.Schedule, name: str) -> Any:
    """The value of a field, as JSON has it; None if it is not set."""
    value = getattr(schedule, name)
    if name in ENUMS:
        return ENUMS[name].Name(value) if value else None
    match value:
        case Duration():
            return seconds(value) if schedule.HasField(name) else None
        case Timestamp():
            is_set = schedule.HasField(name)
            return time(value, f"schedule.{name}").isoformat() if is_set else None
        case schedule_pb2.DaylightSaving():
            return _daylight_saving(value) or None
        case Message():
            return retry_policy(schedule.retry_policy) if schedule.HasField("retry_policy") else None
        case str() | int():
            return value or None
        case Mapping():
            return dict(value) or None
    return list(value) or None


def _daylight_saving(choice: schedule_pb2.DaylightSaving) -> dict[str, str]:
    names = {}
    if choice.gap:
        names["gap"] = schedule_pb2.DaylightSaving.Gap.Name(choice.gap)
    if choice.fold:
        names["fold"] = schedule_pb2.DaylightSaving.Fold.Name(choice.fold)
    return names
