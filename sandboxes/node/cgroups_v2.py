"""Control groups, version 2."""

from __future__ import annotations

import os
from pathlib import Path

from sandboxes.node.cgroup_files import PERIOD_US, Usage, Weights, kill_listed, listed, read_field, read_int, remove
from sandboxes.size_classes import SizeClass


class CgroupsV2:
    """The unified hierarchy: `cgroup.kill`, `memory.max`, `memory.events`."""

    kind = "v2"

    def __init__(self, root: Path, parent: str) -> None:
        self._parent = root / parent
        available = frozenset((root / "cgroup.controllers").read_text().split())
        self.controllers = available & {"memory", "pids", "cpu"}
        self._parent.mkdir(exist_ok=True)
        self._weights = Weights(os.cpu_count() or 1)
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
            "cpu.max": ("cpu", f"{limits.cpu_percent * PERIOD_US // 100} {PERIOD_US}"),
            "cpu.weight": ("cpu", str(limits.cpu_weight)),
        }
        for file, (controller, value) in wanted.items():
            path = group / file
            if controller in self.controllers and (file != "memory.swap.max" or path.exists()):
                path.write_text(value)
        self._weigh(self._weights.add(name, limits.cpu_weight))
        return [str(group / "cgroup.procs")]

    def _weigh(self, weight: int) -> None:
        if "cpu" in self.controllers and self._parent.exists():
            (self._parent / "cpu.weight").write_text(str(min(weight, 10_000)))

    def usage(self, name: str) -> Usage:
        """See `Cgroups.usage`."""
        group = self._parent / name
        return Usage(
            cpu_us=read_field(group / "cpu.stat", "usage_usec"),
            memory_bytes=read_int(group / "memory.current"),
            memory_peak_bytes=read_int(group / "memory.peak"),
            oom_kills=read_field(group / "memory.events", "oom_kill") or 0,
        )

    def oom_kills(self, name: str) -> int:
        """See `Cgroups.oom_kills`."""
        return read_field(self._parent / name / "memory.events", "oom_kill") or 0

    def processes(self, name: str) -> list[int]:
        """See `Cgroups.processes`."""
        return listed(self._parent / name / "cgroup.procs")

    def refusals_file(self, name: str) -> Path | None:
        """See `Cgroups.refusals_file`."""
        return self._parent / name / "pids.events" if "pids" in self.controllers else None

    def weigh(self, name: str, weight: int) -> None:
        """See `Cgroups.weigh`."""
        if "cpu" in self.controllers:
            (self._parent / name / "cpu.weight").write_text(str(weight))
        self._weigh(self._weights.add(name, weight))

    def freeze(self, name: str, frozen: bool) -> None:
        """See `Cgroups.freeze`."""
        (self._parent / name / "cgroup.freeze").write_text(str(int(frozen)))

    def is_frozen(self, name: str) -> bool:
        """See `Cgroups.is_frozen`."""
        return read_field(self._parent / name / "cgroup.events", "frozen") == 1

    def kill(self, name: str) -> None:
        """See `Cgroups.kill`; kernels before 5.14 have no `cgroup.kill`."""
        try:
            (self._parent / name / "cgroup.kill").write_text("1")
        except OSError:
            kill_listed(self._parent / name / "cgroup.procs")

    def remove(self, name: str) -> bool:
        """See `Cgroups.remove`."""
        self._weigh(self._weights.remove(name))
        return remove(self._parent / name)

    def leftovers(self) -> list[str]:
        """See `Cgroups.leftovers`."""
        return sorted(path.name for path in self._parent.iterdir() if path.is_dir())

    def close(self) -> None:
        """See `Cgroups.close`."""
        remove(self._parent)
