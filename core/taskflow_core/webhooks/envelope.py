"""The JSON body of a delivery, version 1: `WebhookEvent` of the contract.

It is made from what the delivery's row holds, and from nothing else, so it is the same in every attempt. The row
has the rows that the event is about as they were then, by kind; one function here turns each kind into what the
contract says. `KINDS` is the list of them.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from taskflow_core.paging import PageTokens
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.graph import NodeType

VERSION = 1

Fields = Mapping[str, Any]


class Envelopes:
    """Makes events of deliveries. `tokens` signs where a watch of the tenant goes on after an event."""

    def __init__(self, tokens: PageTokens) -> None:
        self._tokens = tokens

    def event(self, delivery: Row) -> dict[str, Any]:
        """The event, named as in the contract."""
        data: Fields = delivery["data"]
        event = {
            "type": delivery["event_type"],
            "timestamp": _time(delivery["event_time"]),
            "version": VERSION,
            "tenant": delivery["tenant_id"],
            "sequence": delivery["sequence"],
            "data": {kind: KINDS[kind](data[kind]) for kind in KINDS if kind in data},
        }
        if delivery["task_id"] == delivery["subject_id"]:
            event["resume_token"] = self._resume_token(delivery)
        if delivery["test"]:
            event["data"]["test"] = True
        return event

    def _resume_token(self, delivery: Row) -> str:
        """As WatchTasks gives it out: the place of the event in the log of all tasks."""
        xid = int(delivery["event_xid"])
        place = [xid, xid, delivery["task_id"], delivery["sequence"], delivery["event_time"]]
        return self._tokens.encode(place, {"watch all": delivery["tenant_id"]})


def body_of(event: Fields) -> bytes:
    """The event as it is sent and signed."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def _task(row: Fields) -> dict[str, Any]:
    is_timed = row["status"] in ("SCHEDULED", "RETRYING")
    return _set(
        id=row["id"],
        name=row["name"],
        task_type=row["task_type"],
        priority=row["priority"],
        queue=row["queue"],
        tags=row["tags"],
        retry_policy=_retry_policy(row["retry_policy"]),
        attempt_timeout=_seconds(row["attempt_timeout"]),
        schedule_time=_time(row["run_at"]) if row["status"] == "SCHEDULED" else None,
        expire_time=_time(row["expire_at"]),
        unique_key={"key": row["unique_key"], "scope": row["unique_scope"]} if row["unique_key"] else None,
        status=row["status"],
        progress=_progress(row["progress"]),
        error=_error(row["error"]),
        attempt=row["attempt"],
        failed_attempts=row["failed_attempts"],
        cancel_requested=row["cancel_requested_at"] is not None,
        last_sequence=row["last_sequence"],
        create_time=_time(row["created_at"]),
        start_time=_time(row["started_at"]),
        end_time=_time(row["finished_at"]),
        next_attempt_time=_time(row["run_at"]) if is_timed else None,
        schedule_id=row["schedule_id"],
        execution_id=row["execution_id"],
        node_id=row["node_id"],
    )


def _webhook(row: Fields) -> dict[str, Any]:
    return _set(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        url=row["url"],
        event_types=row["event_types"],
        status=row["status"],
        note=row["note"],
        last_success_time=_time(row["last_success_at"]),
        failing_since_time=_time(row["failing_since"]),
        consecutive_failures=row["consecutive_failures"],
        create_time=_time(row["created_at"]),
        update_time=_time(row["updated_at"]),
    )


def _execution(row: Fields) -> dict[str, Any]:
    return _set(
        id=row["id"],
        name=row["name"],
        workflow_id=row["workflow_id"],
        workflow_name=row["workflow_name"],
        workflow_version=row["workflow_version"],
        priority=row["priority"],
        tags=row["tags"],
        expire_time=_time(row["expire_at"]),
        status=row["status"],
        error=_error(row["error"]),
        failed_node_id=row["failed_node_id"],
        cancel_requested=row["cancel_requested_at"] is not None,
        last_sequence=row["last_sequence"],
        create_time=_time(row["created_at"]),
        end_time=_time(row["finished_at"]),
        schedule_id=row["schedule_id"],
        parent_execution_id=row["parent_execution_id"],
        parent_node_run_id=row["parent_node_run_id"],
        source_execution_id=row["source_execution_id"],
    )


def _node_run(logged: Fields) -> dict[str, Any]:
    """As the log of the execution has it: what is not set is not there."""
    return _set(
        id=logged["id"],
        execution_id=logged["execution_id"],
        node_id=logged["node_id"],
        path=logged["path"],
        parent_node_run_id=logged.get("parent_node_run_id"),
        type=logged["type"],
        status=logged["status"],
        attempt=logged["attempt"],
        error=_error(logged.get("error")),
        # Those of other nodes are the engine's own.
        task_id=logged.get("task_id") if logged["type"] == NodeType.TASK else None,
        child_execution_id=logged.get("child_execution_id"),
        compensation_task_id=logged.get("compensation_task_id"),
        branch=logged.get("branch"),
        signal=logged.get("signal"),
        taken_over=logged.get("taken_over"),
        create_time=_time(logged["created_at"]),
        start_time=_time(logged.get("started_at")),
        end_time=_time(logged.get("finished_at")),
        wake_time=_time(logged.get("wake_at")),
    )


def _fire(row: Fields) -> dict[str, Any]:
    return _set(
        schedule_id=row["schedule_id"],
        fire_time=_time(row["fire_time"]),
        outcome=row["outcome"],
        trigger=row["trigger"],
        actual_time=_time(row["actual_time"]),
        start_time=_time(row["start_time"]),
        run_number=row["run_number"],
        task_id=row["task_id"],
        execution_id=row["execution_id"],
        reason=row["reason"],
    )


# By the names that the contract's WebhookEventData has.
KINDS: dict[str, Callable[[Fields], dict[str, Any]]] = {
    "task": _task,
    "fire": _fire,
    "execution": _execution,
    "node_run": _node_run,
    "webhook": _webhook,
}


def _progress(progress: Fields | None) -> dict[str, Any] | None:
    if not progress:
        return None
    return _set(**{**progress, "data": progress.get("data")})


def _error(error: Fields | None) -> dict[str, Any] | None:
    return _set(**error) if error else None


def _retry_policy(policy: Fields | None) -> dict[str, Any] | None:
    if not policy:
        return None
    waits = {name: _seconds(policy.get(name)) for name in ("initial_backoff", "max_backoff")}
    return _set(**{**policy, **waits})


def _set(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _time(time: datetime | str | None) -> str | None:
    """RFC 3339 in UTC, with microseconds."""
    if time is None:
        return None
    # Times of a row come back from JSON as PostgreSQL writes them, in the zone of the session.
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _seconds(seconds: float | None) -> str | None:
    """A duration as JSON has it."""
    return None if seconds is None else f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"
