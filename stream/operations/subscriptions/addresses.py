"""Which addresses a webhook may be sent to: those of the public Internet, unless it is allowed otherwise.

Whoever can name an endpoint, or answer with a redirect, could else make Tidemark speak to what only this machine
reaches: cloud metadata, databases, consoles. ``http.py`` asks at the moment a socket is made, for the very address that
it will connect to, so no second resolution can answer differently.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""Its last 32 bits are an IPv4 address (RFC 6052)."""


class ForbiddenAddress(OSError):
    """The name stands for an address that nothing may be sent to.

    Its text is the same for all addresses: where a name has several, their errors are joined unless they are alike."""

    def __init__(self) -> None:
        super().__init__("its address is not one of the public Internet")


def is_public(text: str) -> bool:
    """Whether an address is global unicast (IANA special-purpose registries), also where an IPv4 address is wrapped in
    an IPv6 one.

    >>> [is_public(text) for text in ("93.184.215.14", "169.254.169.254", "::ffff:10.0.0.1")]
    [True, False, False]
    """
    address = ip_address(text.partition("%")[0])
    inner: list[IPv4Address] = _wrapped(address) if isinstance(address, IPv6Address) else []
    reached: list[IPv4Address | IPv6Address] = [*inner] or [address]
    return all(one.is_global and not one.is_multicast and not one.is_reserved for one in reached)


def _wrapped(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that packets to it may reach."""
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    if address.sixtofour is not None:
        return [address.sixtofour]
    # Teredo: its server and the client behind it.
    return list(address.teredo or ())


def public_socket(info: AddressInfo) -> socket.socket:
    """A socket for an address that was resolved.

    Raises:
        ForbiddenAddress: nothing may be sent there.
    """
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise ForbiddenAddress
    return socket.socket(family=family, type=kind, proto=protocol)
