"""TestWebhook: one made-up event on its way like any other, and its answer."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.ids import new_id
from taskflow_core.queue import Queue
from taskflow_core.states import DELIVERY_FINAL
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.checks import EVENT_TYPES, check_event_types
from taskflow_core.webhooks.delivery_log import DeliveryReader
from taskflow_core.webhooks.read import WebhookReader
from taskflow_core.webhooks.wake import wake_deliverers

# Longest wait for the answer beyond the timeout of the request, and in all: within the time that a call has.
PATIENCE = 5.0
LONGEST = 25.0
PAUSE = 0.05

# The id of what does not exist.
NOTHING = str(UUID(int=0))
STATUS_AFTER = {
    "task.created": "QUEUED",
    "task.retrying": "RETRYING",
    "task.success": "SUCCEEDED",
    "task.failed": "FAILED",
    "task.dead_lettered": "FAILED",
    "task.cancelled": "CANCELLED",
    "workflow.success": "SUCCEEDED",
    "workflow.failed": "FAILED",
    "workflow.cancelled": "CANCELLED",
}

INSERT = """
INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, event_type, event_time, subject_id, data, test)
VALUES ($1, $2, $3, $4, now(), $1, $5, true)
"""


class WebhookTrial:
    """Sends test events."""

    def __init__(
        self, database: Database, queue: Queue, webhooks: WebhookReader, deliveries: DeliveryReader
    ) -> None:
        self._database = database
        self._queue = queue
        self._webhooks = webhooks
        self._deliveries = deliveries

    async def send(self, tenant_id: str, webhook_id: UUID, event_type: str) -> Row:
        """Have a worker send a test event, and return the delivery once it is final, or as it is after a while.

        Without `event_type` it is the first that the webhook gets. Raises NotFound, InvalidArgument.
        """
        webhook = await self._webhooks.get(tenant_id, webhook_id)
        if event_type:
            check_event_types([event_type], "event_type")
        else:
            event_type = _first_of(webhook["event_types"])
        delivery_id = new_id()
        data = _made_up(event_type, webhook)
        await self._database.pool.execute(INSERT, delivery_id, tenant_id, webhook_id, event_type, data)
        await wake_deliverers(self._queue)
        clock = asyncio.get_running_loop().time
        last_look = clock() + min(webhook["request_timeout"] + PATIENCE, LONGEST)
        while True:
            row = await self._deliveries.get(tenant_id, delivery_id)
            if row["status"] in DELIVERY_FINAL or clock() > last_look:
                return row
            await asyncio.sleep(PAUSE)


def _first_of(event_types: list[str]) -> str:
    wanted = event_types[0]
    return next(
        (known for known in EVENT_TYPES if wanted in ("*", known, f"{known.partition('.')[0]}.*")), wanted
    )


def _made_up(event_type: str, webhook: Row) -> dict[str, Any]:
    match event_type.partition(".")[0]:
        case "task":
            return {"task": _task(event_type)}
        case "workflow":
            return {"execution": _execution(event_type)}
        case "webhook":
            return {"webhook": _disabled(webhook)}
    return {}


def _disabled(webhook: Row) -> dict[str, Any]:
    names = ("name", "description", "url", "event_types", "status", "note", "consecutive_failures")
    kept = {name: webhook[name] for name in names}
    unset = dict.fromkeys(("last_success_at", "failing_since", "created_at", "updated_at"))
    return kept | unset | {"id": str(webhook["id"])}


def _task(event_type: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    unset = (
        *("retry_policy", "attempt_timeout", "expire_at", "cancel_requested_at", "progress", "error"),
        *(
            "unique_key",
            "unique_scope",
            "schedule_id",
            "execution_id",
            "node_id",
            "started_at",
            "finished_at",
        ),
    )
    return dict.fromkeys(unset) | {
        "id": NOTHING,
        "name": "a test",
        "task_type": "test",
        "queue": "default",
        "priority": "NORMAL",
        "tags": [],
        "status": STATUS_AFTER.get(event_type, "RUNNING"),
        "run_at": now,
        "attempt": 1,
        "failed_attempts": 0,
        "last_sequence": 1,
        "created_at": now,
    }


def _execution(event_type: str) -> dict[str, Any]:
    unset = (
        *("expire_at", "error", "failed_node_id", "cancel_requested_at", "finished_at", "schedule_id"),
        *("parent_execution_id", "parent_node_run_id", "source_execution_id"),
    )
    return dict.fromkeys(unset) | {
        "id": NOTHING,
        "name": "a test",
        "workflow_id": NOTHING,
        "workflow_name": "test",
        "workflow_version": 1,
        "priority": "NORMAL",
        "tags": [],
        "status": STATUS_AFTER.get(event_type, "RUNNING"),
        "last_sequence": 1,
        "created_at": datetime.now(UTC).isoformat(),
    }
