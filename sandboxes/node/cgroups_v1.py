"""Control groups, version 1."""

from __future__ import annotations

import os
from pathlib import Path

from sandboxes.node.cgroup_files import PERIOD_US, Usage, Weights, kill_listed, listed, read_field, read_int, remove
from sandboxes.size_classes import SizeClass


class CgroupsV1:
    """One hierarchy per controller, mounted under the root by name."""

    kind = "v1"

    def __init__(self, root: Path, parent: str) -> None:
        names = ("memory", "pids", "cpu", "cpuacct", "freezer")
        self._folders = {name: root / name / parent for name in names if (root / name / "cgroup.procs").exists()}
        self.controllers = frozenset(self._folders)
        for folder in self._folders.values():
            folder.mkdir(exist_ok=True)
        self._weights = Weights(os.cpu_count() or 1)

    def create(self, name: str, limits: SizeClass) -> list[str]:
        """See `Cgroups.create`."""
        wanted = {
            "memory": {
                "memory.limit_in_bytes": limits.memory_bytes,
                "memory.memsw.limit_in_bytes": limits.memory_bytes,
            },
            "pids": {"pids.max": limits.processes},
            "cpu": {
                "cpu.cfs_quota_us": limits.cpu_percent * PERIOD_US // 100,
                "cpu.cfs_period_us": PERIOD_US,
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
        self._weigh(self._weights.add(name, limits.cpu_weight))
        return files

    def _weigh(self, weight: int) -> None:
        if "cpu" in self._folders and self._folders["cpu"].exists():
            (self._folders["cpu"] / "cpu.shares").write_text(str(weight * 1024 // 100))

    def usage(self, name: str) -> Usage:
        """See `Cgroups.usage`."""
        cpu_ns = read_int(self._file("cpuacct", name, "cpuacct.usage"))
        return Usage(
            cpu_us=None if cpu_ns is None else cpu_ns // 1000,
            memory_bytes=read_int(self._file("memory", name, "memory.usage_in_bytes")),
            memory_peak_bytes=read_int(self._file("memory", name, "memory.max_usage_in_bytes")),
            oom_kills=read_field(self._file("memory", name, "memory.oom_control"), "oom_kill") or 0,
        )

    def oom_kills(self, name: str) -> int:
        """See `Cgroups.oom_kills`."""
        return read_field(self._file("memory", name, "memory.oom_control"), "oom_kill") or 0

    def _file(self, controller: str, name: str, file: str) -> Path:
        return self._folders.get(controller, Path("/nonexistent")) / name / file

    def processes(self, name: str) -> list[int]:
        """See `Cgroups.processes`: any hierarchy lists them all."""
        return [pid for folder in list(self._folders.values())[:1] for pid in listed(folder / name / "cgroup.procs")]

    def refusals_file(self, name: str) -> Path | None:
        """See `Cgroups.refusals_file`."""
        return self._file("pids", name, "pids.events") if "pids" in self.controllers else None

    def weigh(self, name: str, weight: int) -> None:
        """See `Cgroups.weigh`."""
        if "cpu" in self._folders:
            self._file("cpu", name, "cpu.shares").write_text(str(max(2, weight * 1024 // 100)))
        self._weigh(self._weights.add(name, weight))

    def freeze(self, name: str, frozen: bool) -> None:
        """See `Cgroups.freeze`."""
        self._file("freezer", name, "freezer.state").write_text("FROZEN" if frozen else "THAWED")

    def is_frozen(self, name: str) -> bool:
        """See `Cgroups.is_frozen`."""
        try:
            return self._file("freezer", name, "freezer.state").read_text().strip() == "FROZEN"
        except OSError:
            return False

    def kill(self, name: str) -> None:
        """See `Cgroups.kill`: any hierarchy lists them all. A frozen process dies once it is thawed."""
        if self.is_frozen(name):
            self.freeze(name, frozen=False)
        for folder in self._folders.values():
            kill_listed(folder / name / "cgroup.procs")

    def remove(self, name: str) -> bool:
        """See `Cgroups.remove`."""
        self._weigh(self._weights.remove(name))
        removed = [remove(folder / name) for folder in self._folders.values()]  # each is tried, also after a failure
        return all(removed)

    def leftovers(self) -> list[str]:
        """See `Cgroups.leftovers`."""
        groups = {path.name for folder in self._folders.values() for path in folder.iterdir() if path.is_dir()}
        return sorted(groups)

    def close(self) -> None:
        """See `Cgroups.close`."""
        for folder in self._folders.values():
            remove(folder)
