"""Clocks of the pretended machines."""

import asyncio

WALL_MS = 1_800_000_000_000


class Times:
    """One wall clock that can step, one that cannot. What hosts and settlements read."""

    def __init__(self) -> None:
        self.step_ms = 0

    def wall_ms(self) -> int:
        """Labels."""
        return WALL_MS + self.monotonic_ms() + self.step_ms

    now_ms = wall_ms

    def monotonic_ms(self) -> int:
        """Durations."""
        return int(asyncio.get_running_loop().time() * 1000)
