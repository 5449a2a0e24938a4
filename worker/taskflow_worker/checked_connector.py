"""Connections of aiohttp to addresses that callers choose, which must not reach the inside network.

As in `outbound.py`, the address that is connected to is the address that was checked. aiohttp asks a resolver only for
names, and takes whatever looks like an address as it is: so each socket is checked once more, when it is made for the
very address that it will connect to.
"""

import errno
import ipaddress
import socket
from collections.abc import Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from taskflow_core.addresses import Network, may_reach
from taskflow_worker.outbound import KEEP_OUT, reachable, tls_context


class SocketRefused(OSError):
    """The connection would reach a private, loopback, link-local or other special address."""


def checked_connector(
    *, allow_private: bool, allow: Sequence[Network], keep_alive: float
) -> aiohttp.TCPConnector:
    """Reaches the public internet, the networks of `allow`, and with `allow_private` everything.

    A connection may be idle for `keep_alive` seconds. Certificates are checked against the host of the URL.
    """

    def open_socket(target: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, place = target
        try:
            address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        except ValueError:
            raise SocketRefused(errno.EACCES, f"{place[0]} is not an address") from None
        if not may_reach(address, allow_private=allow_private, allow=allow):
            raise SocketRefused(errno.EACCES, f"{address} {KEEP_OUT}")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(
        limit=0,  # callers keep their own
        ssl=tls_context(),
        resolver=_Resolver(allow_private=allow_private, allow=allow),
        use_dns_cache=False,
        keepalive_timeout=keep_alive,
        socket_factory=open_socket,
    )


class _Resolver(AbstractResolver):
    """Gives out only what may be reached, so that a name with some inner addresses is reached at the others."""

    def __init__(self, *, allow_private: bool, allow: Sequence[Network]) -> None:
        self._allow_private = allow_private
        self._allow = allow

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - both, always
    ) -> list[ResolveResult]:
        addresses = await reachable(host, allow_private=self._allow_private, allow=self._allow)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""
