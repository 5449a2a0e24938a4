"""A new webhook, enabled at once."""

import json
from collections.abc import Mapping
from typing import Any

from taskflow_core.db import Database, until_answered
from taskflow_core.errors import AlreadyExists, InvalidArgument
from taskflow_core.ids import new_id
from taskflow_core.queue import Queue
from taskflow_core.settings import Settings
from taskflow_core.states import SignatureScheme
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.checks import MASK, check_webhook
from taskflow_core.webhooks.definition import COLUMNS, WithSecret, completed, preview, values
from taskflow_core.webhooks.secrets import SecretBox, check_secret, make_secret, public_key_of
from taskflow_core.webhooks.wake import wake_deliverers

PATIENCE = 5.0

INSERT = f"""
INSERT INTO webhooks (id, tenant_id, {COLUMNS}, secret, signature_scheme, public_key, request_id, request_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT DO NOTHING RETURNING *
"""  # noqa: S608 - the columns are our own
FIND_REPEATED = "SELECT * FROM webhooks WHERE id = $1 OR (tenant_id = $2 AND request_id = $3)"


class WebhookCreation:
    """Stores webhooks."""

    def __init__(self, database: Database, queue: Queue, box: SecretBox, settings: Settings) -> None:
        self._database = database
        self._queue = queue
        self._box = box
        self._settings = settings

    async def create(
        self,
        tenant_id: str,
        fields: Mapping[str, Any],
        *,
        scheme: SignatureScheme = SignatureScheme.HMAC_SHA256,
        secret: str = "",
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> WithSecret:
        """Store a webhook; `fields` has values for some names of `DEFAULTS`.

        Raises InvalidArgument, AlreadyExists (REQUEST_ID_REUSED).
        """
        webhook = completed(fields)
        if MASK in webhook["headers"].values():
            raise InvalidArgument.at(
                "webhook.headers", f"{MASK} stands for a value that is kept; there is none yet"
            )
        check_webhook(webhook, self._settings)
        if secret:
            check_secret(secret, scheme, "webhook.secret")
        digest = self._box.digest(json.dumps([webhook, scheme, secret], sort_keys=True))
        secret = secret or make_secret(scheme)
        webhook_id = new_id()
        stored = (
            *values(webhook, webhook_id, self._box),
            self._box.seal(secret, webhook_id, "secret"),
            scheme.value,
            public_key_of(secret, scheme),
            request_id,
            digest,
        )
        if validate_only:
            return WithSecret(preview(tenant_id, webhook, scheme), "")

        async def once() -> Row:
            row: Row | None = await self._database.pool.fetchrow(INSERT, webhook_id, tenant_id, *stored)
            if row is not None:
                return row
            return await self._database.pool.fetchrow(FIND_REPEATED, webhook_id, tenant_id, request_id)  # type: ignore[return-value]

        row = await until_answered(once, "create a webhook", give_up_after=PATIENCE)
        if row["id"] != webhook_id:
            if row["request_digest"] != digest:
                raise AlreadyExists(
                    f"request id {request_id!r} was used before, with another request",
                    reason="REQUEST_ID_REUSED",
                    request_id=str(request_id),
                    webhook_id=str(row["id"]),
                )
            return WithSecret(row, "")
        await wake_deliverers(self._queue)
        return WithSecret(row, secret)
