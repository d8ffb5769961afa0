"""Sandboxes that hold file locks without end: they are ended, as if they had used up their memory.

The kernel has no limit for locks, and charges them to nobody (192 bytes each): a tenant could fill the host's memory with them,
and its neighbours would be killed for that. So their number is looked at, and whose they are when there are too many.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

LOOK_SECONDS = 2.0
TOTAL_MAX = 65_536
"""On the whole machine: below it (12 MiB) nobody asks whose they are."""
LOCKS_MAX = 16_384
"""Of one sandbox. Databases hold a few for each of their files."""
_CHUNK_BYTES = 1 << 20
_SLABS, _LOCKS = Path("/proc/slabinfo"), Path("/proc/locks")


def locks_in_all() -> int:
    """How many the kernel holds. Its allocator knows it at once; a kernel that does not say it lists them."""
    try:
        for line in _SLABS.read_text().splitlines():
            if line.startswith("file_lock_cache "):
                return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return _lines(_LOCKS, b"\n", TOTAL_MAX)
    except OSError:
        return 0


def locks_of(pids: Iterable[int], most: int = LOCKS_MAX) -> int:
    """How many these processes hold, counted until there are more than `most`. A lock shows at each process
    that has its file open: the process that took it may have ended.
    """
    found = 0
    for pid in pids:
        folder = f"/proc/{pid}/fdinfo"
        try:
            names = os.listdir(folder)
        except OSError:
            continue  # it has ended
        for name in names:
            try:
                found += _lines(Path(folder, name), b"lock:", most)
            except OSError:
                continue
            if found > most:
                return found
    return found


def _lines(path: Path, mark: bytes, most: int) -> int:
    """How often a mark stands in a file, counted until there are more than `most`. Raises OSError."""
    found, tail = 0, b""
    with path.open("rb", buffering=0) as file:
        while found <= most and (chunk := file.read(_CHUNK_BYTES)):
            text = tail + chunk
            found += text.count(mark)
            tail = text[max(0, len(text) - len(mark) + 1) :] if len(mark) > 1 else b""
    return found


class LockFloods:
    """`groups` names the sandboxes that run; `pids` are those in one; `end` ends one."""

    def __init__(
        self, groups: Callable[[], Iterable[str]], pids: Callable[[str], Iterable[int]], end: Callable[[str], None]
    ) -> None:
        self._groups = groups
        self._pids = pids
        self._end = end

    async def look_for_ever(self) -> None:
        """End those that hold too many, as time goes by."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await asyncio.to_thread(locks_in_all) > TOTAL_MAX:
                await self.look()

    async def look(self) -> None:
        """Once, at all."""
        for name in list(self._groups()):
            if await asyncio.to_thread(self._count, name) > LOCKS_MAX:
                self._end(name)

    def _count(self, name: str) -> int:
        return locks_of(self._pids(name))
