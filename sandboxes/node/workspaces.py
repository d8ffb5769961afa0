"""Workspaces between runtimes: saved, restored, kept while somebody needs them, deleted when nobody does."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from sandboxes.node.driver import DriverError, SlotPlace
from sandboxes.node.machine import Machine
from sandboxes.node.slots import Row
from sandboxes.node.snapshot_store import SnapshotStore
from sandboxes.protocol import SandboxError, SnapshotInfo, StorageFull

ARCHIVE_BYTES_PER_ENTRY = 256
"""More than an entry's headers take when they are compressed; its names lie on the volume too, and are counted with it."""


def _wall_ms() -> int:
    """For people who read a list of snapshots; nothing is decided by it."""
    return time.time_ns() // 1_000_000


class Workspaces:
    """The snapshot files and, in the slot table, who needs which. One lock orders references against deletions."""

    def __init__(self, machine: Machine, store: SnapshotStore) -> None:
        self._machine = machine
        self._store = store
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Finish what an earlier process had begun: files saved but not named, dropped but not deleted."""
        for digest in self._store.pending():
            if await self._machine.slots.is_referenced(digest):
                self._store.publish(digest)
            else:
                self._store.discard_pending(digest)
        async with self._lock:
            await self._delete(await self._machine.slots.doomed())

    async def restore(self, digest: str, row: Row, place: SlotPlace) -> None:
        """Fill a mounted, empty volume. Raises StartFailed."""
        await self._store.restore(digest, self._machine.driver, place, self._limits(row))

    async def save(self, row: Row, place: SlotPlace, *, named_bytes_max: int | None = None) -> dict[str, Any]:
        """Pack a mounted volume; what is to be recorded of it. Raises SandboxError (`storage_full`, `snapshot_failed`), and then
        the volume is as it was: the caller may try again, or give the workspace up with `snapshot=False`. One that its owner
        names has a bound and leaves the node's reserve of disk alone.
        """
        bytes_max = self._worst_bytes(row, place)
        if named_bytes_max is not None:
            bytes_max = min(bytes_max, named_bytes_max)
        try:
            stopped = self._machine.volume_path(row.slot) if named_bytes_max is None else None
            with self._machine.room.packing(bytes_max, stopped=stopped) as packing:
                saved = await self._store.save(self._machine.driver, place, self._limits(row), packing)
        except (DriverError, OSError) as error:
            raise SandboxError(str(error)[:500], code="snapshot_failed", retryable=True) from error
        return {
            "snapshot_digest": saved.digest,
            "snapshot_bytes": saved.size_bytes,
            "skipped": saved.skipped,
            "skipped_examples": json.dumps(saved.skipped_examples),
        }

    async def keep(self, row: Row, place: SlotPlace, name: str) -> SnapshotInfo:
        """Pack a mounted volume in which nothing runs, under a name. Raises SandboxError."""
        settings = self._machine.settings
        sizes = [item[1] for item in await self._machine.slots.snapshots(row.address) if item[2]]
        left = settings.named_snapshot_bytes_max - sum(sizes)
        if len(sizes) >= settings.named_snapshots_max or left <= 0:
            raise self._too_much()
        try:
            saved = await self.save(row, place, named_bytes_max=left)
        except StorageFull as error:
            if left < self._worst_bytes(row, place) and error.is_over_bound:
                raise self._too_much() from error
            raise
        digest, size_bytes = str(saved["snapshot_digest"]), int(saved["snapshot_bytes"])
        examples = tuple(json.loads(saved["skipped_examples"]))
        info = SnapshotInfo(digest, size_bytes, name, _wall_ms(), int(saved["skipped"]), examples)
        async with self._lock:
            await self._machine.slots.keep_snapshot(row.address, info)
            self._store.publish(digest)
        return info

    async def all_of(self, address: str) -> list[SnapshotInfo]:
        """An address's snapshots, the newest first."""
        found = await self._machine.slots.snapshots(address)
        return [
            SnapshotInfo(digest, size_bytes, name, wall_ms, skipped, tuple(json.loads(examples)))
            for digest, size_bytes, name, wall_ms, skipped, examples in found
        ]

    async def drop(self, address: str, digest: str) -> None:
        """Drop one snapshot of an address. Raises SandboxError (`snapshot_not_found`)."""
        async with self._lock:
            found, doomed = await self._machine.slots.drop_snapshot(address, digest)
            await self._delete(doomed)
        if not found:
            error = SandboxError("the address has no such snapshot", code="snapshot_not_found")
            error.status = 404
            raise error

    async def record(self, row: Row, changes: dict[str, Any]) -> None:
        """Commit the end of a runtime and the snapshot it leaves, if any; delete what that made superfluous."""
        async with self._lock:
            doomed = await self._machine.slots.stopped(row, changes, self._machine.settings.snapshots_kept, _wall_ms())
            if changes.get("snapshot_digest") is not None:
                self._store.publish(changes["snapshot_digest"])
            await self._delete(doomed)

    async def forget(self, address: str) -> None:
        """Drop every snapshot of an address."""
        async with self._lock:
            await self._delete(await self._machine.slots.forget_snapshots(address))

    async def _delete(self, digests: list[str]) -> None:
        if digests:
            for digest in digests:
                self._store.delete(digest)
            await self._machine.slots.buried(digests)

    def _too_much(self) -> SandboxError:
        settings = self._machine.settings
        message = (
            f"a wallet keeps up to {settings.named_snapshots_max} named snapshots, together up to"
            f" {settings.named_snapshot_bytes_max >> 20} MiB; delete one"
        )
        return SandboxError(message, code="snapshots_full")

    def _worst_bytes(self, row: Row, place: SlotPlace) -> int:
        """More than a snapshot of this volume can take: what lies in it does not compress, and holes take nothing."""
        limits = self._machine.settings.size_classes[row.size_class]
        used = self._machine.driver.used_bytes(place)
        used = limits.disk_bytes if used is None else min(limits.disk_bytes, used)
        return used + used // 64 + limits.inodes * ARCHIVE_BYTES_PER_ENTRY + (1 << 20)

    def _limits(self, row: Row) -> dict[str, int]:
        settings = self._machine.settings
        limits = settings.size_classes[row.size_class]
        return {
            "bytes_max": limits.disk_bytes * settings.snapshot_bytes_max_factor,
            "entries_max": limits.inodes,
        }
