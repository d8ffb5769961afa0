"""Limits, kill and truth by cgroup: version 2, version 1, or none, behind one small interface.

Each node has a parent group of its own, named after its state folder, so that two nodes never touch each other's and a
restarted node finds exactly what its predecessor left.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandboxes.size_classes import SizeClass

_PERIOD_US = 100_000
_SWEEP_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Usage:
    """What the host saw a group use. None where this machine can't tell."""

    cpu_us: int | None
    memory_bytes: int | None
    memory_peak_bytes: int | None
    oom_kills: int


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

    def kill(self, name: str) -> None:
        """SIGKILL every process in the group."""
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


def _read_int(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _read_field(path: Path, field: str) -> int | None:
    try:
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == field:
                return int(value)
    except (OSError, ValueError):
        return None
    return None


def _kill_listed(path: Path) -> None:
    try:
        pids = path.read_text().split()
    except OSError:
        return
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue


def _remove(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


class CgroupsV2:
    """The unified hierarchy: `cgroup.kill`, `memory.max`, `memory.events`."""

    kind = "v2"

    def __init__(self, root: Path, parent: str) -> None:
        self._parent = root / parent
        available = frozenset((root / "cgroup.controllers").read_text().split())
        self.controllers = available & {"memory", "pids", "cpu"}
        self._parent.mkdir(exist_ok=True)
        switches = " ".join(f"+{name}" for name in sorted(self.controllers))
        for folder in (root, self._parent):
            (folder / "cgroup.subtree_control").write_text(switches)

    def create(self, name: str, limits: SizeClass) -> list[str]:
        """See `Cgroups.create`. Memory is killed as a whole only by its own OOM choice; swap is off."""
        group = self._parent / name
        group.mkdir()
        wanted = {
            "memory.max": ("memory", str(limits.memory_bytes)),
            "memory.swap.max": ("memory", "0"),
            "pids.max": ("pids", str(limits.processes)),
            "cpu.max": ("cpu", f"{limits.cpu_percent * _PERIOD_US // 100} {_PERIOD_US}"),
            "cpu.weight": ("cpu", str(limits.cpu_weight)),
        }
        for file, (controller, value) in wanted.items():
            path = group / file
            if controller in self.controllers and (file != "memory.swap.max" or path.exists()):
                path.write_text(value)
        return [str(group / "cgroup.procs")]

    def usage(self, name: str) -> Usage:
        """See `Cgroups.usage`."""
        group = self._parent / name
        return Usage(
            cpu_us=_read_field(group / "cpu.stat", "usage_usec"),
            memory_bytes=_read_int(group / "memory.current"),
            memory_peak_bytes=_read_int(group / "memory.peak"),
            oom_kills=_read_field(group / "memory.events", "oom_kill") or 0,
        )

    def oom_kills(self, name: str) -> int:
        """See `Cgroups.oom_kills`."""
        return _read_field(self._parent / name / "memory.events", "oom_kill") or 0

    def kill(self, name: str) -> None:
        """See `Cgroups.kill`; kernels before 5.14 have no `cgroup.kill`."""
        try:
            (self._parent / name / "cgroup.kill").write_text("1")
        except OSError:
            _kill_listed(self._parent / name / "cgroup.procs")

    def remove(self, name: str) -> bool:
        """See `Cgroups.remove`."""
        return _remove(self._parent / name)

    def leftovers(self) -> list[str]:
        """See `Cgroups.leftovers`."""
        return sorted(path.name for path in self._parent.iterdir() if path.is_dir())

    def close(self) -> None:
        """See `Cgroups.close`."""
        _remove(self._parent)


class CgroupsV1:
    """One hierarchy per controller, mounted under the root by name."""

    kind = "v1"

    def __init__(self, root: Path, parent: str) -> None:
        names = ("memory", "pids", "cpu", "cpuacct", "freezer")
        self._folders = {name: root / name / parent for name in names if (root / name / "cgroup.procs").exists()}
        self.controllers = frozenset(self._folders)
        for folder in self._folders.values():
            folder.mkdir(exist_ok=True)

    def create(self, name: str, limits: SizeClass) -> list[str]:
        """See `Cgroups.create`."""
        wanted = {
            "memory": {
                "memory.limit_in_bytes": limits.memory_bytes,
                "memory.memsw.limit_in_bytes": limits.memory_bytes,
            },
            "pids": {"pids.max": limits.processes},
            "cpu": {
                "cpu.cfs_quota_us": limits.cpu_percent * _PERIOD_US // 100,
                "cpu.cfs_period_us": _PERIOD_US,
                "cpu.shares": limits.cpu_weight * 1024 // 100,
            },
        }
        files = []
        for controller, folder in self._folders.items():
            group = folder / name
            group.mkdir()
            for file, value in wanted.get(controller, {}).items():
                if file != "memory.memsw.limit_in_bytes" or (group / file).exists():
                    (group / file).write_text(str(value))
            # A single thread that moves itself by `tasks` needs no system-wide lock; `cgroup.procs` waits up to 20 ms for it.
            files.append(str(group / "tasks"))
        return files

    def usage(self, name: str) -> Usage:
        """See `Cgroups.usage`."""
        cpu_ns = _read_int(self._file("cpuacct", name, "cpuacct.usage"))
        return Usage(
            cpu_us=None if cpu_ns is None else cpu_ns // 1000,
            memory_bytes=_read_int(self._file("memory", name, "memory.usage_in_bytes")),
            memory_peak_bytes=_read_int(self._file("memory", name, "memory.max_usage_in_bytes")),
            oom_kills=_read_field(self._file("memory", name, "memory.oom_control"), "oom_kill") or 0,
        )

    def oom_kills(self, name: str) -> int:
        """See `Cgroups.oom_kills`."""
        return _read_field(self._file("memory", name, "memory.oom_control"), "oom_kill") or 0

    def _file(self, controller: str, name: str, file: str) -> Path:
        return self._folders.get(controller, Path("/nonexistent")) / name / file

    def kill(self, name: str) -> None:
        """See `Cgroups.kill`: any hierarchy lists them all."""
        for folder in self._folders.values():
            _kill_listed(folder / name / "cgroup.procs")

    def remove(self, name: str) -> bool:
        """See `Cgroups.remove`."""
        removed = [_remove(folder / name) for folder in self._folders.values()]  # each is tried, also after a failure
        return all(removed)

    def leftovers(self) -> list[str]:
        """See `Cgroups.leftovers`."""
        groups = {path.name for folder in self._folders.values() for path in folder.iterdir() if path.is_dir()}
        return sorted(groups)

    def close(self) -> None:
        """See `Cgroups.close`."""
        for folder in self._folders.values():
            _remove(folder)


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
