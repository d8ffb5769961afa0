"""How many terminals a sandbox may have open: the kernel counts them for the whole machine, so each gets a share.

`kernel.pty.max` terminals exist; `kernel.pty.reserve` of them only for the host's own devpts (Documentation/filesystems/devpts).
A quarter of the rest stays for whatever else runs on this machine.
"""

from __future__ import annotations

from pathlib import Path

from sandboxes.node.settings import NodeSettings

FOLDER = Path("/proc/sys/kernel/pty")
FEW = 2


def machine_terminals(folder: Path = FOLDER) -> int:
    """Terminals that mounts other than the host's can have; 0 when the kernel does not say."""
    try:
        return max(0, int((folder / "max").read_text()) - int((folder / "reserve").read_text()))
    except (OSError, ValueError):
        return 0


def per_sandbox(settings: NodeSettings, available: int) -> int:
    """The limit of one sandbox, so that all together leave some to others."""
    return min(settings.terminals_per_sandbox_max, available * 3 // 4 // max(1, settings.slots_total))


def problem(settings: NodeSettings, available: int) -> str | None:
    """Why sandboxes here get fewer terminals than anybody would expect; None if they get enough."""
    share = per_sandbox(settings, available)
    if share >= min(FEW, settings.terminals_per_sandbox_max):
        return None
    return f"{available} terminals for {settings.slots_total} slots leave {share} each: raise kernel.pty.max"
