"""The endpoints that a worker sends to, each with connections that last from one delivery to the next."""

import time
from uuid import UUID

from taskflow_core.settings import Settings
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.secrets import SecretBox
from taskflow_worker.posting import Endpoint

# Seconds after which an endpoint that nothing was sent to gives up its connections: longer than any request.
IDLE = 120.0


class Endpoints:
    """One for each webhook and revision: what is claimed after a change is sent as the change says."""

    def __init__(self, box: SecretBox, settings: Settings) -> None:
        self._box = box
        self._settings = settings
        self._by_revision: dict[tuple[UUID, int], Endpoint] = {}

    def of(self, delivery: Row) -> Endpoint:
        """Where a claimed delivery goes. Raises SecretUnreadable."""
        key = (delivery["webhook_id"], delivery["revision"])
        if key not in self._by_revision:
            self._by_revision[key] = Endpoint(delivery, self._box, self._settings)
        endpoint = self._by_revision[key]
        endpoint.used_at = time.monotonic()
        return endpoint

    async def close_idle(self) -> None:
        """Give up the connections of endpoints that nothing was sent to for a while."""
        before = time.monotonic() - IDLE
        for key, endpoint in list(self._by_revision.items()):
            if endpoint.used_at < before:
                del self._by_revision[key]
                await endpoint.close()

    async def close(self) -> None:
        """Hang up everywhere, once nothing is under way."""
        for endpoint in self._by_revision.values():
            await endpoint.close()
