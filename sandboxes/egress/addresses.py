"""Which addresses a sandbox may reach: public ones of other machines, in whatever form they are written.

Pure but for `OwnAddresses`, which asks this host for its own. The tables are IANA's special-purpose registries (RFC 6890 and
its updates) and the addresses at which clouds answer their guests.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import pairwise
from pathlib import Path

Address = IPv4Address | IPv6Address

REFUSED_V4 = {
    IPv4Network(network): word
    for network, word in {
        "0.0.0.0/8": "this network", "10.0.0.0/8": "private", "100.64.0.0/10": "carrier-grade NAT",
        "127.0.0.0/8": "loopback", "168.63.129.16/32": "metadata", "169.254.0.0/16": "link-local",
        "172.16.0.0/12": "private", "192.0.0.0/24": "protocol assignments", "192.0.2.0/24": "documentation",
        "192.88.99.0/24": "6to4 relays", "192.168.0.0/16": "private", "198.18.0.0/15": "benchmarking",
        "198.51.100.0/24": "documentation", "203.0.113.0/24": "documentation", "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
    }.items()
}  # fmt: skip
REFUSED_V6 = {
    IPv6Network(network): word
    for network, word in {
        "2001::/23": "protocol assignments, Teredo among them", "2001:db8::/32": "documentation",
        "3fff::/20": "documentation", "2002::/16": "6to4, given up by RFC 7526",
    }.items()
}  # fmt: skip
GLOBAL_UNICAST = IPv6Network("2000::/3")
_MAPPED = IPv6Network("::ffff:0:0/96")
_SIIT = IPv6Network("::ffff:0:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def plain(address: Address) -> Address:
    """An IPv4 address written as a mapped IPv6 one is that IPv4 address: the kernel connects to it just the same."""
    if isinstance(address, IPv6Address) and address in _MAPPED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a translator or tunnel on the way would make of this one."""
    number = int(address)
    if address in _MAPPED or address in _SIIT or address in _NAT64:
        return IPv4Address(number & 0xFFFF_FFFF)
    if address in _6TO4:
        return IPv4Address(number >> 80 & 0xFFFF_FFFF)
    if number >> 32 & 0xFFFF_FFFF in _ISATAP:
        return IPv4Address(number & 0xFFFF_FFFF)
    return None


def why_refused(address: Address) -> str | None:
    """Why no sandbox reaches this address; None for a public one. Whether it is this host's own is not known here."""
    address = plain(address)
    if isinstance(address, IPv4Address):
        return next((word for network, word in REFUSED_V4.items() if address in network), None)
    if address.scope_id is not None:
        return "scoped"
    inner = embedded(address)
    if inner is not None and (word := why_refused(inner)) is not None:
        return f"{word}, embedded"
    if address in _NAT64:
        return None
    if address not in GLOBAL_UNICAST:
        return "not global unicast"
    return next((word for network, word in REFUSED_V6.items() if address in network), None)


def literal(host: str) -> Address | None:
    """The address that a C library would read from this text, in any of its odd forms: one number, octal, hex, fewer than
    four parts, IPv6 in brackets' inside. None for a name. Raises ValueError for what is neither.
    """
    if ":" in host:
        return ip_address(host)  # a zone stays in it, and is refused
    last = host.rstrip(".").rpartition(".")[2]
    if not last.isascii() or not (last.isdigit() or last[:2].lower() == "0x"):
        return None
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError as error:
        raise ValueError(f"{host!r} is neither a name nor an address") from error


def host_addresses() -> frozenset[Address]:
    """Every address this host answers at, as the kernel's tables have it now."""
    found: set[Address] = set()
    with contextlib.suppress(OSError):
        lines = Path("/proc/net/fib_trie").read_text().splitlines()
        for line, follower in pairwise(lines):
            if "/32 host LOCAL" in follower and "|--" in line:
                found.add(IPv4Address(line.rpartition(" ")[2]))
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            found.add(IPv6Address(int(line.split()[0], 16)))
    return frozenset(found)


def is_routed_here(address: Address) -> bool:
    """Whether the kernel would deliver to this very host: then it picks the address itself as the source. Sends nothing."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return plain(ip_address(probe.getsockname()[0].partition("%")[0])) == address
    except OSError:
        return False  # no route: it is not reached at all


class OwnAddresses:
    """This host's addresses, read at start and again every `seconds`, and asked of the routing table each time."""

    def __init__(
        self,
        clock: Callable[[], float],
        seconds: float = 10.0,
        *,
        read: Callable[[], frozenset[Address]] = host_addresses,
        routed_here: Callable[[Address], bool] = is_routed_here,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._read = read
        self._routed_here = routed_here
        self._known = read()
        self._read_at = clock()

    def __contains__(self, address: Address) -> bool:
        now = self._clock()
        if now - self._read_at >= self._seconds:
            self._known, self._read_at = self._read(), now
        return address in self._known or self._routed_here(address)


class AddressCheck:
    """The whole judgement over an address. `refused_networks` are the operator's: its public addresses behind NAT, say."""

    def __init__(
        self,
        own: OwnAddresses,
        refused_networks: tuple[IPv4Network | IPv6Network, ...] = (),
        *,
        judge: Callable[[Address], str | None] = why_refused,
    ) -> None:
        self._own = own
        self._refused_networks = refused_networks
        self._judge = judge

    def why_refused(self, address: Address) -> str | None:
        """Why it may not be connected to; None when it may."""
        address = plain(address)
        word = self._judge(address)
        if word is not None:
            return word
        faces = [address]
        if isinstance(address, IPv6Address) and (inner := embedded(address)) is not None:
            faces.append(inner)
        for face in faces:
            if any(face.version == network.version and face in network for network in self._refused_networks):
                return "refused by the operator"
            if face in self._own:
                return "this host"
        return None
