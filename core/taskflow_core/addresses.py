"""Which addresses belong to the public internet, and which of the others may be reached all the same."""

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Prefixes under which IPv6 carries an IPv4 address in its last 32 bits: NAT64 and IPv4-compatible.
IPV4_INSIDE = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))


def may_reach(address: Address, *, allow_private: bool, allow: Sequence[Network]) -> bool:
    """Whether calls that callers ask for may go to this address."""
    return allow_private or is_public(address) or any(address in network for network in allow)


def literal_address(host: str) -> Address | None:
    """The address that a host is, as in a URL; None if it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, whatever form it is written in."""
    if isinstance(address, IPv6Address):
        inside = _ipv4_inside(address)
        if inside is not None:
            return is_public(inside)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _ipv4_inside(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in IPV4_INSIDE):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
