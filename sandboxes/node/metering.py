"""Counters that only grow, as wallets are billed by them: everything the host counted, nothing a sandbox said.

Between two looks the smaller of both is counted, so a counter may be below the truth and never is above it.
"""

from __future__ import annotations

from collections.abc import Mapping

BYTES_OF_MEMORY = "memory_bytes"


class RuntimeMeters:
    """One runtime's. What its slot's CPU did before it was given away is not its own."""

    def __init__(self, class_memory_bytes: int, at_ms: int, usage: Mapping[str, object]) -> None:
        self._class_memory_bytes = class_memory_bytes
        self._cpu_us_before = _number(usage, "cpu_us")
        self._above = 0
        self._above_byte_ms = 0
        self._at_ms = at_ms

    def saw(self, at_ms: int, usage: Mapping[str, object]) -> None:
        """Take in what is used now."""
        above = max(0, _number(usage, BYTES_OF_MEMORY) - self._class_memory_bytes)
        self._above_byte_ms += min(self._above, above) * max(0, at_ms - self._at_ms)
        self._above, self._at_ms = above, at_ms

    def counts(self, usage: Mapping[str, object]) -> dict[str, int]:
        """By meter, since the runtime began."""
        return {
            "cpu": max(0, _number(usage, "cpu_us") - self._cpu_us_before),
            "memory_above_class": self._above_byte_ms,
            "egress": _number(usage, "egress_in_bytes") + _number(usage, "egress_out_bytes"),
        }


class StorageMeters:
    """Byte-seconds of snapshots by address, since this process began (`period`, its wall time in ms, tells which)."""

    def __init__(self, period: int) -> None:
        self.period = period
        self._sizes: dict[str, int] = {}
        self._byte_ms: dict[str, int] = {}
        self._at_ms: int | None = None

    def saw(self, at_ms: int, sizes: Mapping[str, int]) -> None:
        """Take in what every address keeps now."""
        elapsed_ms = 0 if self._at_ms is None else max(0, at_ms - self._at_ms)
        for address, size in sizes.items():
            kept = min(size, self._sizes.get(address, 0))
            self._byte_ms[address] = self._byte_ms.get(address, 0) + kept * elapsed_ms
        self._sizes, self._at_ms = dict(sizes), at_ms

    def count(self, address: str) -> int:
        """Byte-seconds up to the last look."""
        return self._byte_ms.get(address, 0) // 1000


def _number(usage: Mapping[str, object], name: str) -> int:
    """A counter; 0 where this machine can't tell, which bills nothing."""
    value = usage.get(name)
    return value if isinstance(value, int) else 0
