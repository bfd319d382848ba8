"""Which addresses a webhook may reach: checked when it is registered, and again on every connect.

A name that answers with a public address today may answer with a private one tomorrow, so the
sender connects to the very address that was checked, never to the name.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS: Final = {"https": 443, "http": 80}
_SPECIAL: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "::/96",  # IPv4 addresses in the form before mapped ones
        "64:ff9b:1::/48",  # a network's own translation to IPv4
        "fec0::/10",  # site-local, before unique local addresses
        "192.0.0.0/24",  # protocol assignments
    )
)


class AddressForbidden(Exception):
    """A webhook may not go there; `why` says so in words for whoever registered it."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url}: {why}")
        self.url = url
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What is allowed beyond the public internet over TLS."""

    allow_loopback: bool = False
    """Allow this machine itself, also without TLS: for trying things out, and for tests."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address to connect to."""

    host: str
    address: IPAddress
    port: int
    scheme: str


async def resolve(url: str, policy: AddressPolicy) -> Target:
    """Return the address behind a URL, if a webhook may go there.

    Every address that the name has must be allowed: one private answer among public ones is refused.

    Raises:
        AddressForbidden: when it may not, or the name has no address.
    """
    parts = _parsed(url)
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    addresses = await _addresses(url, host, port)
    for address in addresses:
        _check(url, parts.scheme, address, policy)
    return Target(host, addresses[0], port, parts.scheme)


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressForbidden(url, "this is no address") from None
    if parts.scheme not in _PORTS:
        raise AddressForbidden(url, "an address begins with https://")
    if not parts.hostname or port == 0:
        raise AddressForbidden(url, "the address names no host")
    if parts.username is not None or parts.password is not None:
        raise AddressForbidden(url, "an address must not carry a user name or password")
    return parts


async def _addresses(url: str, host: str, port: int) -> list[IPAddress]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressForbidden(url, "the host's name has no address") from None
    return [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]


def _check(url: str, scheme: str, address: IPAddress, policy: AddressPolicy) -> None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    effective = mapped or address
    if effective.is_loopback and policy.allow_loopback:
        return
    # `is_global` alone lets multicast, old special ranges and addresses that embed private ones pass.
    special = any(address in network for network in _SPECIAL if network.version == address.version)
    if special or not effective.is_global or effective.is_multicast or _embeds_private(effective):
        raise AddressForbidden(url, "the host's address is not on the public internet")
    if scheme != "https":
        raise AddressForbidden(url, "an address begins with https://")


def _embeds_private(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return False
    inner = address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and address in ipaddress.ip_network("64:ff9b::/96"):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner is not None and not inner.is_global
