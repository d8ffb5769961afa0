"""Limits, kill and truth by cgroup: version 2, version 1, or none, behind one small interface.

Each node has a parent group of its own, named after its state folder, so that two nodes never touch each other's and a
restarted node finds exactly what its predecessor left.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Protocol

from sandboxes.node.cgroup_files import Usage
from sandboxes.node.cgroups_v1 import CgroupsV1
from sandboxes.node.cgroups_v2 import CgroupsV2
from sandboxes.size_classes import SizeClass

_SWEEP_PAUSE_SECONDS = 0.01


class Cgroups(Protocol):
    """One kind of cgroup."""

    kind: str
    controllers: frozenset[str]

    def create(self, name: str, limits: SizeClass) -> list[str]:
        """Make an empty group; the files a process writes 0 to in order to join."""
        ...

    def usage(self, name: str) -> Usage:
        """Counters of a group; zeros for one that is gone."""
        ...

    def oom_kills(self, name: str) -> int:
        """That one counter of `usage`, which every command asks for twice."""
        ...

    def processes(self, name: str) -> list[int]:
        """Who is in the group."""
        ...

    def refusals_file(self, name: str) -> Path | None:
        """Where the kernel counts processes that the group was refused; None where it does not."""
        ...

    def weigh(self, name: str, weight: int) -> None:
        """Give the group another weight against its neighbours (100 is usual)."""
        ...

    def freeze(self, name: str, frozen: bool) -> None:
        """Ask the kernel to stop running the group's processes, or to run them again."""
        ...

    def is_frozen(self, name: str) -> bool:
        """Whether nothing in the group runs any more."""
        ...

    def kill(self, name: str) -> None:
        """SIGKILL every process in the group, frozen or not."""
        ...

    def remove(self, name: str) -> bool:
        """Remove the group; False while processes are still in it."""
        ...

    def leftovers(self) -> list[str]:
        """Groups below this node's parent."""
        ...

    def close(self) -> None:
        """Remove this node's parent group if nothing is left in it."""
        ...


class NoCgroups:
    """A machine where no cgroup can be made: rlimits only. `doctor` says so."""

    kind = "none"
    controllers: frozenset[str] = frozenset()

    def create(self, name: str, limits: SizeClass) -> list[str]:
        """Nothing to join."""
        return []

    def usage(self, name: str) -> Usage:
        """Nothing is known."""
        return Usage(None, None, None, 0)

    def oom_kills(self, name: str) -> int:
        """Nothing is known."""
        return 0

    def processes(self, name: str) -> list[int]:
        """Nothing is known."""
        return []

    def refusals_file(self, name: str) -> Path | None:
        """Nothing is counted."""
        return None

    def weigh(self, name: str, weight: int) -> None:
        """There is nothing to weigh."""

    def freeze(self, name: str, frozen: bool) -> None:
        """Nothing can be frozen."""
        raise OSError("no cgroup to freeze")

    def is_frozen(self, name: str) -> bool:
        """Nothing is."""
        return False

    def kill(self, name: str) -> None:
        """Nothing can be killed by group; the pid namespace's init has to do."""

    def remove(self, name: str) -> bool:
        """There is nothing to remove."""
        return True

    def leftovers(self) -> list[str]:
        """There are none."""
        return []

    def close(self) -> None:
        """There is nothing to remove."""


def open_cgroups(root: Path, state: Path) -> Cgroups:
    """The best kind this machine lets us write: v2 with controllers, then v1 with memory or pids, else none."""
    parent = "satbox-" + hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]
    try:
        controllers = (root / "cgroup.controllers").read_text().split()
    except OSError:
        controllers = []
    try:
        if "memory" in controllers:
            return CgroupsV2(root, parent)
        v1 = CgroupsV1(root, parent)
        if v1.controllers:
            return v1
    except OSError:
        return NoCgroups()
    return NoCgroups()


def sweep(cgroups: Cgroups, seconds_max: float) -> list[str]:
    """Kill and remove every group an earlier node left. Raises TimeoutError when one does not empty in time."""
    names = cgroups.leftovers()
    deadline = time.monotonic() + seconds_max
    for name in names:
        cgroups.kill(name)
        while not cgroups.remove(name):
            if time.monotonic() > deadline:
                raise TimeoutError(f"cgroup {name} still has processes")
            time.sleep(_SWEEP_PAUSE_SECONDS)
            cgroups.kill(name)
    return names
