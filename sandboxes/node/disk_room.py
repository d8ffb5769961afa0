"""Who may still fill the host's disk: volumes that can grow, and snapshots being packed, all counted before more is promised.

Volumes are sparse files. What each may still grow by is taken off the free space, so that a sandbox never finds the host full
within its own size; what others fill the disk with (logs, other programs) is what the reserve is for.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from sandboxes.protocol import NoCapacity, StorageFull

RETRY_SECONDS = 60.0


class Packing:
    """What one packer may still write. The packer reports `used` as it writes: bytes on disk are no longer reserved."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.left = bytes_max

    def used(self, size: int) -> None:
        """So much more is on the disk. Raises StorageFull past the bound: what was reserved is not enough."""
        if size > self.left:
            error = StorageFull(f"the snapshot is larger than the {self.bytes_max >> 20} MiB it may take")
            error.is_over_bound = True
            raise error
        self.left -= size


class DiskRoom:
    """The accounts of one disk. Used from the node's loop alone, but for `Packing.used`."""

    def __init__(self, state: Path, reserve_bytes: int) -> None:
        self._state = state
        self._reserve_bytes = reserve_bytes
        self._coming: dict[Path, int] = {}
        self._packing: set[Packing] = set()

    def free_bytes(self, quiet: Path | None = None) -> int:
        """Free space that nobody was promised. Nothing runs on the volume `quiet`: it does not grow."""
        promised = sum(packing.left for packing in self._packing)
        coming = dict(self._coming)
        for path in (self._state / "volumes").glob("*.ext4"):
            coming.pop(path, None)
            if path == quiet:
                continue
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                promised += max(0, found.st_size - found.st_blocks * 512)
        return shutil.disk_usage(self._state).free - promised - sum(coming.values())

    def require(self, size: int = 0) -> None:
        """Raises NoCapacity unless so much more fits beside the reserve: what can't be kept must not start."""
        free = self.free_bytes()
        if free - size < self._reserve_bytes:
            message = f"only {max(0, free) >> 20} MiB of disk are not promised to others"
            raise NoCapacity(message, retry_after_seconds=RETRY_SECONDS)

    @contextlib.contextmanager
    def volume(self, path: Path, size: int) -> Iterator[None]:
        """Around the making of a volume. Raises NoCapacity."""
        if not path.exists():
            self.require(size)
        self._coming[path] = size
        try:
            yield
        finally:
            self._coming.pop(path, None)

    @contextlib.contextmanager
    def packing(self, bytes_max: int, *, stopped: Path | None = None) -> Iterator[Packing]:
        """Around the packing of a snapshot of at most `bytes_max`. A stop's may use the reserve: the volume that it is made of,
        `stopped`, is deleted afterwards. Raises StorageFull.
        """
        free = self.free_bytes(stopped) - (0 if stopped is not None else self._reserve_bytes)
        if bytes_max > free:
            raise StorageFull(
                f"a snapshot may take {bytes_max >> 20} MiB, and {max(0, free) >> 20} MiB can be given to it"
            )
        packing = Packing(bytes_max)
        self._packing.add(packing)
        try:
            yield packing
        finally:
            self._packing.discard(packing)
