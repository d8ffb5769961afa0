"""Slots as this machine has them: ids, volume, cgroup of each number, and the parts that all work on slots shares."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import images
from images import PreparedImage
from sandboxes.node.cgroups import Cgroups
from sandboxes.node.disk_room import DiskRoom
from sandboxes.node.driver import Driver, DriverError, SlotPlace
from sandboxes.node.egress import Egress
from sandboxes.node.fork_storms import ForkStorms
from sandboxes.node.passed_files import THREADS
from sandboxes.node.settings import UIDS_PER_SLOT, NodeSettings
from sandboxes.node.slots import SlotTable
from sandboxes.node.spawner_client import SpawnerGone
from sandboxes.protocol import StartFailed
from sandboxes.supervisor.tenant import TENANT_ID

_PAUSE_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Machine:
    """What the node was built from."""

    settings: NodeSettings
    state: Path
    driver: Driver
    cgroups: Cgroups
    images: dict[str, PreparedImage]
    slots: SlotTable
    egress: Egress
    storms: ForkStorms
    room: DiskRoom
    file_threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "files"))

    def why_no_image(self, name: str) -> str:
        """Why no sandbox starts from this image here."""
        return images.why_not_offered(name, images.folders(self.settings.image_store or self.state.parent / "images"))

    def require_needs(self, image: str) -> None:
        """Raises StartFailed when this node's driver can't give what an image asks for."""
        for feature in self.images[image].definition.needs:
            reason = self.driver.unsupported.get(feature)
            if reason is not None:
                message = f"image {image} needs {feature}, which driver {self.driver.name} does not offer: {reason}"
                raise StartFailed("driver_unsupported", message, retryable=False)

    @staticmethod
    def group(slot: int) -> str:
        """Name of the slot's cgroup."""
        return f"slot-{slot}"

    def volume_path(self, slot: int) -> Path:
        """The slot's workspace, a file system in a file."""
        return self.state / "volumes" / f"slot-{slot}.ext4"

    def has_volume(self, slot: int) -> bool:
        """Whether the slot holds a workspace."""
        return self.volume_path(slot).exists()

    def remove_volume(self, slot: int) -> None:
        """Wipe the slot's workspace."""
        self.volume_path(slot).unlink(missing_ok=True)

    def volume_bytes(self, slot: int) -> int | None:
        """What the slot's workspace takes of the host's disk; None when there is none."""
        try:
            return self.volume_path(slot).stat().st_blocks * 512
        except OSError:
            return None

    def place(self, slot: int, size_class: str, cgroup_files: tuple[str, ...] = ()) -> SlotPlace:
        """The slot as a driver needs it."""
        slot_uid = self.settings.slot_uid_base + slot * UIDS_PER_SLOT
        return SlotPlace(
            slot=slot,
            slot_uid=slot_uid,
            tenant_uid=slot_uid + TENANT_ID,
            volume_image=str(self.volume_path(slot)),
            volume_template=str(self.state / "templates" / f"{size_class}.ext4"),
            volume_spare=f"spare-{size_class}.ext4",
            cgroup_files=cgroup_files,
        )

    async def clear_group(self, slot: int) -> None:
        """Kill what is left in the slot's cgroup and remove it. Raises TimeoutError."""
        name = self.group(slot)
        deadline = asyncio.get_running_loop().time() + self.settings.kill_seconds_max
        while not self.cgroups.remove(name):
            self.cgroups.kill(name)
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"cgroup {name} does not empty")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def unmount(self, place: SlotPlace) -> None:
        """Unmount the slot's volume if it is mounted; without a spawner nothing is."""
        with contextlib.suppress(DriverError, SpawnerGone):
            await self.driver.unmount(place)

    def oom_kills(self, slot: int) -> int:
        """How often the host has killed for memory in this slot."""
        return self.cgroups.oom_kills(self.group(slot))
