"""Where a sandbox may go: patterns of names, and how a destination is read from a request. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandboxes.egress.addresses import Address, literal
from sandboxes.egress.refusals import Refusal

DEFAULT_PORTS = (80, 443)
HOST_CHARACTERS_MAX = 253
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request wants to go: a name in lower case, or an address in its usual form and as such."""

    host: str
    port: int
    address: Address | None = None

    @property
    def authority(self) -> str:
        """As it is written in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 80 else f"{host}:{self.port}"


def read_authority(text: str, default_port: int | None) -> Destination:
    """`host`, `host:port`, `[v6]:port`. Raises Refusal for anything else: user names, zones, escapes, spaces."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or "%" in host or ":" not in host:
            raise Refusal("egress_bad_request", "not an address")
    else:
        host, colon, rest = text.partition(":")
        rest = colon + rest
    if rest and not rest.startswith(":"):
        raise Refusal("egress_bad_request", "not host:port")
    port = _port(rest[1:], default_port)
    host = host.lower().removesuffix(".")
    try:
        address = literal(host)
    except ValueError as error:
        raise Refusal("egress_bad_request", "neither a name nor an address") from error
    if address is not None:
        return Destination(str(address), port, address)
    if not _NAME.fullmatch(host):
        raise Refusal("egress_bad_request", "not a host name; other alphabets are written in punycode")
    return Destination(host, port)


def _port(text: str, default: int | None) -> int:
    if not text and default is not None:
        return default
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65_536:
        raise Refusal("egress_bad_request", "not a port")
    return int(text)


def check_pattern(pattern: str) -> str:
    """A pattern in lower case: `*` (any public address), `name`, `*.suffix`, an address; each with `:port` if need be.
    Raises ValueError.
    """
    pattern = pattern.strip().lower()
    host, _port_text = _split(pattern)
    rest = host.removeprefix("*.")
    if host != "*":
        try:
            address = literal(rest)
        except ValueError as error:
            raise ValueError(f"not a host pattern: {pattern!r}") from error
        if (address is None and not _NAME.fullmatch(rest)) or (address is not None and rest != host):
            raise ValueError(f"not a host pattern: {pattern!r}")
    return pattern


def _split(pattern: str) -> tuple[str, int | None]:
    """A pattern's host and port. Raises ValueError."""
    if pattern.startswith("["):
        host, _, rest = pattern[1:].partition("]")
    else:
        host, colon, tail = pattern.partition(":")
        rest = colon + tail
    if not rest:
        return host, None
    if not _PORT.fullmatch(rest[1:]) or not 0 < int(rest[1:]) < 65_536:
        raise ValueError(f"not a host pattern: {pattern!r}")
    return host, int(rest[1:])


class Rules:
    """A list of patterns and the ports that go with those that name none."""

    def __init__(self, patterns: Iterable[str], ports: Iterable[int] = DEFAULT_PORTS) -> None:
        self._ports = frozenset(ports)
        self._patterns = tuple(_split(check_pattern(pattern)) for pattern in patterns)

    def permit(self, destination: Destination) -> bool:
        """Whether one of the patterns lets it through."""
        return any(
            self._matches(host, destination) and (destination.port == port if port else destination.port in self._ports)
            for host, port in self._patterns
        )

    @staticmethod
    def _matches(host: str, destination: Destination) -> bool:
        if host == "*":
            return True
        if destination.address is not None:
            return literal(host) == destination.address
        if host.startswith("*."):
            return destination.host.endswith(host[1:])
        return destination.host == host


def expand(patterns: Iterable[str], presets: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Patterns with `@name` replaced by the preset of that name. Raises ValueError for an unknown one."""
    found: list[str] = []
    for pattern in patterns:
        if not pattern.startswith("@"):
            found.append(check_pattern(pattern))
        elif pattern[1:] in presets:
            found += [check_pattern(each) for each in presets[pattern[1:]]]
        else:
            raise ValueError(f"no egress preset {pattern[1:]!r}")
    return tuple(dict.fromkeys(found))
