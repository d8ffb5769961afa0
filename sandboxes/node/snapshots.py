"""Workspace snapshots at rest: tar streams, compressed, named by the sha256 of what lies on disk."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import zstandard

from sandboxes.node.disk_room import Packing
from sandboxes.node.driver import ArchiveRefused, Driver, SlotPlace
from sandboxes.node.snapshot_store import Saved
from sandboxes.protocol import StartFailed, StorageFull
from storage.full_disk import is_full

_CHUNK_BYTES = 1 << 18
_LEVEL = 1  # as fast as the disk; a workspace is read back as often as it is written
_WINDOW_BYTES_MAX = 1 << 27
_DIGEST = re.compile(r"^[0-9a-f]{64}$")


class SnapshotFolder:
    """A `SnapshotStore`: a folder of `<sha256>.tar.zst`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in folder.glob("*.partial"):
            path.unlink()

    def path(self, digest: str) -> Path:
        """Where a snapshot lies. Raises ValueError for what is no digest."""
        if not _DIGEST.match(digest):
            raise ValueError("not a snapshot digest")
        return self._folder / f"{digest}.tar.zst"

    def _pending(self, digest: str) -> Path:
        return self.path(digest).with_suffix(".pending")

    async def save(self, driver: Driver, place: SlotPlace, limits: Mapping[str, int], packing: Packing) -> Saved:
        """Pack a mounted volume into room that is reserved for it. On disk when this returns, under a name that `publish` makes
        the digest's own. Raises StorageFull, and then nothing is left of it.
        """
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        work = asyncio.get_running_loop().run_in_executor(None, self._write, read_fd, packing)
        try:
            report = await driver.pack(place, write_fd, limits)
        except BaseException:
            with contextlib.suppress(
                OSError
            ):  # when `_write` failed it has left nothing; that it was full is the reason
                os.unlink((await work)[0])
            raise
        name, digest, size = await work
        await asyncio.to_thread(self._keep, name, digest)
        return Saved(digest, size, report.skipped, report.examples)

    def _write(self, read_fd: int, packing: Packing) -> tuple[str, str, int]:
        """In a thread: compress the pipe into a temporary file, on disk when done."""
        hasher, size = hashlib.sha256(), 0
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        with (
            os.fdopen(read_fd, "rb", buffering=0) as source,
            tempfile.NamedTemporaryFile(dir=self._folder, suffix=".partial", delete=False) as target,
        ):
            try:
                while True:
                    data = source.read(_CHUNK_BYTES)
                    packed = compressor.compress(data) if data else compressor.flush()
                    packing.used(len(packed))
                    hasher.update(packed)
                    size += target.write(packed)
                    if not data:
                        break
                target.flush()
                os.fsync(target.fileno())
            except BaseException as error:
                os.unlink(target.name)
                if is_full(error):
                    raise StorageFull("the disk is full; the snapshot was not kept") from error
                raise
            return target.name, hasher.hexdigest(), size

    def publish(self, digest: str) -> None:
        """Give a saved snapshot its name. Harmless when it has it; a power cut leaves one name or the other."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._pending(digest), self.path(digest))

    def _keep(self, name: str, digest: str) -> None:
        os.rename(name, self._pending(digest))
        folder_fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder_fd)
        finally:
            os.close(folder_fd)

    def pending(self) -> list[str]:
        """Digests saved by an earlier process and not published: whether they are needed is on record."""
        return [path.name.partition(".")[0] for path in self._folder.glob("*.pending")]

    def discard_pending(self, digest: str) -> None:
        """A saved snapshot is not needed after all."""
        self._pending(digest).unlink(missing_ok=True)

    def delete(self, digest: str) -> None:
        """Remove a snapshot; harmless when it is not here."""
        self.path(digest).unlink(missing_ok=True)

    async def restore(self, digest: str, driver: Driver, place: SlotPlace, limits: Mapping[str, int]) -> None:
        """Fill a mounted, empty volume. Raises StartFailed when the snapshot is missing or damaged."""
        try:
            path = self.path(digest)
        except ValueError as error:
            raise StartFailed("snapshot_unknown", str(error), retryable=False) from error
        if not path.exists():
            raise StartFailed("snapshot_unknown", "the snapshot is not on this node", retryable=False)
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        work = asyncio.get_running_loop().run_in_executor(None, _read, path, digest, write_fd)
        try:
            await driver.unpack(place, read_fd, limits)
        except ArchiveRefused as error:
            await work
            code = "snapshot_too_large" if error.too_large else "snapshot_damaged"
            raise StartFailed(code, str(error)[-500:], retryable=False) from error
        except BaseException:
            await work
            raise
        if not await work:
            raise StartFailed("snapshot_damaged", "the snapshot does not match its digest", retryable=False)


class _Hashing:
    """A file that remembers the digest of what was read from it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.hasher = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.hasher.update(data)
        return data


def _read(path: Path, digest: str, write_fd: int) -> bool:
    """In a thread: decompress a snapshot into the pipe, a bounded piece at a time (zeros expand 30,000 times); whether
    it was what its name says.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
    with os.fdopen(write_fd, "wb", buffering=0) as target, path.open("rb") as source:
        hashing = _Hashing(source)
        try:
            with decompressor.stream_reader(hashing, read_size=_CHUNK_BYTES, closefd=False) as reader:  # type: ignore[arg-type]
                while data := reader.read(_CHUNK_BYTES):
                    view = memoryview(data)
                    while view:
                        view = view[target.write(view) :]
        except (BrokenPipeError, zstandard.ZstdError):
            return False
        while hashing.read(_CHUNK_BYTES):
            pass
        return hashing.hasher.hexdigest() == digest
