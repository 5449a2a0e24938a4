"""What comes beside a request: the metadata of its call, which are the headers of REST."""

from typing import Any

import grpc.aio

from taskflow_core.errors import InvalidArgument

Context = grpc.aio.ServicerContext[Any, Any]


def header(context: Context, name: str) -> str:
    """A value from the call's metadata; empty if it is not there."""
    for key, value in context.invocation_metadata() or ():
        if key == name:
            return value if isinstance(value, str) else value.decode("utf-8", "replace")
    return ""


def idempotency_key(context: Context) -> str:
    """The request id as REST callers send it."""
    key = header(context, "idempotency-key")
    if len(key) > 128:
        raise InvalidArgument.at("idempotency-key", f"{len(key)} characters; at most 128 are allowed")
    return key
