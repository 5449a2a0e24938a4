"""What a receiver does with a webhook before it believes it: Standard Webhooks, `v1`."""

import base64
import binascii
import hmac
import time
from collections.abc import Iterable, Mapping

from google.protobuf import json_format

from taskflow_proto.v1.webhook_pb2 import WebhookEvent

PREFIX = "whsec_"
# Seconds that a request may be old, or ahead of this machine's clock.
TOLERANCE = 300.0


class WebhookInvalid(Exception):
    """The request is not, or no longer, to be believed: answer 400."""


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Iterable[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> WebhookEvent:
    """The event in a request, if one of the secrets signed it and it is at most `tolerance` seconds old.

    `body` is what came over the wire, to the byte. The same event may come more than once, always with the same
    `webhook-id`: keep that to tell. Unknown fields are passed over, so that new ones break no receiver. Raises
    WebhookInvalid.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        webhook_id, timestamp, signatures = (
            lower[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        )
        sent_at = int(timestamp)
    except KeyError as missing:
        raise WebhookInvalid(f"the header {missing} is missing") from None
    except ValueError:
        raise WebhookInvalid("webhook-timestamp is not a number") from None
    if abs((time.time() if now is None else now) - sent_at) > tolerance:
        raise WebhookInvalid("webhook-timestamp is too far from now")
    signed = b"%b.%d.%b" % (webhook_id.encode(), sent_at, body)
    wanted = [_sign(one, signed) for one in ([secret] if isinstance(secret, str) else secret)]
    given = [signature.removeprefix("v1,") for signature in signatures.split() if signature.startswith("v1,")]
    if not any(hmac.compare_digest(one.encode(), other) for one in given for other in wanted):
        raise WebhookInvalid("no signature fits")
    try:
        return json_format.Parse(body, WebhookEvent(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise WebhookInvalid(f"the body is no event: {error}") from error


def _sign(secret: str, signed: bytes) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"a secret is {PREFIX} and base64") from None
    return base64.b64encode(hmac.digest(key, signed, "sha256"))
