"""What both versions of cgroups do with the files of a group, and what they tell of one."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Usage:
    """What the host saw a group use. None where this machine can't tell."""

    cpu_us: int | None
    memory_bytes: int | None
    memory_peak_bytes: int | None
    oom_kills: int


def read_int(path: Path) -> int | None:
    """A file of one number; None when there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def read_field(path: Path, field: str) -> int | None:
    """A number by name from a file of `name value` lines."""
    try:
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == field:
                return int(value)
    except (OSError, ValueError):
        return None
    return None


def kill_listed(path: Path) -> None:
    """SIGKILL every process a file lists."""
    try:
        pids = path.read_text().split()
    except OSError:
        return
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue


def remove(path: Path) -> bool:
    """Remove a group's folder; False while somebody is in it."""
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
