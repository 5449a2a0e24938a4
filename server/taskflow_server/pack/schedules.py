"""Schedules, and their fires."""

import json
from collections.abc import Mapping
from typing import Any

from taskflow_core.etags import etag_of
from taskflow_core.schedules.preview import Preview
from taskflow_core.tasks.rows import Row
from taskflow_proto.v1 import schedule_pb2, schedule_service_pb2
from taskflow_server.pack.values import duration, id_text, retry_policy, time_of, timestamp

Schedule = schedule_pb2.Schedule


def schedule(row: Row) -> schedule_pb2.Schedule:
    """A schedule, with its defaults filled in."""
    message = Schedule(
        id=id_text(row["id"]),
        name=row["name"],
        description=row["description"],
        task_type=row["task_type"] or "",
        task_name=row["task_name"] or row["name"],
        workflow_id=id_text(row["workflow_id"]),
        workflow_version=row["workflow_version"] or 0,
        payload_expressions=row["payload_expressions"],
        priority=row["priority"],
        queue=row["queue"],
        tags=row["tags"],
        retry_policy=None if row["retry_policy"] is None else retry_policy(row["retry_policy"]),
        attempt_timeout=duration(row["attempt_timeout"]),
        expire_after=duration(row["expire_after"]),
        schedule_type=row["schedule_type"],
        max_runs=row["max_runs"] or 0,
        overlap_policy=row["overlap_policy"],
        catch_up_policy=row["catch_up_policy"],
        catch_up_window=duration(row["catch_up_window"]),
        pause_on_failure=row["pause_on_failure"],
        status=row["status"],
        note=row["note"],
        next_fire_time=timestamp(row["next_fire_at"]),
        last_fire_time=timestamp(row["last_fire_at"]),
        last_task_id=id_text(row["last_task_id"]),
        last_execution_id=id_text(row["last_execution_id"]),
        fire_counts=schedule_pb2.FireCounts(
            fired=row["fired"],
            caught_up=row["caught_up"],
            skipped=row["skipped"],
            missed=row["missed"],
            dropped=row["dropped"],
            buffered=row["buffered"],
            triggered=row["triggered"],
            backfilled=row["backfilled"],
            failed=row["failed"],
        ),
        create_time=timestamp(row["created_at"]),
        update_time=timestamp(row["updated_at"]),
        etag=etag_of(row),
        **_timing(row["timing"]),
    )
    if row["payload_form"] == "JSON":
        message.payload_json = row["payload"]
    else:
        message.payload.SetInParent()
        message.payload.update(json.loads(row["payload"]))
    return message


def fire(row: Row) -> schedule_pb2.ScheduleFire:
    """A fire, with what became of it."""
    return schedule_pb2.ScheduleFire(
        schedule_id=str(row["schedule_id"]),
        fire_time=timestamp(row["fire_time"]),
        outcome=row["outcome"],
        trigger=row["trigger"],
        actual_time=timestamp(row["actual_time"]),
        start_time=timestamp(row["start_time"]),
        run_number=row["run_number"],
        task_id=id_text(row["task_id"]),
        execution_id=id_text(row["execution_id"]),
        reason=row["reason"],
    )


def schedule_preview(preview: Preview) -> schedule_service_pb2.PreviewScheduleResponse:
    """Times that lie ahead."""
    return schedule_service_pb2.PreviewScheduleResponse(
        fires=[
            schedule_service_pb2.PreviewedFire(
                fire_time=timestamp(ahead.fire_time),
                local_time=ahead.local_time.isoformat(),
                start_time=timestamp(ahead.start_time),
                clock_change=ahead.clock_change,
            )
            for ahead in preview.fires
        ],
        time_zone=preview.time_zone,
    )


def _timing(timing: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that describe the times."""
    return {
        "cron_expression": timing.get("cron_expression"),
        "cron_expressions": timing.get("cron_expressions", ()),
        "interval": duration(timing.get("interval")),
        "anchor_time": timestamp(time_of(timing.get("anchor_time"))),
        "run_time": timestamp(time_of(timing.get("run_time"))),
        "time_zone": timing.get("time_zone", "UTC"),
        "daylight_saving": schedule_pb2.DaylightSaving(
            gap=timing.get("daylight_saving", {}).get("gap", "SHIFT_FIXED_HOURS"),
            fold=timing.get("daylight_saving", {}).get("fold", "ONCE_FOR_FIXED_HOURS"),
        ),
        "jitter": duration(timing.get("jitter")),
        "start_time": timestamp(time_of(timing.get("start_time"))),
        "end_time": timestamp(time_of(timing.get("end_time"))),
        "exclude_dates": timing.get("exclude_dates", ()),
        "exclude_cron_expressions": timing.get("exclude_cron_expressions", ()),
    }
