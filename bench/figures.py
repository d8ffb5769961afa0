"""A figure: what was measured, how often, and how it spread."""

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. `value` is what a mark is compared with; latencies also carry percentiles."""

    name: str
    unit: str
    n: int
    value: float
    p50: float | None = None
    p95: float | None = None
    note: str = ""

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample below which `share` of them lie (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def latency(name: str, samples_ms: Sequence[float], note: str = "") -> Figure:
    """A latency in milliseconds; its value is the median."""
    p50, p95 = percentile(samples_ms, 0.5), percentile(samples_ms, 0.95)
    return Figure(name, "ms", len(samples_ms), round(p50, 3), round(p50, 3), round(p95, 3), note)


def machine() -> str:
    """The machine, in one line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return (
        f"{os.cpu_count()} cores of {model}, {memory_kb // (1 << 20)} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def rss_bytes(pid: int | str = "self") -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds() -> float:
    """Processor time this process has used."""
    return time.process_time()
