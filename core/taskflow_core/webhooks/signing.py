"""Signatures as Standard Webhooks has them: `v1` is HMAC-SHA256, `v1a` is Ed25519."""

import base64
import hmac
from collections.abc import Sequence

from taskflow_core.states import SignatureScheme
from taskflow_core.webhooks.secrets import PREFIX, private_key, secret_bytes

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"


def signed_headers(secrets: Sequence[str], delivery_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery. With several secrets, during a rotation, there are several signatures."""
    content = b"%b.%d.%b" % (delivery_id.encode(), timestamp, body)
    return {
        ID_HEADER: delivery_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(_sign(secret, content) for secret in secrets),
    }


def _sign(secret: str, content: bytes) -> str:
    if secret.startswith(PREFIX[SignatureScheme.ED25519]):
        return "v1a," + base64.b64encode(private_key(secret).sign(content)).decode()
    return "v1," + base64.b64encode(hmac.digest(secret_bytes(secret), content, "sha256")).decode()
