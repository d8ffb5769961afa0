"""Names to addresses: once per connection, by the given resolver."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Protocol

from sandboxes.egress.addresses import Address

THREADS = 256
"""As many sandboxes as this holds shares (`lookups_per_sandbox_max`, 8) have to work together to make others wait."""
ADDRESSES_MAX = 16


class Resolver(Protocol):
    """Answers names."""

    async def resolve(self, name: str) -> list[Address]:
        """Its addresses, best first; none when there is no such name."""
        ...


class SystemResolver:
    """The host's own resolver, in threads: their number bounds what slow name servers can hold up. `fixed` comes first."""

    def __init__(self, fixed: Mapping[str, Sequence[str]]) -> None:
        self._fixed = {name: [ip_address(text) for text in texts] for name, texts in fixed.items()}
        self._threads = ThreadPoolExecutor(THREADS, "resolve")

    async def resolve(self, name: str) -> list[Address]:
        """See `Resolver.resolve`."""
        if name in self._fixed:
            return list(self._fixed[name])
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, name + ".")
        except OSError:
            return []
        texts = dict.fromkeys(str(row[4][0]) for row in found[:ADDRESSES_MAX])
        return [ip_address(text) for text in texts]


def _look_up(name: str) -> list[tuple[object, object, object, object, tuple[object, ...]]]:
    """With the dot at its end a name is looked up as it is, in no search domain of the host's."""
    return list(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
