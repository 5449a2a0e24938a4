"""TestWebhook: one made-up event on its way like any other, and its answer."""

import asyncio
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.ids import new_id
from taskflow_core.queue import Queue
from taskflow_core.states import DELIVERY_FINAL
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.checks import EVENT_TYPES, check_event_types
from taskflow_core.webhooks.delivery_log import DeliveryReader
from taskflow_core.webhooks.made_up import made_up
from taskflow_core.webhooks.read import WebhookReader
from taskflow_core.webhooks.wake import wake_deliverers

# Longest wait for the answer beyond the timeout of the request, and in all: within the time that a call has.
PATIENCE = 5.0
LONGEST = 25.0
PAUSE = 0.05

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
        data = made_up(event_type, webhook)
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
