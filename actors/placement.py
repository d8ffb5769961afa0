"""Which host a wallet lives on.

address -> sha256 -> one of 1,024 shards -> host. A shard never changes; which host serves it follows from the number of
hosts alone, and the epoch fence makes a restart with another number safe.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

SHARDS = 1024

Placement = Literal["shared", "dedicated"]


def shard_of(address: str) -> int:
    """The shard of an address, for ever."""
    return int.from_bytes(hashlib.sha256(address.encode()).digest()[:4], "big") % SHARDS


@dataclass(frozen=True, slots=True)
class HostMap:
    """Address to host. `dedicated` gives every wallet an actor of its own; that is the whole difference."""

    placement: Placement = "shared"
    hosts: int = 2

    def name(self, address: str) -> str:
        """The Ray actor that hosts an address."""
        if self.placement == "dedicated":
            return f"wallet-{address}"
        return f"host-{shard_of(address) * self.hosts // SHARDS}"

    def names(self) -> list[str]:
        """The hosts that always run."""
        return [] if self.placement == "dedicated" else [f"host-{k}" for k in range(self.hosts)]

    def owns(self, name: str, address: str) -> bool:
        """Whether the host `name` is the one for `address`."""
        return self.name(address) == name
