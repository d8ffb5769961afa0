"""The two facts every runtime's time is made of: boottime milliseconds and the kernel's boot id."""

from __future__ import annotations

import time
from pathlib import Path


def boottime_ms() -> int:
    """Milliseconds of CLOCK_BOOTTIME: it continues through suspend and restarts at boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> str:
    """The kernel's id of this boot, without which a boottime means nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
