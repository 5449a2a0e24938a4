"""One RPC while it is answered: what it is known by, and the line it leaves in the log."""

import re
import secrets
import time
from collections.abc import Mapping
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor
from grpc_status import rpc_status

from taskflow_server import contract
from taskflow_server.errors import RETRY_SECONDS, as_expected, may_be_retried, to_status

log = structlog.get_logger()

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

REQUEST_ID_HEADER = "x-request-id"
# A caller's id goes into our log and back in a header: a sane one is kept, any other replaced.
REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}")

# The ends of a call that the operator should look at. All others are the caller's business.
OPERATORS_CODES = {
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
}


class Call:
    """One RPC. `received` and `sent` count messages."""

    def __init__(self, method: MethodDescriptor, context: Context) -> None:
        self.metadata: Mapping[str, str | bytes] = dict(context.invocation_metadata() or ())
        self.request_id = _request_id(self.metadata.get(REQUEST_ID_HEADER))
        self.received = 0
        self.sent = 0
        self._method = method
        self._context = context
        self._started = time.perf_counter()
        # Every RPC has an asyncio task of its own, hence context variables of its own: nothing to unbind.
        structlog.contextvars.bind_contextvars(request_id=self.request_id)
        context.set_trailing_metadata(((REQUEST_ID_HEADER, self.request_id),))

    def seconds_left(self, allowed: float) -> float:
        """The shorter of `allowed` and what the caller's deadline leaves."""
        remaining = self._context.time_remaining()
        # The stubs of grpc forget that a call may have no deadline.
        return allowed if remaining is None else min(allowed, remaining)

    async def fail(self, error: Exception) -> None:
        """Answer with the status of `error`: raises what ends the RPC."""
        expected = as_expected(error, self.request_id)
        status = to_status(expected, self.request_id)
        rich = rpc_status.to_status(status)
        trailers = [(REQUEST_ID_HEADER, self.request_id), *rich.trailing_metadata]
        if may_be_retried(rich.code):
            # Envoy makes it the HTTP header.
            trailers.append(("retry-after", str(RETRY_SECONDS)))
        self._log(rich.code, error, reason=expected.reason, error=expected.message)
        await self._context.abort(rich.code, rich.details, tuple(trailers))

    def end(self, code: grpc.StatusCode) -> None:
        """Note that the RPC ended without an error of ours."""
        self._log(code)

    def _log(self, code: grpc.StatusCode, cause: Exception | None = None, **why: str) -> None:
        facts: dict[str, Any] = {
            "method": contract.path(self._method),
            "code": code.name,
            "ms": round((time.perf_counter() - self._started) * 1000, 2),
            **why,
        }
        if self._method.client_streaming:
            facts["received"] = self.received
        if self._method.server_streaming:
            facts["sent"] = self.sent
        if code is grpc.StatusCode.INTERNAL:
            log.error("call", exc_info=cause, **facts)
        elif code in OPERATORS_CODES:
            log.warning("call", cause=repr(cause), **facts)
        else:
            log.info("call", **facts)


def _request_id(given: str | bytes | None) -> str:
    if isinstance(given, str) and REQUEST_ID_PATTERN.fullmatch(given):
        return given
    return secrets.token_hex(16)
