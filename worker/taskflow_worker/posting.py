"""One signed POST to a webhook, and what came of it. Bounded in time and memory, whatever the receiver does."""

import asyncio
import json
import ssl
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from taskflow_core import __version__
from taskflow_core.settings import Settings
from taskflow_core.states import DeliveryOutcome
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.checks import MASK
from taskflow_core.webhooks.secrets import SecretBox
from taskflow_core.webhooks.settle import Sent
from taskflow_core.webhooks.signing import signed_headers
from taskflow_worker.outbound import AddressRefused, CheckedTransport, retry_after

KIB = 1024
KEPT_BODY = 16 * KIB
KEPT_HEADERS = 8 * KIB
KEPT_ERROR = 500  # characters
# Seconds that a connection may be idle before it is closed.
KEEP_ALIVE = 10.0


@dataclass
class _Answer:
    status: int = 0
    headers: dict[str, str] | None = None
    body: bytes = b""
    truncated: bool = False
    remote_address: str = ""
    retry_after: float = 0.0


class Endpoint:
    """One webhook at one revision: its keys, headers and connections. Other endpoints share none of them."""

    def __init__(self, delivery: Row, box: SecretBox, settings: Settings) -> None:
        webhook_id = delivery["webhook_id"]
        self.used_at = time.monotonic()
        self._url = httpx.URL(delivery["url"])
        self._secret = box.open(delivery["secret"], webhook_id, "secret")
        self._previous = delivery["previous_secret"] and box.open(
            delivery["previous_secret"], webhook_id, "secret"
        )
        self._own_headers: dict[str, str] = (
            json.loads(box.open(delivery["headers"], webhook_id, "headers")) if delivery["headers"] else {}
        )
        self._timeout: float = delivery["request_timeout"]
        self._settings = settings
        # One connection each, taken by the request that is under way: a pool of many looks at each of them
        # several times a request. The last used is taken first, so that those that are too many grow old.
        self._idle: deque[tuple[float, CheckedTransport]] = deque()

    async def post(self, delivery: Row, body: bytes) -> Sent:
        """Send one delivery. Never raises but for its own cancellation."""
        # The old secret signs no longer than until the moment that was looked at when the delivery was claimed.
        secrets = [self._secret, self._previous] if delivery["previous_secret"] else [self._secret]
        own = {
            "content-type": "application/json",
            "user-agent": f"taskflow/{__version__}",
            "accept": "*/*",
            "accept-encoding": "identity",
            **signed_headers(secrets, str(delivery["id"]), int(time.time()), body),
        }
        answer, started = _Answer(), time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                await self._exchange(body, own, answer)
        except (TimeoutError, httpx.TimeoutException):
            error = f"no whole answer within {self._timeout:g} s"
            outcome = DeliveryOutcome.TIMED_OUT
        except AddressRefused as refused:
            outcome, error = DeliveryOutcome.ADDRESS_REFUSED, str(refused)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as failure:
            outcome, error = _classified(failure)
        else:
            outcome, error = _judged(answer.status)
        return Sent(
            delivery=delivery,
            outcome=outcome,
            error=_storable(error)[:KEPT_ERROR],
            url=str(self._url),
            remote_address=answer.remote_address,
            request_headers=own | dict.fromkeys(self._own_headers, MASK),
            response_status=answer.status,
            response_headers=answer.headers or {},
            response_body=_storable(answer.body.decode("utf-8", "replace")),
            response_truncated=answer.truncated,
            latency=time.monotonic() - started,
            retry_after=answer.retry_after,
        )

    async def _exchange(self, body: bytes, own: dict[str, str], answer: _Answer) -> None:
        request = httpx.Request("POST", self._url, headers=self._own_headers | own, content=body)
        transport = self._idle.pop()[1] if self._idle else self._connection()
        try:
            await self._exchange_over(transport, request, answer)
        except BaseException:
            await transport.aclose()
            raise
        now = time.monotonic()
        self._idle.append((now, transport))
        while self._idle[0][0] < now - KEEP_ALIVE:
            await self._idle.popleft()[1].aclose()

    async def _exchange_over(
        self, transport: CheckedTransport, request: httpx.Request, answer: _Answer
    ) -> None:
        response = await transport.handle_async_request(request)
        try:
            answer.status = response.status_code
            answer.headers, cut = _kept_headers(response.headers)
            answer.truncated = cut
            answer.retry_after = (
                retry_after(response.headers.get("retry-after", ""), datetime.now(UTC)) or 0.0
            )
            stream = response.extensions.get("network_stream")
            address: Any = stream.get_extra_info("server_addr") if stream else None
            if address:
                answer.remote_address = (
                    f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
                )
            await self._read(response, answer)
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response, answer: _Answer) -> None:
        """Keep the start of the body, and hang up on one that goes on."""
        async for part in response.aiter_raw():
            answer.body += part[: KEPT_BODY + 1 - len(answer.body)]
            if len(answer.body) > KEPT_BODY:
                answer.body, answer.truncated = answer.body[:KEPT_BODY], True
                return

    def _connection(self) -> CheckedTransport:
        return CheckedTransport(
            allow_private=self._settings.http_allow_private,
            allow=self._settings.http_allow_networks,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE),
        )

    async def close(self) -> None:
        """Hang up, once nothing is under way."""
        while self._idle:
            await self._idle.pop()[1].aclose()


def _judged(status: int) -> tuple[DeliveryOutcome, str]:
    if 200 <= status < 300:
        return DeliveryOutcome.SUCCEEDED, ""
    if 300 <= status < 400:
        return DeliveryOutcome.BAD_STATUS, f"answered {status}; redirects are not followed"
    return DeliveryOutcome.BAD_STATUS, f"answered {status}"


def _classified(failure: Exception) -> tuple[DeliveryOutcome, str]:
    text = str(failure) or type(failure).__name__
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return DeliveryOutcome.TLS_FAILED, text
        cause = cause.__cause__ or cause.__context__
    return DeliveryOutcome.CONNECTION_FAILED, text


def _kept_headers(headers: httpx.Headers) -> tuple[dict[str, str], bool]:
    kept: dict[str, str] = {}
    size = 0
    for name, value in headers.items():
        size += len(name) + len(value)
        if size > KEPT_HEADERS:
            return kept, True
        kept[name] = _storable(value)
    return kept, False


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL in a text."""
    return text.replace("\0", "\ufffd")
