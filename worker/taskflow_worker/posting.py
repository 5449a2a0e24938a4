"""One signed POST to a webhook, and what came of it. Bounded in time and memory, whatever the receiver does."""

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import aiohttp
from aiohttp.connector import Connection

from taskflow_core import __version__
from taskflow_core.settings import Settings
from taskflow_core.states import DeliveryOutcome
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.checks import MASK
from taskflow_core.webhooks.secrets import SecretBox
from taskflow_core.webhooks.settle import Sent
from taskflow_core.webhooks.signing import signed_headers
from taskflow_worker.checked_connector import SocketRefused, checked_connector
from taskflow_worker.outbound import AddressRefused, retry_after

KIB = 1024
KEPT_BODY = 16 * KIB
KEPT_HEADERS = 8 * KIB
KEPT_ERROR = 500  # characters
# Longest header of an answer that is read at all; one that is longer is no HTTP.
MAX_HEADER = 32 * KIB
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


class _Response(aiohttp.ClientResponse):
    """Remembers who answered: a connection is given back as soon as an answer without body is read."""

    peer: tuple[Any, ...] | None = None

    async def start(self, connection: Connection) -> Self:
        if connection.transport is not None:
            self.peer = connection.transport.get_extra_info("peername")
        await super().start(connection)
        return self


class Endpoint:
    """One webhook at one revision: its keys, headers and connections. Other endpoints share none of them."""

    def __init__(self, delivery: Row, box: SecretBox, settings: Settings) -> None:
        webhook_id = delivery["webhook_id"]
        self.used_at = time.monotonic()
        self._url: str = delivery["url"]
        self._secret = box.open(delivery["secret"], webhook_id, "secret")
        self._previous = delivery["previous_secret"] and box.open(
            delivery["previous_secret"], webhook_id, "secret"
        )
        self._own_headers: dict[str, str] = (
            json.loads(box.open(delivery["headers"], webhook_id, "headers")) if delivery["headers"] else {}
        )
        self._timeout: float = delivery["request_timeout"]
        self._session = aiohttp.ClientSession(
            connector=checked_connector(
                allow_private=settings.http_allow_private,
                allow=settings.http_allow_networks,
                keep_alive=KEEP_ALIVE,
            ),
            # Nothing is sent or understood but what is here: no cookies, no encodings, no time but that of `post`.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            response_class=_Response,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
        )

    async def post(self, delivery: Row, body: bytes) -> Sent:
        """Send one delivery. Never raises but for its own cancellation."""
        # The old secret signs no longer than until the moment that was looked at when the delivery was claimed.
        secrets = [self._secret, self._previous] if delivery["previous_secret"] else [self._secret]
        # Receivers refuse what is old by their clocks: the time is the database's, not this machine's.
        now: datetime = delivery["claimed_at"]
        own = {
            "content-type": "application/json",
            "user-agent": f"taskflow/{__version__}",
            "accept": "*/*",
            "accept-encoding": "identity",
            **signed_headers(secrets, str(delivery["id"]), int(now.timestamp()), body),
        }
        answer, started = _Answer(), time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                await self._exchange(body, own, now, answer)
        except TimeoutError:
            error = f"no whole answer within {self._timeout:g} s"
            outcome = DeliveryOutcome.TIMED_OUT
        except AddressRefused as refused:
            outcome, error = DeliveryOutcome.ADDRESS_REFUSED, str(refused)
        except (aiohttp.ClientError, OSError) as failure:
            outcome, error = _classified(failure)
        else:
            outcome, error = _judged(answer.status)
        return Sent(
            delivery=delivery,
            outcome=outcome,
            error=_storable(error)[:KEPT_ERROR],
            url=self._url,
            remote_address=answer.remote_address,
            request_headers=own | dict.fromkeys(self._own_headers, MASK),
            response_status=answer.status,
            response_headers=answer.headers or {},
            response_body=_storable(answer.body.decode("utf-8", "replace")),
            response_truncated=answer.truncated,
            latency=time.monotonic() - started,
            retry_after=answer.retry_after,
        )

    async def _exchange(self, body: bytes, own: dict[str, str], now: datetime, answer: _Answer) -> None:
        headers = self._own_headers | own
        async with self._session.post(
            self._url, data=body, headers=headers, allow_redirects=False
        ) as response:
            answer.status = response.status
            answer.headers, answer.truncated = _kept_headers(response.headers)
            answer.retry_after = retry_after(response.headers, now) or 0.0
            if isinstance(response, _Response) and response.peer:
                host, port = response.peer[:2]
                answer.remote_address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            await _read(response, answer)

    async def close(self) -> None:
        """Hang up, once nothing is under way."""
        await self._session.close()


async def _read(response: aiohttp.ClientResponse, answer: _Answer) -> None:
    """Keep the start of the body, and hang up on one that goes on."""
    async for part in response.content.iter_any():
        answer.body += part[: KEPT_BODY + 1 - len(answer.body)]
        if len(answer.body) > KEPT_BODY:
            answer.body, answer.truncated = answer.body[:KEPT_BODY], True
            response.close()
            return


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
        if isinstance(cause, SocketRefused):
            return DeliveryOutcome.ADDRESS_REFUSED, cause.strerror or str(cause)
        if isinstance(cause, ssl.SSLError | ssl.CertificateError):
            return DeliveryOutcome.TLS_FAILED, text
        cause = cause.__cause__ or cause.__context__
    return DeliveryOutcome.CONNECTION_FAILED, text


def _kept_headers(headers: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    kept: dict[str, str] = {}
    size = 0
    for written, value in headers.items():
        name = written.lower()
        size += len(name) + len(value)
        if size > KEPT_HEADERS:
            return kept, True
        kept[name] = f"{kept[name]}, {_storable(value)}" if name in kept else _storable(value)
    return kept, False


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL in a text."""
    return text.replace("\0", "\ufffd")
