"""What both versions of cgroups do with the files of a group, and what they tell of one."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

PERIOD_US = 100_000
FILE_BYTES_MAX = 4096  # the files read here have a few lines
PARENT_WEIGHT_PER_CORE_MAX = 400  # a busy process of the node keeps a fifth of its core


@dataclass(frozen=True, slots=True)
class Usage:
    """What the host saw a group use. None where this machine can't tell."""

    cpu_us: int | None
    memory_bytes: int | None
    memory_peak_bytes: int | None
    oom_kills: int


class Weights:
    """What all groups of a node weigh together against everything else on the machine, in units of which 100 is one process.

    The kernel spreads a parent's weight over the cores its groups run on, so with a fixed one a busy sandbox would take of
    its neighbours' weight, on other cores too. So the parent weighs what its groups do; up to a limit, so that the node
    keeps a part of each core however many sandboxes are busy.
    """

    def __init__(self, cores: int) -> None:
        self._most = PARENT_WEIGHT_PER_CORE_MAX * cores
        self._groups: dict[str, int] = {}

    def add(self, name: str, weight: int) -> int:
        """With one group more: the parent's weight."""
        self._groups[name] = weight
        return self._sum()

    def remove(self, name: str) -> int:
        """With one group less: the parent's weight."""
        self._groups.pop(name, None)
        return self._sum()

    def _sum(self) -> int:
        return max(100, min(self._most, sum(self._groups.values())))


def _content(path: Path) -> bytes:
    """The whole of a small file, by the shortest way: every command reads one twice. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, FILE_BYTES_MAX)
    finally:
        os.close(fd)


def read_int(path: Path) -> int | None:
    """A file of one number; None when there is none."""
    try:
        return int(_content(path))
    except (OSError, ValueError):
        return None


def read_field(path: Path, field: str) -> int | None:
    """A number by name from a file of `name value` lines."""
    wanted = field.encode()
    try:
        for line in _content(path).splitlines():
            name, _, value = line.partition(b" ")
            if name == wanted:
                return int(value)
    except (OSError, ValueError):
        return None
    return None


def listed(path: Path) -> list[int]:
    """The processes that a file lists; none when it is gone."""
    try:
        return [int(pid) for pid in path.read_text().split()]
    except OSError:
        return []


def kill_listed(path: Path) -> None:
    """SIGKILL every process a file lists."""
    for pid in listed(path):
        try:
            os.kill(pid, signal.SIGKILL)
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
