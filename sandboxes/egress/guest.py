"""One runtime as the proxy knows it: its listener inside, what it may do, what it has used."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

from sandboxes.egress.budget import Meter
from sandboxes.egress.heads import HOP_BY_HOP
from sandboxes.egress.redaction import Redactor
from sandboxes.egress.refusals import Refusal
from sandboxes.egress.rules import Destination, Rules, read_authority
from sandboxes.egress.settings import ALIAS_PATTERN

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
HEADER_VALUE = re.compile(r"[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")
RESERVED_HEADERS = HOP_BY_HOP | {"host"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an alias leads: `scheme`, destination, and the path that requests are put below."""

    scheme: str
    destination: Destination
    path: str = ""

    @property
    def url(self) -> str:
        """The origin as a client would write it."""
        usual = 443 if self.scheme == "https" else 80
        host = f"[{self.destination.host}]" if ":" in self.destination.host else self.destination.host
        return f"{self.scheme}://{host}" + ("" if self.destination.port == usual else f":{self.destination.port}")


def read_origin(url: str) -> Origin:
    """Raises ValueError for what is not an http or https origin with at most a path."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("not an http origin")
    try:
        destination = read_authority(parts.netloc, 443 if parts.scheme == "https" else 80)
    except Refusal as refusal:
        raise ValueError(refusal.message) from refusal
    return Origin(parts.scheme, destination, parts.path.rstrip("/"))


@dataclass(frozen=True)
class HeaderSecret:
    """A header that the proxy adds to requests for `http://<alias>`; the guest never sees its value."""

    alias: str
    upstream: str
    header: str
    value: str = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(ALIAS_PATTERN, self.alias) or not HEADER_NAME.fullmatch(self.header):
            raise ValueError("not an alias under .satbox.internal, or not a header name")
        if self.header.lower() in RESERVED_HEADERS or not HEADER_VALUE.fullmatch(self.value):
            raise ValueError("this header, or this value, can't be added")
        read_origin(self.upstream)

    @cached_property
    def redactor(self) -> Redactor:
        """Takes it out of answers."""
        return Redactor(self.value)

    @property
    def origin(self) -> Origin:
        """Where its requests go."""
        return read_origin(self.upstream)


@dataclass(slots=True)
class Guest:
    """A runtime's connections, rules, secrets and counters."""

    runtime_id: str
    listener: socket.socket
    rules: Rules
    meter: Meter
    clock: Callable[[], float]
    self_token: str = field(default="", repr=False)
    """What the proxy shows the gate in its name; the guest never sees it."""
    secrets: dict[str, HeaderSecret] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    lookups: int = 0
    _own: HeaderSecret | None = field(default=None, repr=False)
    _told_at: dict[str, float] = field(default_factory=dict)

    def self_secret(self, alias: str, upstream: str) -> HeaderSecret:
        """The header that says to the gate for whom this guest calls."""
        if self._own is None:
            self._own = HeaderSecret(alias, upstream, "Authorization", f"Bearer {self.self_token}")
        return self._own

    def count_refusal(self, code: str) -> bool:
        """Count one; whether to log it: each code once a second, so that a guest can't flood the log."""
        self.refused[code] += 1
        now = self.clock()
        if now - self._told_at.get(code, -2.0) < 1.0:
            return False
        self._told_at[code] = now
        return True
