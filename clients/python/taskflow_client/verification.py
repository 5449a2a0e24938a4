"""What a receiver does with a webhook before it believes it: Standard Webhooks, `v1` and `v1a`."""

import base64
import binascii
import hmac
import time
from collections.abc import Iterable, Mapping

from google.protobuf import json_format

from taskflow_proto.v1.webhook_pb2 import WebhookEvent

SHARED_PREFIX = "whsec_"
PUBLIC_PREFIX = "whpk_"
# Seconds that a request may be old, or ahead of this machine's clock.
TOLERANCE = 300.0


class WebhookInvalid(Exception):
    """The request is not, or no longer, to be believed: answer 400."""


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    key: str | Iterable[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> WebhookEvent:
    """The event in a request, if one of the keys fits a signature and it is at most `tolerance` seconds old.

    A key is the secret of the webhook, `whsec_`, or with ED25519 its public key, `whpk_`; for that install
    `taskflow-grpc[ed25519]`. Give the old and the new one during a rotation.

    `body` is what came over the wire, to the byte. The same event may come more than once, always with the same
    `webhook-id`: keep that to tell. Unknown fields are passed over, so that new ones break no receiver. Raises
    WebhookInvalid, or ValueError for what is no key.
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
    # All of them, so that what is no key is told at once, and not in the rotation that needs it.
    fits = [_fits(one, signatures, signed) for one in ([key] if isinstance(key, str) else key)]
    if not any(fits):
        raise WebhookInvalid("no signature fits")
    try:
        return json_format.Parse(body, WebhookEvent(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise WebhookInvalid(f"the body is no event: {error}") from error


def _fits(key: str, signatures: str, signed: bytes) -> bool:
    if key.startswith(PUBLIC_PREFIX):
        # What is optional is imported by those who need it.
        from taskflow_client.ed25519 import signed_by  # noqa: PLC0415

        public_key = _key_bytes(key, PUBLIC_PREFIX)
        return any(signed_by(public_key, given, signed) for given in _given(signatures, "v1a"))
    wanted = hmac.digest(_key_bytes(key, SHARED_PREFIX), signed, "sha256")
    return any(hmac.compare_digest(given, wanted) for given in _given(signatures, "v1"))


def _given(signatures: str, version: str) -> Iterable[bytes]:
    """The signatures of one version: `v1,... v1a,...`."""
    for signature in signatures.split():
        of_version, _, encoded = signature.partition(",")
        if of_version != version:
            continue
        try:
            yield base64.b64decode(encoded, validate=True)
        except ValueError:
            continue


def _key_bytes(key: str, prefix: str) -> bytes:
    try:
        return base64.b64decode(key.removeprefix(prefix), validate=True)
    except binascii.Error:
        raise ValueError(f"a key is {SHARED_PREFIX} or {PUBLIC_PREFIX}, and base64") from None
