"""Addresses: where a host name leads, and whether that lies in somebody's own network.

Law: a name is resolved once and the connection goes to the address that was checked, so a name that changes its answer
between the two gains nothing.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_TRANSLATED = ip_network("64:ff9b::/96")
"""IPv4 addresses inside IPv6 ones (RFC 6052)."""


class Refused(Exception):
    """A delivery that must not be tried, or not again; its text holds no secret."""


class Failed(Exception):
    """A delivery that did not work this time; its text holds no secret."""


def addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a host. Raises `Refused` when one of them is not public, `Failed` when there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Failed("the host name has no address") from None
    plain = list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))
    if not allow_private and not all(is_public(ip_address(address)) for address in plain):
        raise Refused("the host lies in a private, loopback or link-local network: allow_private=True allows that")
    return plain


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True for an address that everybody can reach, looking through IPv6 addresses that stand for IPv4 ones.

    >>> is_public(ip_address("169.254.169.254")), is_public(ip_address("::ffff:127.0.0.1"))
    (False, False)
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _TRANSLATED:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast
