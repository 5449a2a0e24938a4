"""Who calls."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from taskflow_core.errors import InvalidArgument

TENANT_HEADER = "x-tenant-id"
TENANT_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: the tenant whose things it sees, and who it is within the tenant."""

    tenant_id: str
    subject: str


_principal: ContextVar[Principal] = ContextVar("principal")


def current_principal() -> Principal:
    """The caller of the RPC that is being answered."""
    return _principal.get()


def authenticate(metadata: Mapping[str, str | bytes], default_tenant: str) -> Principal:
    """Find out who calls, and make it the current principal of this call."""
    tenant_id = metadata.get(TENANT_HEADER, default_tenant)
    if not isinstance(tenant_id, str) or TENANT_PATTERN.fullmatch(tenant_id) is None:
        raise InvalidArgument.at(
            TENANT_HEADER,
            "the header must be 1 to 63 characters of a-z, 0-9, _ and -, the first a letter or a digit",
        )
    principal = Principal(tenant_id, subject="anonymous")
    _principal.set(principal)
    return principal
