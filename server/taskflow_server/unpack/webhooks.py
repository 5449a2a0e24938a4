"""Webhooks, as callers describe them. A field that is not set is None and means the default."""

from typing import Any

from taskflow_core.states import SignatureScheme
from taskflow_proto.v1 import webhook_pb2, webhook_service_pb2
from taskflow_server.masks import fields_to_change
from taskflow_server.unpack.values import retry_policy, seconds


def webhook_fields(webhook: webhook_pb2.Webhook) -> dict[str, Any]:
    """The fields that are set, as core names them."""
    return {name: value for name, value in _fields(webhook).items() if value is not None}


def webhook_changes(request: webhook_service_pb2.UpdateWebhookRequest) -> dict[str, Any]:
    """The fields to change, with their new values. Raises InvalidArgument at `update_mask`."""
    values = _fields(request.webhook)
    wanted = fields_to_change(request.update_mask, request.webhook, values)
    return {name: value for name, value in values.items() if name in wanted}


def signature_scheme(webhook: webhook_pb2.Webhook) -> SignatureScheme:
    """How requests are to be signed."""
    if webhook.signature_scheme == webhook_pb2.Webhook.ED25519:
        return SignatureScheme.ED25519
    return SignatureScheme.HMAC_SHA256


def _fields(webhook: webhook_pb2.Webhook) -> dict[str, Any]:
    return {
        "name": webhook.name or None,
        "description": webhook.description or None,
        "url": webhook.url or None,
        "event_types": list(webhook.event_types) or None,
        "condition": webhook.condition or None,
        "headers": dict(webhook.headers) or None,
        "retry_policy": retry_policy(webhook.retry_policy) or None,
        "request_timeout": seconds(webhook.request_timeout) if webhook.HasField("request_timeout") else None,
        "max_concurrency": webhook.max_concurrency or None,
        "ordered": webhook.ordered or None,
        "disable_after": seconds(webhook.disable_after) if webhook.HasField("disable_after") else None,
    }
