"""What a caller says about a webhook: its defaults, what stands in for what is not shown, and how it is stored.

A row never leaves the core with a secret; the one time it is told it comes apart, in `WithSecret`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from taskflow_core.errors import InvalidArgument
from taskflow_core.models import Webhook
from taskflow_core.states import SignatureScheme, WebhookStatus
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.checks import MASK
from taskflow_core.webhooks.secrets import SecretBox

# Every field that a caller can set, by its column, with its default; seconds.
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
# The columns that `values` fills, in its order.
COLUMNS = (
    "name, description, url, event_types, condition, header_names, headers, retry_policy, request_timeout,"
    " max_concurrency, ordered, disable_after"
)
ROW_COLUMNS = tuple(Webhook.__table__.columns.keys())


@dataclass(frozen=True)
class WithSecret:
    """A webhook, and its secret where it is told: after it was made, and not when the call was repeated."""

    row: Row
    secret: str


def completed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A webhook with these fields and defaults for the others."""
    webhook = {**DEFAULTS, **fields}
    if not webhook["name"]:
        webhook["name"] = urlsplit(webhook["url"]).hostname or ""
    return webhook


def values(webhook: Mapping[str, Any], webhook_id: UUID, box: SecretBox) -> tuple[Any, ...]:
    """What `COLUMNS` hold of it. Values of headers are sealed."""
    headers = webhook["headers"]
    sealed = box.seal(json.dumps(headers), webhook_id, "headers") if headers else None
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


def headers_of(row: Row, box: SecretBox) -> dict[str, str]:
    """The headers that a stored webhook sends, by name."""
    if row["headers"] is None:
        return {}
    headers: dict[str, str] = json.loads(box.open(row["headers"], row["id"], "headers"))
    return headers


def unmasked(headers: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """Headers whose value is masked keep the one that they have. Raises InvalidArgument if they have none."""
    by_lower = {name.lower(): value for name, value in present.items()}
    whole = {}
    for name, value in headers.items():
        if value == MASK and name.lower() not in by_lower:
            raise InvalidArgument.at(
                f'webhook.headers["{name}"]',
                f"{MASK} stands for a value that is kept; there is none",
                found=name,
            )
        whole[name] = by_lower[name.lower()] if value == MASK else value
    return whole


def preview(tenant_id: str, webhook: Mapping[str, Any], scheme: SignatureScheme) -> Row:
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
