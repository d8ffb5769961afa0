"""Lower the CPU weight of sandboxes that keep asking for more processes than they may have, until they stop.

Each refused process makes others on the core wait for the end of a system call, and leaves work that the kernel does later on
nobody's account. A sandbox with a low weight still gets all of an idle core: it waits only where it would make others wait.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from sandboxes.node.cgroups import Cgroups

REFUSALS_MAX = 50
"""Refused processes within `WINDOW_SECONDS` that nobody gets by accident: a program that is out of processes gives up."""
WINDOW_SECONDS = 1.0
PENALTY_SECONDS = 10.0
PENALTY_DIVISOR = 32
LOOK_SECONDS = 0.05
LOOKS_PER_ROUND = 100  # one look in so many is at all sandboxes, the others at those that a command runs in


class Refusals:
    """The rule: too many refusals within one window are a storm."""

    def __init__(self) -> None:
        self._seen = 0
        self._window_start = 0.0
        self._window_base = 0

    def saw(self, total: int, at_seconds: float) -> bool:
        """With so many refusals since the start: whether it storms."""
        if at_seconds - self._window_start > WINDOW_SECONDS:
            self._window_start, self._window_base = at_seconds, self._seen
        self._seen = total
        return total - self._window_base >= REFUSALS_MAX


@dataclass(slots=True)
class _Watched:
    weight: int
    is_busy: Callable[[], bool]
    events_fd: int
    refusals: Refusals = field(default_factory=Refusals)
    pardoned_at: float | None = None


class ForkStorms:
    """Watches groups. A penalty ends `penalty_seconds` after the last storm was seen.

    The kernel tells of refusals by itself with cgroup v2 only, so it is asked: 20 times a second while a command runs.
    """

    def __init__(self, cgroups: Cgroups, penalty_seconds: float = PENALTY_SECONDS) -> None:
        self._cgroups = cgroups
        self._penalty_seconds = penalty_seconds
        self._watched: dict[str, _Watched] = {}

    def watch(self, name: str, weight: int, is_busy: Callable[[], bool]) -> None:
        """From now on, for a group of this usual weight. Nothing happens where the kernel does not count."""
        path = self._cgroups.refusals_file(name)
        if path is None:
            return
        try:
            events_fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        self._watched[name] = _Watched(weight, is_busy, events_fd)

    def forget(self, name: str) -> None:
        """No longer; the group is about to go."""
        watched = self._watched.pop(name, None)
        if watched is not None:
            os.close(watched.events_fd)

    async def look_for_ever(self) -> None:
        """Judge and pardon, as time goes by."""
        clock, number = asyncio.get_running_loop().time, 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look(clock(), everywhere=number == 0)
            number = (number + 1) % LOOKS_PER_ROUND

    def look(self, at_seconds: float, *, everywhere: bool) -> None:
        """Look once: at who is busy or under a penalty, or everywhere."""
        for name, watched in self._watched.items():
            if not (everywhere or watched.pardoned_at is not None or watched.is_busy()):
                continue
            if watched.refusals.saw(_count(watched.events_fd), at_seconds):
                if watched.pardoned_at is None:
                    structlog.get_logger().warning("sandbox.fork_storm", group=name)
                    self._weigh(name, max(1, watched.weight // PENALTY_DIVISOR))
                watched.pardoned_at = at_seconds + self._penalty_seconds
            elif watched.pardoned_at is not None and at_seconds >= watched.pardoned_at:
                watched.pardoned_at = None
                self._weigh(name, watched.weight)

    def _weigh(self, name: str, weight: int) -> None:
        try:
            self._cgroups.weigh(name, weight)
        except OSError as error:  # the group is gone, and its weight with it
            structlog.get_logger().warning("sandbox.weight_not_set", group=name, error=str(error)[:200])


def _count(events_fd: int) -> int:
    """The number in a line `max N`."""
    try:
        return int(os.pread(events_fd, 64, 0).split()[1])
    except (OSError, ValueError, IndexError):
        return 0
