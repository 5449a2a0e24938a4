"""Changes of a webhook by its owner: updated, enabled, disabled, given another secret, deleted."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from taskflow_core.db import Connection, Database, exactly_once, until_answered
from taskflow_core.etags import check_etag, etag_of
from taskflow_core.queue import Queue
from taskflow_core.settings import Settings
from taskflow_core.states import SignatureScheme, WebhookStatus
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.checks import check_webhook
from taskflow_core.webhooks.definition import (
    COLUMNS,
    DEFAULTS,
    ROW_COLUMNS,
    WithSecret,
    completed,
    headers_of,
    unmasked,
    values,
)
from taskflow_core.webhooks.disable import disable
from taskflow_core.webhooks.read import GET, WebhookReader, found
from taskflow_core.webhooks.secrets import SecretBox, check_secret, make_secret, public_key_of
from taskflow_core.webhooks.wake import wake_deliverers

PATIENCE = 5.0

LOCK = f"{GET} FOR UPDATE"

UPDATE = f"""
UPDATE webhooks SET ({COLUMNS}) = ROW($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13),
  revision = revision + 1, updated_at = now()
WHERE id = $1 RETURNING *
"""  # noqa: S608 - the columns are our own

# Whatever disabled it, it starts with a clean slate.
ENABLE = """
UPDATE webhooks SET status = 'ENABLED', note = '', failing_since = NULL, consecutive_failures = 0,
  circuit_open_until = NULL, revision = revision + 1, updated_at = now()
WHERE id = $1 AND tenant_id = $2 AND status <> 'ENABLED' RETURNING *
"""

ROTATE = """
UPDATE webhooks SET secret = $2, public_key = $3,
  previous_secret = CASE WHEN $4::float8 > 0 THEN secret END,
  previous_secret_expires_at = CASE WHEN $4::float8 > 0 THEN now() + make_interval(secs => $4) END,
  revision = revision + 1, updated_at = now()
WHERE id = $1 RETURNING *
"""

DELETE = "DELETE FROM webhooks WHERE id = $1"
# What dies between these two statements is found by retention.
DELETE_DELIVERIES = """
WITH few AS MATERIALIZED (SELECT id FROM webhook_deliveries WHERE webhook_id = $1 LIMIT 5000),
attempts AS (DELETE FROM webhook_attempts a WHERE a.delivery_id = ANY(SELECT id FROM few))
DELETE FROM webhook_deliveries d WHERE d.id = ANY(SELECT id FROM few)
"""


class WebhookSteering:
    """Changes webhooks."""

    def __init__(
        self, database: Database, queue: Queue, reader: WebhookReader, box: SecretBox, settings: Settings
    ) -> None:
        self._database = database
        self._queue = queue
        self._reader = reader
        self._box = box
        self._settings = settings

    async def update(
        self,
        tenant_id: str,
        webhook_id: UUID,
        changes: Mapping[str, Any],
        *,
        etag: str = "",
        validate_only: bool = False,
    ) -> Row:
        """Change some fields; a value of None goes back to the default. Deliveries that wait go by the new ones.

        Raises NotFound, InvalidArgument, EtagMismatch.
        """
        reset = {name: DEFAULTS[name] if value is None else value for name, value in changes.items()}
        async with self._database.pool.acquire() as connection, connection.transaction():
            present = found(await connection.fetchrow(LOCK, webhook_id, tenant_id), webhook_id)
            check_etag("webhook", str(webhook_id), etag, etag_of(present))
            kept = {name: present[name] for name in DEFAULTS if name != "headers"}
            kept["headers"] = headers_of(present, self._box)
            webhook = completed(kept | reset)
            webhook["headers"] = unmasked(webhook["headers"], kept["headers"])
            check_webhook(webhook, self._settings)
            if validate_only:
                stored = {name: present[name] for name in ROW_COLUMNS}
                return stored | webhook | {"header_names": sorted(webhook["headers"])}
            return await _one(connection, UPDATE, webhook_id, *values(webhook, webhook_id, self._box))

    async def delete(
        self, tenant_id: str, webhook_id: UUID, *, etag: str = "", allow_missing: bool = False
    ) -> None:
        """Delete a webhook with its deliveries. Raises NotFound unless `allow_missing`, EtagMismatch."""

        async def delete_it(connection: Connection) -> bool:
            present = await connection.fetchrow(LOCK, webhook_id, tenant_id)
            if present is None and allow_missing:
                return False
            check_etag("webhook", str(webhook_id), etag, etag_of(found(present, webhook_id)))
            await connection.execute(DELETE, webhook_id)
            return True

        async def delete_some() -> str:
            return await self._database.pool.execute(DELETE_DELIVERIES, webhook_id)

        if not await exactly_once(self._database, delete_it, "delete a webhook", give_up_after=PATIENCE):
            return
        # Some may be written at this moment: then PostgreSQL may end either of the two.
        while await until_answered(delete_some, "delete deliveries", give_up_after=PATIENCE) != "DELETE 0":
            pass

    async def enable(self, tenant_id: str, webhook_id: UUID) -> Row:
        """Let it get events from now on. Raises NotFound."""
        row: Row | None = await until_answered(
            lambda: self._database.pool.fetchrow(ENABLE, webhook_id, tenant_id),
            "enable a webhook",
            give_up_after=PATIENCE,
        )
        await wake_deliverers(self._queue)
        return row or await self._reader.get(tenant_id, webhook_id)

    async def disable(self, tenant_id: str, webhook_id: UUID, note: str) -> Row:
        """Let it get no more events, and cancel what waits. Raises NotFound."""

        async def once() -> Row:
            async with self._database.pool.acquire() as connection, connection.transaction():
                found(await connection.fetchrow(LOCK, webhook_id, tenant_id), webhook_id)
                await disable(connection, webhook_id, WebhookStatus.DISABLED, note, by_caller=True)
                return await _one(connection, GET, webhook_id, tenant_id)

        return await until_answered(once, "disable a webhook", give_up_after=PATIENCE)

    async def rotate(self, tenant_id: str, webhook_id: UUID, secret: str, overlap: float) -> WithSecret:
        """Give it a new secret; the old one signs too for `overlap` seconds. Raises NotFound, InvalidArgument."""
        present = await self._reader.get(tenant_id, webhook_id)
        scheme = SignatureScheme(present["signature_scheme"])
        if secret:
            check_secret(secret, scheme, "secret")
        secret = secret or make_secret(scheme)
        async with self._database.pool.acquire() as connection, connection.transaction():
            found(await connection.fetchrow(LOCK, webhook_id, tenant_id), webhook_id)
            sealed = self._box.seal(secret, webhook_id, "secret")
            row = await _one(connection, ROTATE, webhook_id, sealed, public_key_of(secret, scheme), overlap)
        return WithSecret(row, secret)


async def _one(connection: Connection, statement: str, *arguments: Any) -> Row:
    [row] = await connection.fetch(statement, *arguments)
    return row
