"""What a runtime used over the last while: one sample every few seconds, the oldest forgotten."""

from __future__ import annotations

from collections import deque
from typing import Any

SAMPLE_SECONDS = 10.0
SAMPLES_MAX = 360
FIELDS = ("cpu_us", "memory_bytes", "disk_bytes", "egress_in_bytes", "egress_out_bytes")


class UsageHistory:
    """Samples of one runtime, at node time. Counters only grow; memory and disk are as they were."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, dict[str, Any]]] = deque(maxlen=SAMPLES_MAX)

    def add(self, at_ms: int, usage: dict[str, object]) -> None:
        """Remember what is used now."""
        self._samples.append((at_ms, {name: usage.get(name) for name in FIELDS}))

    def since(self, at_ms: int) -> list[dict[str, Any]]:
        """Samples taken at or after a moment, the oldest first."""
        return [{"at_ms": taken, **sample} for taken, sample in self._samples if taken >= at_ms]
