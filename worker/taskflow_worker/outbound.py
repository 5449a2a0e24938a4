"""HTTP calls to addresses that callers choose, which must not reach the inside network.

The address that is connected to is the address that was checked: a name is looked up once, and what it
turns into later (DNS rebinding) has no effect. Proxies of the environment are not used, as they would look
the name up anew.
"""

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from taskflow_core.addresses import Address, Network, literal_address, may_reach
from taskflow_worker.outcome import Fail

MAX_RETRY_AFTER = 86_400.0
KEEP_OUT = (
    "has no public address; others are refused unless TASKFLOW_HTTP_ALLOW_NETWORKS"
    " or TASKFLOW_HTTP_ALLOW_PRIVATE allows them"
)


class AddressRefused(Fail):
    """The call would reach a private, loopback, link-local or other special address."""


class CheckedTransport(httpx.AsyncBaseTransport):
    """Looks up the host, refuses what may not be reached, and connects to the very address that was checked.

    Reached is the public internet, the networks of `allow`, and with `allow_private` everything. The Host header,
    the TLS server name and the check of the certificate stay those of the URL.
    """

    def __init__(
        self, *, allow_private: bool, allow: Sequence[Network] = (), limits: httpx.Limits | None = None
    ) -> None:
        self._allow_private = allow_private
        self._allow = tuple(allow)
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls_context(), trust_env=False, limits=limits or httpx.Limits(max_connections=100)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode("ascii")
        try:
            addresses = await reachable(host, allow_private=self._allow_private, allow=self._allow)
        except OSError as error:
            raise httpx.ConnectError(error.strerror or str(error)) from error
        for address in addresses[:-1]:
            try:
                return await self._send(request, host, address)
            except httpx.ConnectError:
                continue  # nothing was sent; the next address may answer
        return await self._send(request, host, addresses[-1])

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _send(self, request: httpx.Request, host: str, address: Address) -> httpx.Response:
        # A copy: redirects are relative to the URL of the original.
        pinned = httpx.Request(
            method=request.method,
            url=_at(request.url, address),
            headers=request.headers,  # with Host, which the client has set
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await self._transport.handle_async_request(pinned)


@functools.lru_cache(maxsize=1000)
def _at(url: httpx.URL, address: Address) -> httpx.URL:
    """The URL with the address in place of the host."""
    return url.copy_with(host=str(address))


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Checks certificates and host names. One for all: to read it takes longer than a call in the same town."""
    return httpx.create_ssl_context()


async def reachable(host: str, *, allow_private: bool, allow: Sequence[Network]) -> Sequence[Address]:
    """The addresses of a host that may be reached, in the order to try them.

    Raises AddressRefused if there are only others, OSError if there are none.
    """
    addresses = [
        address
        for address in await _look_up(host)
        if may_reach(address, allow_private=allow_private, allow=allow)
    ]
    if not addresses:
        raise AddressRefused(f"{host} {KEEP_OUT}")
    return addresses


async def _look_up(host: str) -> Sequence[Address]:
    literal = literal_address(host)
    if literal is not None:
        return [literal]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise OSError(error.errno, f"cannot look up {host}: {error}") from error
    # Without the scope of a link-local address, which is refused or reached by the default interface.
    return list(dict.fromkeys(ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found))


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds to wait, from a Retry-After header: a number or a date. None if it says neither; a day at most.

    A date is compared with that of the answer, by the same clock; with `now` if the answer has none.
    """
    value = headers.get("Retry-After")
    if not value:
        return None
    if value.strip().isdecimal():
        return min(float(value), MAX_RETRY_AFTER)
    until = _date(value)
    if until is None:
        return None
    seconds = (until - (_date(headers.get("Date", "")) or now)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return date.replace(tzinfo=date.tzinfo or UTC)
