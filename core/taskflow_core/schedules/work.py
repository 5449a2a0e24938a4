"""The work of a fire: a task or an execution, as its schedule describes it."""

import json
from datetime import timedelta

from taskflow_core.errors import InvalidArgument
from taskflow_core.executions.start import NewExecution
from taskflow_core.payloads import canonical_json, check_payload
from taskflow_core.schedules.expressions import compute
from taskflow_core.schedules.fires import Fire
from taskflow_core.schedules.ledger import Refused
from taskflow_core.tasks.create import NewTask
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.expression_syntax import ExpressionError


def task_of(schedule: Row, fire: Fire, max_payload_bytes: int) -> NewTask:
    """The task of a fire. Raises Refused if its payload cannot be computed."""
    begin = max(fire.start_time, fire.actual_time)
    expire_after = schedule["expire_after"]
    return NewTask(
        tenant_id=schedule["tenant_id"],
        actor=f"schedule {schedule['id']}",
        name=schedule["task_name"] or schedule["name"],
        task_type=schedule["task_type"],
        queue=schedule["queue"],
        priority=schedule["priority"],
        payload=_payload(schedule, fire, max_payload_bytes),
        payload_form=schedule["payload_form"],
        tags=tuple(schedule["tags"]),
        retry_policy=schedule["retry_policy"],
        attempt_timeout=schedule["attempt_timeout"],
        schedule_time=fire.start_time,
        expire_time=None if expire_after is None else begin + timedelta(seconds=expire_after),
        schedule_id=schedule["id"],
    )


def execution_of(schedule: Row, fire: Fire, max_payload_bytes: int) -> NewExecution:
    """The execution of a fire. Raises Refused if its input cannot be computed."""
    expire_after = schedule["expire_after"]
    return NewExecution(
        tenant_id=schedule["tenant_id"],
        actor=f"schedule {schedule['id']}",
        workflow_id=schedule["workflow_id"],
        version=schedule["workflow_version"],
        name=schedule["task_name"] or schedule["name"],
        input=_payload(schedule, fire, max_payload_bytes),
        input_form=schedule["payload_form"],
        priority=schedule["priority"],
        tags=tuple(schedule["tags"]),
        expire_time=None if expire_after is None else fire.actual_time + timedelta(seconds=expire_after),
        schedule_id=schedule["id"],
    )


def _payload(schedule: Row, fire: Fire, limit: int) -> str:
    expressions = schedule["payload_expressions"]
    if not expressions:
        text: str = schedule["payload"]
        return text
    scope = {
        "fire": {"time": fire.fire_time, "run_number": fire.run_number, "trigger": str(fire.trigger)},
        "schedule": {
            "id": str(schedule["id"]),
            "name": schedule["name"],
            "time_zone": schedule["timing"].get("time_zone") or "UTC",
        },
    }
    payload = json.loads(schedule["payload"])
    for name, source in expressions.items():
        try:
            payload[name] = compute(source, scope)
        except ExpressionError as error:
            raise Refused(f'payload_expressions["{name}"]: {error}') from None
    try:
        text = canonical_json(payload)
        check_payload(text, "payload", limit)
    except (ValueError, InvalidArgument) as error:
        raise Refused(f"the computed payload cannot be sent: {error}") from None
    return text
