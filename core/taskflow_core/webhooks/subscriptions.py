"""Webhooks as their owners see them: created, read, changed, enabled, disabled, rotated, deleted.

A row never leaves here with a secret; the one time it is told it comes apart, in `Created`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import select

from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import AlreadyExists, EtagMismatch, InvalidArgument, NotFound
from taskflow_core.filters import ENUM, TEXT, TEXT_LIST, TIMESTAMP, FilterField, compile_filter
from taskflow_core.filters import UUID as UUID_KIND
from taskflow_core.ids import new_id
from taskflow_core.models import Webhook
from taskflow_core.paging import PageTokens, parse_order
from taskflow_core.queue import Queue
from taskflow_core.settings import Settings
from taskflow_core.states import SignatureScheme, WebhookStatus
from taskflow_core.tasks.read import Page, PageRequest, fetch_page
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.checks import MASK, check_webhook
from taskflow_core.webhooks.disable import disable
from taskflow_core.webhooks.secrets import SecretBox, check_secret, make_secret, public_key_of
from taskflow_core.webhooks.wake import wake_deliverers

PATIENCE = 5.0

DEFAULTS: dict[str, Any] = {
    "name": "",
    "description": "",
    "url": "",
    "event_types": [],
    "condition": "",
    "headers": {},
    "retry_policy": None,
    "request_timeout": 15.0,
    "max_concurrency": 10,
    "ordered": False,
    "disable_after": 5 * 86_400.0,
}
COLUMNS = (
    "name, description, url, event_types, condition, header_names, headers, retry_policy, request_timeout,"
    " max_concurrency, ordered, disable_after"
)

ROW_COLUMNS = tuple(Webhook.__table__.columns.keys())

GET = "SELECT * FROM webhooks WHERE id = $1 AND tenant_id = $2"
LOCK = f"{GET} FOR UPDATE"

INSERT = f"""
INSERT INTO webhooks (id, tenant_id, {COLUMNS}, secret, signature_scheme, public_key, request_id, request_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT DO NOTHING RETURNING *
"""  # noqa: S608 - the columns are our own
FIND_REPEATED = "SELECT * FROM webhooks WHERE id = $1 OR (tenant_id = $2 AND request_id = $3)"

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

FILTER_FIELDS = {
    "id": FilterField(Webhook.id, UUID_KIND),
    "name": FilterField(Webhook.name, TEXT),
    "url": FilterField(Webhook.url, TEXT),
    "event_types": FilterField(Webhook.event_types, TEXT_LIST),
    "status": FilterField(Webhook.status, ENUM(WebhookStatus)),
    "create_time": FilterField(Webhook.created_at, TIMESTAMP),
    "update_time": FilterField(Webhook.updated_at, TIMESTAMP),
}
ORDER_FIELDS = {"create_time": Webhook.created_at, "name": Webhook.name, "id": Webhook.id}


@dataclass(frozen=True)
class WithSecret:
    """A webhook, and its secret where it is told: after it was made, and not when the call was repeated."""

    row: Row
    secret: str


class Webhooks:
    """The webhooks of each tenant."""

    def __init__(
        self, database: Database, queue: Queue, tokens: PageTokens, box: SecretBox, settings: Settings
    ) -> None:
        self._database = database
        self._queue = queue
        self._tokens = tokens
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
        webhook = _completed({**DEFAULTS, **fields})
        if MASK in webhook["headers"].values():
            raise InvalidArgument.at(
                "webhook.headers", f"{MASK} stands for a value that is kept; there is none yet"
            )
        check_webhook(webhook, self._settings)
        if secret:
            check_secret(secret, scheme, "webhook.secret")
        digest = _digest(webhook, scheme, secret)
        secret = secret or make_secret(scheme)
        webhook_id = new_id()
        values = (
            *self._columns(webhook_id, webhook),
            self._box.seal(secret, webhook_id, "secret"),
            scheme.value,
            public_key_of(secret, scheme),
            request_id,
            digest,
        )
        if validate_only:
            return WithSecret(_preview(tenant_id, webhook, scheme), "")

        async def once() -> Row:
            row: Row | None = await self._database.pool.fetchrow(INSERT, webhook_id, tenant_id, *values)
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

    async def get(self, tenant_id: str, webhook_id: UUID) -> Row:
        """One webhook. Raises NotFound."""
        return _found(await self._database.pool.fetchrow(GET, webhook_id, tenant_id), webhook_id)

    async def list(self, tenant_id: str, page: PageRequest, *, filter: str, order_by: str) -> Page:
        """Webhooks, newest first unless `order_by` says otherwise.

        Raises InvalidArgument (INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_TOKEN).
        """
        order = parse_order(order_by, ORDER_FIELDS, default="create_time desc")
        query = select(*Webhook.__table__.columns).where(Webhook.tenant_id == tenant_id)
        condition = compile_filter(filter, FILTER_FIELDS)
        if condition is not None:
            query = query.where(condition)
        arguments = {"list": "webhooks", "tenant": tenant_id, "filter": filter, "order": str(order)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

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
            present = _found(await connection.fetchrow(LOCK, webhook_id, tenant_id), webhook_id)
            _check_etag(present, etag)
            kept = {name: present[name] for name in DEFAULTS if name != "headers"}
            kept["headers"] = self._headers(present)
            webhook = _completed(kept | reset)
            webhook["headers"] = _unmasked(webhook["headers"], kept["headers"])
            check_webhook(webhook, self._settings)
            if validate_only:
                stored = {name: present[name] for name in ROW_COLUMNS}
                return stored | webhook | {"header_names": sorted(webhook["headers"])}
            return await _one(connection, UPDATE, webhook_id, *self._columns(webhook_id, webhook))

    async def delete(
        self, tenant_id: str, webhook_id: UUID, *, etag: str = "", allow_missing: bool = False
    ) -> None:
        """Delete a webhook with its deliveries. Raises NotFound unless `allow_missing`, EtagMismatch."""
        async with self._database.pool.acquire() as connection, connection.transaction():
            present = await connection.fetchrow(LOCK, webhook_id, tenant_id)
            if present is None and allow_missing:
                return
            _check_etag(_found(present, webhook_id), etag)
            await connection.execute(DELETE, webhook_id)
        while await self._database.pool.execute(DELETE_DELIVERIES, webhook_id) != "DELETE 0":
            pass

    async def enable(self, tenant_id: str, webhook_id: UUID) -> Row:
        """Let it get events from now on. Raises NotFound."""
        row: Row | None = await until_answered(
            lambda: self._database.pool.fetchrow(ENABLE, webhook_id, tenant_id),
            "enable a webhook",
            give_up_after=PATIENCE,
        )
        await wake_deliverers(self._queue)
        return row or await self.get(tenant_id, webhook_id)

    async def disable(self, tenant_id: str, webhook_id: UUID, note: str) -> Row:
        """Let it get no more events, and cancel what waits. Raises NotFound."""

        async def once() -> Row:
            async with self._database.pool.acquire() as connection, connection.transaction():
                _found(await connection.fetchrow(LOCK, webhook_id, tenant_id), webhook_id)
                await disable(connection, webhook_id, WebhookStatus.DISABLED, note, by_caller=True)
                return await _one(connection, GET, webhook_id, tenant_id)

        return await until_answered(once, "disable a webhook", give_up_after=PATIENCE)

    async def rotate(self, tenant_id: str, webhook_id: UUID, secret: str, overlap: float) -> WithSecret:
        """Give it a new secret; the old one signs too for `overlap` seconds. Raises NotFound, InvalidArgument."""
        present = await self.get(tenant_id, webhook_id)
        scheme = SignatureScheme(present["signature_scheme"])
        if secret:
            check_secret(secret, scheme, "secret")
        secret = secret or make_secret(scheme)
        async with self._database.pool.acquire() as connection, connection.transaction():
            _found(await connection.fetchrow(LOCK, webhook_id, tenant_id), webhook_id)
            sealed = self._box.seal(secret, webhook_id, "secret")
            row = await _one(connection, ROTATE, webhook_id, sealed, public_key_of(secret, scheme), overlap)
        return WithSecret(row, secret)

    def _columns(self, webhook_id: UUID, webhook: Mapping[str, Any]) -> tuple[Any, ...]:
        headers = webhook["headers"]
        sealed = self._box.seal(json.dumps(headers), webhook_id, "headers") if headers else None
        return (
            webhook["name"],
            webhook["description"],
            webhook["url"],
            webhook["event_types"],
            webhook["condition"],
            sorted(headers),
            sealed,
            webhook["retry_policy"],
            webhook["request_timeout"],
            webhook["max_concurrency"],
            webhook["ordered"],
            webhook["disable_after"],
        )

    def _headers(self, row: Row) -> dict[str, str]:
        if row["headers"] is None:
            return {}
        headers: dict[str, str] = json.loads(self._box.open(row["headers"], row["id"], "headers"))
        return headers


def etag_of(webhook: Row) -> str:
    """Another one after every change by a caller."""
    return str(webhook["revision"])


def _completed(webhook: dict[str, Any]) -> dict[str, Any]:
    if not webhook["name"]:
        webhook["name"] = urlsplit(webhook["url"]).hostname or ""
    return webhook


def _unmasked(headers: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """Headers whose value is masked keep the one that they have."""
    by_lower = {name.lower(): value for name, value in present.items()}
    unmasked = {}
    for name, value in headers.items():
        if value == MASK and name.lower() not in by_lower:
            raise InvalidArgument.at(
                f'webhook.headers["{name}"]',
                f"{MASK} stands for a value that is kept; there is none",
                found=name,
            )
        unmasked[name] = by_lower[name.lower()] if value == MASK else value
    return unmasked


def _found(row: Row | None, webhook_id: UUID) -> Row:
    if row is None:
        raise NotFound("webhook", str(webhook_id))
    return row


def _check_etag(present: Row, etag: str) -> None:
    if etag and etag != etag_of(present):
        raise EtagMismatch("webhook", str(present["id"]), etag, etag_of(present))


async def _one(connection: Connection, statement: str, *arguments: Any) -> Row:
    [row] = await connection.fetch(statement, *arguments)
    return row


def _digest(webhook: Mapping[str, Any], scheme: SignatureScheme, secret: str) -> str:
    text = json.dumps([webhook, scheme, secret], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _preview(tenant_id: str, webhook: Mapping[str, Any], scheme: SignatureScheme) -> Row:
    """The row as it would be, without what only a stored one has."""
    unset: dict[str, Any] = dict.fromkeys(ROW_COLUMNS)
    known = {
        "tenant_id": tenant_id,
        "header_names": sorted(webhook["headers"]),
        "signature_scheme": scheme.value,
        "public_key": "",
        "status": WebhookStatus.ENABLED.value,
        "note": "",
        "consecutive_failures": 0,
        "revision": 0,
    }
    return unset | dict(webhook) | known
