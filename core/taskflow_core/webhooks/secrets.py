"""Secrets of webhooks: how they are made, read, and stored encrypted."""

import base64
import binascii
import functools
import hmac
import os
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from taskflow_core.errors import InvalidArgument
from taskflow_core.settings import Settings
from taskflow_core.states import SignatureScheme

PREFIX = {SignatureScheme.HMAC_SHA256: "whsec_", SignatureScheme.ED25519: "whsk_"}
PUBLIC_PREFIX = "whpk_"
MADE_BYTES = 32
HMAC_BYTES = range(24, 65)
SEED_BYTES = 32

_VERSION = b"\x01"
_NONCE_BYTES = 12


class SecretUnreadable(Exception):
    """Something was encrypted with another key: TASKFLOW_SECRET_KEY has changed."""


@dataclass(frozen=True)
class SecretBox:
    """Encrypts what the database keeps for webhooks, each value bound to its webhook and purpose."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """With the key that all processes of these settings share."""
        source = settings.secret_key or settings.database_url
        kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"taskflow webhook secrets")
        return cls(kdf.derive(source.encode()))

    def seal(self, text: str, webhook_id: UUID, purpose: str) -> bytes:
        """The text, encrypted and authenticated."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self.key).encrypt(nonce, text.encode(), _bound_to(webhook_id, purpose))
        return _VERSION + nonce + sealed

    def open(self, sealed: bytes, webhook_id: UUID, purpose: str) -> str:
        """The text again. Raises SecretUnreadable."""
        start = len(_VERSION) + _NONCE_BYTES
        nonce, ciphertext = sealed[len(_VERSION) : start], sealed[start:]
        try:
            return AESGCM(self.key).decrypt(nonce, ciphertext, _bound_to(webhook_id, purpose)).decode()
        except InvalidTag:
            raise SecretUnreadable(
                "was encrypted with another key; TASKFLOW_SECRET_KEY (or, without it, TASKFLOW_DATABASE_URL)"
                " has changed"
            ) from None

    def digest(self, text: str) -> str:
        """The same for the same text, and without the key of no use to guess it by."""
        return hmac.digest(self.key, text.encode(), "sha256").hex()


def _bound_to(webhook_id: UUID, purpose: str) -> bytes:
    return webhook_id.bytes + purpose.encode()


def make_secret(scheme: SignatureScheme) -> str:
    """A new secret, as receivers configure it."""
    return PREFIX[scheme] + base64.b64encode(os.urandom(MADE_BYTES)).decode()


def check_secret(secret: str, scheme: SignatureScheme, field: str) -> None:
    """Raises InvalidArgument at `field` if it is no secret for this scheme. The message never holds the secret."""
    prefix = PREFIX[scheme]
    if not secret.startswith(prefix):
        raise InvalidArgument.at(field, f"must start with {prefix} for {scheme}")
    try:
        size = len(secret_bytes(secret))
    except (binascii.Error, ValueError):
        raise InvalidArgument.at(field, f"must be {prefix} and base64") from None
    if scheme is SignatureScheme.HMAC_SHA256 and size not in HMAC_BYTES:
        raise InvalidArgument.at(field, f"{size} bytes; 24 to 64 are allowed")
    if scheme is SignatureScheme.ED25519 and size not in (SEED_BYTES, 2 * SEED_BYTES):
        raise InvalidArgument.at(
            field, f"{size} bytes; an Ed25519 private key has 32, or 64 with the public key"
        )


def secret_bytes(secret: str) -> bytes:
    """The key in a secret, whatever its prefix."""
    return base64.b64decode(secret.partition("_")[2], validate=True)


# To make it takes as long as to sign.
@functools.lru_cache(maxsize=1000)
def private_key(secret: str) -> Ed25519PrivateKey:
    """The key in a `whsk_` secret."""
    return Ed25519PrivateKey.from_private_bytes(secret_bytes(secret)[:SEED_BYTES])


def public_key_of(secret: str, scheme: SignatureScheme) -> str:
    """What receivers check signatures with, `whpk_` and base64; empty for a shared secret."""
    if scheme is not SignatureScheme.ED25519:
        return ""
    return PUBLIC_PREFIX + base64.b64encode(private_key(secret).public_key().public_bytes_raw()).decode()
