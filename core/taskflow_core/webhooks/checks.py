"""What a webhook may be: checks across fields and against the settings. Paths are those of the request."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from taskflow_core.addresses import literal_address, may_reach
from taskflow_core.errors import InvalidArgument
from taskflow_core.settings import Settings
from taskflow_core.webhooks.conditions import check_condition

EVENT_TYPES = (
    "task.created",
    "task.started",
    "task.progress",
    "task.retrying",
    "task.success",
    "task.failed",
    "task.cancelled",
    "task.dead_lettered",
    "schedule.fired",
    "schedule.skipped",
    "schedule.missed",
    "workflow.started",
    "workflow.node_completed",
    "workflow.waiting",
    "workflow.success",
    "workflow.failed",
    "workflow.cancelled",
    "webhook.disabled",
)
WILDCARDS = ("*", "task.*", "schedule.*", "workflow.*", "webhook.*")

OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "content-type", "expect", "host", "keep-alive"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
MASK = "***"


def check_webhook(webhook: Mapping[str, Any], settings: Settings) -> None:
    """Raises InvalidArgument at the first field that is wrong. `headers` are those that were sent."""
    _check_url(webhook["url"], settings)
    check_event_types(webhook["event_types"], "webhook.event_types")
    check_condition(webhook["condition"], "webhook.condition")
    _check_headers(webhook["headers"] or {})


def _check_url(url: str, settings: Settings) -> None:
    field = "webhook.url"
    if not url:
        raise InvalidArgument.at(field, "is missing; give an https URL")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidArgument.at(field, f"is not a URL: {error}") from None
    schemes = ("https", "http") if settings.webhook_allow_http else ("https",)
    if parts.scheme not in schemes or not host:
        hint = "" if settings.webhook_allow_http else "; http needs TASKFLOW_WEBHOOK_ALLOW_HTTP"
        raise InvalidArgument.at(field, f"must be an absolute {' or '.join(schemes)} URL{hint}")
    if parts.username is not None or parts.password is not None:
        raise InvalidArgument.at(
            field, "must not hold a password; send it in a header, which is stored encrypted"
        )
    if parts.fragment:
        raise InvalidArgument.at(field, "must not have a fragment, which is never sent")
    address = literal_address(host)
    if address is not None and not may_reach(
        address, allow_private=settings.http_allow_private, allow=settings.http_allow_networks
    ):
        raise InvalidArgument.at(
            field,
            f"{host} is not a public address; others need TASKFLOW_HTTP_ALLOW_NETWORKS"
            " or TASKFLOW_HTTP_ALLOW_PRIVATE",
            address=host,
        )


def check_event_types(event_types: Sequence[str], field: str) -> None:
    """Raises InvalidArgument at the first that no event has."""
    if not event_types:
        raise InvalidArgument.at(field, "is empty; name at least one, such as task.* or *")
    for place, event_type in enumerate(event_types):
        if event_type in EVENT_TYPES or event_type in WILDCARDS:
            continue
        close = difflib.get_close_matches(event_type, [*EVENT_TYPES, *WILDCARDS], n=1)
        suggestion = f"; did you mean {close[0]!r}?" if close else ""
        raise InvalidArgument.at(
            f"{field}[{place}]",
            f"no event is called {event_type!r}{suggestion}; allowed: {', '.join((*EVENT_TYPES, *WILDCARDS))}",
            found=event_type,
        )


def _check_headers(headers: Mapping[str, str]) -> None:
    seen: set[str] = set()
    for name, value in headers.items():
        path, lower = f'webhook.headers["{name}"]', name.lower()
        if lower in OWN_HEADERS or lower.startswith("webhook-"):
            raise InvalidArgument.at(path, f"{name} belongs to TaskFlow and cannot be set", found=name)
        if lower in seen:
            raise InvalidArgument.at(path, f"{name} occurs twice", found=name)
        seen.add(lower)
        if not value.isascii() or not value.replace("\t", " ").isprintable():
            raise InvalidArgument.at(path, "has characters that a header cannot carry; ASCII is allowed")
        if value != value.strip():
            raise InvalidArgument.at(path, "starts or ends with a space")
