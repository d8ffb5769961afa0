"""Workspaces between runtimes: saved, restored, kept while somebody needs them, deleted when nobody does."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from sandboxes.node.driver import DriverError, Place
from sandboxes.node.machine import Machine
from sandboxes.node.slots import Row
from sandboxes.node.snapshots import SnapshotStore
from sandboxes.protocol import SandboxError, SnapshotInfo

NAMED_MAX = 10


def _wall_ms() -> int:
    """For people who read a list of snapshots; nothing is decided by it."""
    return time.time_ns() // 1_000_000


class Workspaces:
    """The snapshot files and, in the slot table, who needs which. One lock orders references against deletions."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._store = SnapshotStore(machine.state / "snapshots")
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

    async def restore(self, digest: str, row: Row, place: Place) -> None:
        """Fill a mounted, empty volume. Raises StartFailed."""
        await self._store.restore(digest, self._machine.driver, place, self._limits(row))

    async def save(self, row: Row, place: Place) -> dict[str, Any]:
        """Pack a mounted volume; what is to be recorded of it. Raises SandboxError (`snapshot_failed`), and then the
        volume is as it was: the caller may try again, or give the workspace up with `snapshot=False`.
        """
        try:
            saved = await self._store.save(self._machine.driver, place, self._limits(row))
        except (DriverError, OSError) as error:
            raise SandboxError(str(error)[:500], code="snapshot_failed", retryable=True) from error
        return {
            "snapshot_digest": saved.digest,
            "snapshot_bytes": saved.size_bytes,
            "skipped": saved.skipped,
            "skipped_examples": json.dumps(saved.skipped_examples),
        }

    async def keep(self, row: Row, place: Place, name: str) -> SnapshotInfo:
        """Pack a mounted volume in which nothing runs, under a name. Raises SandboxError."""
        if len([item for item in await self._machine.slots.snapshots(row.address) if item[2]]) >= NAMED_MAX:
            raise SandboxError(f"an address keeps up to {NAMED_MAX} named snapshots; delete one", code="snapshots_full")
        saved = await self.save(row, place)
        digest, size_bytes, wall_ms = str(saved["snapshot_digest"]), int(saved["snapshot_bytes"]), _wall_ms()
        async with self._lock:
            await self._machine.slots.keep_snapshot(row.address, digest, size_bytes, name, wall_ms)
            self._store.publish(digest)
        return SnapshotInfo(digest, size_bytes, name, wall_ms)

    async def all_of(self, address: str) -> list[SnapshotInfo]:
        """An address's snapshots, the newest first."""
        return [SnapshotInfo(*item) for item in await self._machine.slots.snapshots(address)]

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

    def _limits(self, row: Row) -> dict[str, int]:
        settings = self._machine.settings
        limits = settings.size_classes[row.size_class]
        return {
            "bytes_max": limits.disk_bytes * settings.snapshot_bytes_max_factor,
            "entries_max": limits.inodes,
        }
