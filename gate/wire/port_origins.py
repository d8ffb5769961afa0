"""An origin for each port of each sandbox: `{port}-{address}.HOST`, the address in small letters. Pure.

Browsers keep pages apart by origin, so a page from a sandbox has cookies, storage, service workers and absolute paths of its own
there. c32 knows no case, so an address in small letters is one address, and no name stands for two. Which host a request is for
is decided here alone, before any route: a port's, the gate's, or nobody's.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from gate.wire.paths import Place
from operations.errors import SatboxError
from stacks import Address, AddressError

LAPTOP = "localhost"
"""Browsers take every name below it for their own machine (RFC 6761, 6.3)."""
PORT_MAX = 65_535
_LABEL = re.compile(r"([1-9][0-9]{0,4})-(s[0-9a-z]{1,40})")
_NO_HOST = re.compile(r"[/\\?#\s\x00-\x1f\x7f]")
_PORT_AT_END = re.compile(r":[0-9]*$")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


def default_host(public_url: str) -> str:
    """Below which name ports have their origins, by the gate's public URL; empty for an IP address, which has no names."""
    host = urlsplit(public_url).hostname or ""
    try:
        return LAPTOP if ipaddress.ip_address(host).is_loopback else ""
    except ValueError:
        return host


@dataclass(frozen=True, slots=True)
class PortOrigins:
    """The origins of one gate's ports. `host` is the name they are below; empty: there are none."""

    host: str
    scheme: str
    port: int | None
    gate_host: str

    @classmethod
    def of(cls, public_url: str, host: str) -> "PortOrigins":
        """As the settings say."""
        parts = urlsplit(public_url)
        return cls(host.lower(), parts.scheme, parts.port, parts.hostname or "")

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by https."""
        return self.scheme == "https"

    def url(self, address: str, port: int) -> str | None:
        """The origin of a port."""
        if not self.host:
            return None
        end = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{port}-{address.lower()}.{self.host}{end}"

    def place(self, hosts: Sequence[str], target: str) -> Place | None:
        """The port that a request is for, by its `Host` headers and the target of its first line; None when it is for the gate.
        Raises invalid_request where two readers could take it for two hosts, not_found for a name that only looks like a port's.
        """
        if len(hosts) > 1:
            raise SatboxError("invalid_request", "The request has more than one Host header.")
        absolute = _ABSOLUTE.match(target)
        host = hosts[0] if hosts else absolute[1] if absolute else ""
        if absolute is not None and absolute[1].lower() != host.lower():
            raise SatboxError("invalid_request", "The request's target and its Host header name two hosts.")
        if _NO_HOST.search(host):
            raise SatboxError("invalid_request", "The Host header names no host.")
        if not self.host or not self._is_below(host):
            return None
        place = self._read(host.lower())
        if place is None:
            raise SatboxError("not_found")
        return place

    def _is_below(self, host: str) -> bool:
        """Whether a host belongs to the ports' domain, however it is written. The gate's own host does not, wherever it is."""
        plain = unicodedata.normalize("NFKC", unquote(host)).lower().replace("\u3002", ".").rpartition("@")[2]
        plain = _PORT_AT_END.sub("", plain.strip()).strip(". \t")
        return plain != self.gate_host and plain.endswith(f".{self.host}")

    def _read(self, host: str) -> Place | None:
        name, colon, port = host.partition(":")
        found = _LABEL.fullmatch(name.removesuffix(f".{self.host}")) if name.endswith(f".{self.host}") else None
        if found is None or int(found[1]) > PORT_MAX:
            return None
        if colon and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= PORT_MAX and port[0] != "0"):
            return None
        try:
            address = Address.parse(found[2].upper())
        except AddressError:
            return None
        return Place(str(address), int(found[1]), f"{self.scheme}://{host}")
