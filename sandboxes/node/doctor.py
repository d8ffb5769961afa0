"""Which restrictions and limits this machine can give a sandbox, each with a reason when it can't."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from sandboxes.node.cgroups import Cgroups
from sandboxes.node.gvisor import UNSUPPORTED
from sandboxes.node.settings import NodeSettings
from sandboxes.node.terminals import machine_terminals, problem

_HOST_ID_LAST = 0xFFFF_FFFE


class RequirementMissing(Exception):  # noqa: N818 - reads as what happened
    """A restriction the operator requires can't be enforced here: the node must not start."""


class Doctor:
    """Runs every check once; `checks` maps a name to None (fine) or to what is missing."""

    def __init__(
        self, settings: NodeSettings, cgroups: Cgroups, seccomp_problem: str | None, uid_block_problem: str | None
    ) -> None:
        probes: dict[str, Callable[[], str | None]] = {
            "root": lambda: None if os.geteuid() == 0 else "the node does not run as root",
            "bubblewrap": lambda: _tool("bwrap"),
            "user_namespaces": _user_namespaces,
            "uid_ranges": lambda: uid_ranges_problem(settings),
            "uid_block_unshared": lambda: uid_block_problem,
            "seccomp": lambda: seccomp_problem,
            "volumes": lambda: _tool("mkfs.ext4") or _device("/dev/loop-control"),
            "cgroup_memory": lambda: _controller(cgroups, "memory"),
            "cgroup_pids": lambda: _controller(cgroups, "pids"),
            "cgroup_cpu": lambda: _controller(cgroups, "cpu"),
            "supervisor_oom_protection": _oom_protection,
            "terminals": lambda: problem(settings, machine_terminals()),
        }
        if settings.driver == "gvisor":
            probes["runsc"] = lambda: _tool("runsc")
        self.checks = {name: probe() for name, probe in probes.items()}
        self._driver = settings.driver
        self.unsupported = UNSUPPORTED if settings.driver == "gvisor" else {}
        self._cgroup_kind = cgroups.kind

    def require(self, names: Iterable[str]) -> None:
        """Raises RequirementMissing with every required check that fails or does not exist, and every required feature that
        the driver does not offer.
        """
        problems = []
        for name in (*names, *(("runsc",) if self._driver == "gvisor" else ())):
            if name in self.unsupported:
                problems.append(f"{name}: {self.unsupported[name]}")
            elif name not in self.checks:
                problems.append(f"{name}: no such check")
            elif self.checks[name] is not None:
                problems.append(f"{name}: {self.checks[name]}")
        if problems:
            raise RequirementMissing("; ".join(problems))

    def report(self) -> dict[str, object]:
        """The checks as data, and what the driver can't offer."""
        return {
            "driver": self._driver,
            "unsupported": [{"feature": name, "reason": reason} for name, reason in self.unsupported.items()],
            "cgroup_kind": self._cgroup_kind,
            "checks": [
                {"name": name, "status": "ok" if problem is None else "missing", "reason": problem or ""}
                for name, problem in self.checks.items()
            ],
        }


def _tool(name: str) -> str | None:
    return None if shutil.which(name) else f"{name} is not installed"


def _device(path: str) -> str | None:
    return None if Path(path).exists() else f"{path} is missing"


def _user_namespaces() -> str | None:
    try:
        most = int(Path("/proc/sys/user/max_user_namespaces").read_text())
    except (OSError, ValueError):
        return "this kernel has no user namespaces"
    return None if most > 0 else "user namespaces are switched off (user.max_user_namespaces = 0)"


def uid_ranges_problem(settings: NodeSettings) -> str | None:
    """Why the slots can't use these ids; None when they can."""
    last = settings.slot_uid_base + settings.uids_total
    if last > _HOST_ID_LAST:
        return "the slots' uid block does not fit below 2^32"
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, _outside, count = map(int, line.split())
        if inside <= settings.slot_uid_base and last <= inside + count:
            return _overlap(settings.slot_uid_base, last)
    return "the slots' uid block is not mapped in this user namespace"


def _overlap(first: int, last: int) -> str | None:
    """Ids handed out by /etc/subuid must not be ours as well."""
    try:
        lines = Path("/etc/subuid").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        start, _, count = rest.partition(":")
        if start.isdigit() and count.isdigit() and int(start) < last and first < int(start) + int(count):
            return f"the slots' uid block overlaps the subuid range of {name}"
    return None


def _controller(cgroups: Cgroups, name: str) -> str | None:
    if name in cgroups.controllers:
        return None
    return f"no writable {name} controller (cgroup kind: {cgroups.kind})"


def _oom_protection() -> str | None:
    """Commands are always the kernel's first choice; with CAP_SYS_RESOURCE the supervisor could be its last."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:") and int(line.split()[1], 16) >> 24 & 1:
            return None
    return (
        "no CAP_SYS_RESOURCE: a tenant that lowers its own oom score may lose the whole sandbox, reported as oom_killed"
    )
