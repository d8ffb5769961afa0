"""Workspaces at rest, as the node keeps them: bytes by the sha256 of what is stored. Who needs which is in the slot table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sandboxes.node.disk_room import Packing
from sandboxes.node.driver import Driver, SlotPlace


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot as it lies on disk, and what it could not take along."""

    digest: str
    size_bytes: int
    skipped: int
    skipped_examples: tuple[str, ...]


class SnapshotStore(Protocol):
    """A snapshot is saved, then recorded by its caller, then published; a crash in between leaves it pending."""

    async def save(self, driver: Driver, place: SlotPlace, limits: Mapping[str, int], packing: Packing) -> Saved:
        """Pack a mounted volume into room that is reserved for it. Durable when this returns, under a name that `publish` makes
        the digest's own. Raises StorageFull, and then nothing is left of it.
        """
        ...

    def publish(self, digest: str) -> None:
        """Give a saved snapshot its name. Harmless when it has it; a power cut leaves one name or the other."""
        ...

    def pending(self) -> list[str]:
        """Digests saved by an earlier process and not published: whether they are needed is on record."""
        ...

    def discard_pending(self, digest: str) -> None:
        """A saved snapshot is not needed after all."""
        ...

    def delete(self, digest: str) -> None:
        """Remove a snapshot; harmless when it is not here."""
        ...

    async def restore(self, digest: str, driver: Driver, place: SlotPlace, limits: Mapping[str, int]) -> None:
        """Fill a mounted, empty volume. Raises StartFailed when the snapshot is missing or damaged."""
        ...
