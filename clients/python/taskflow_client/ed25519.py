"""Signatures `v1a` of Standard Webhooks. Needs the extra `ed25519`."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def signed_by(public_key: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether the owner of this key has signed it. Raises ValueError if the key has not 32 bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True
