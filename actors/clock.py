"""Time, passed in: wall time for labels, monotonic time for durations. Never mixed in one variable."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where a shell reads the time."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch; may step."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that never step back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """CLOCK_MONOTONIC in milliseconds."""
        return time.monotonic_ns() // 1_000_000
