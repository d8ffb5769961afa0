"""The seam between the node and what confines a sandbox. A second driver (gVisor) fits behind it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from images import PreparedImage
from sandboxes.size_classes import SizeClass


@dataclass(frozen=True, slots=True)
class SlotPlace:
    """Where a sandbox goes: its slot, the host ids of its supervisor and tenant, its volume image on disk."""

    slot: int
    slot_uid: int
    tenant_uid: int
    volume_image: str
    volume_template: str
    volume_spare: str  # name of an empty volume that may be taken instead of a copy
    cgroup_files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launch:
    """One sandbox to start."""

    key: str
    place: SlotPlace
    limits: SizeClass
    image: PreparedImage
    terminals: int  # how many may be open at once
    listen: Callable[
        [socket.socket], Awaitable[socket.socket | None]
    ]  # asks the supervisor for its listener, while it boots
    processes_rlimit: int


@dataclass(slots=True)
class Running:
    """A sandbox's process tree as its driver sees it. `control` leads to the supervisor; `exited` gets the wait status
    once the whole tree is gone; `listener` is where its commands will find the egress proxy.
    """

    key: str
    control: socket.socket
    exited: asyncio.Future[int]
    stderr: bytes = b""
    listener: socket.socket | None = None

    def hang_up(self) -> None:
        """Close the connection to the supervisor, and the listener if it is still here."""
        self.control.close()
        if self.listener is not None:
            self.listener.close()


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What went through an archiver, and what it had to leave behind, the first few by name and reason."""

    entries: int
    bytes: int
    skipped: int
    examples: tuple[str, ...] = ()


class DriverError(Exception):
    """The driver can't do what was asked; the message says what is missing."""


class ArchiveRefused(DriverError):  # noqa: N818 - reads as what happened
    """An archive holds what it may not hold, or (`too_large`) more than the volume takes."""

    def __init__(self, message: str, *, too_large: bool) -> None:
        super().__init__(message)
        self.too_large = too_large


class Driver(Protocol):
    """What confines sandboxes on this machine. `unsupported` maps a feature to why this driver can't offer it."""

    name: str
    unsupported: Mapping[str, str]

    async def open(self) -> None:
        """Get ready. Raises DriverError when a restriction can't be given."""
        ...

    async def close(self) -> None:
        """End every sandbox and unmount everything."""
        ...

    async def broken(self) -> None:
        """Return when the driver can start nothing any more. The node then has to be restarted."""
        ...

    async def launch(self, launch: Launch) -> Running:
        """Start a sandbox; returns when its supervisor says ready and its listener is there. Raises
        DriverError, with nothing left running.
        """
        ...

    async def kill(self, running: Running) -> None:
        """SIGKILL the whole tree and wait until it is gone."""
        ...

    def with_overhead(self, limits: SizeClass) -> SizeClass:
        """Limits for the slot's cgroup: what is sold, and what the driver itself needs in there."""
        ...

    async def mount(self, place: SlotPlace) -> None:
        """Mount a volume that no sandbox uses, to save what is on it."""
        ...

    async def unmount(self, place: SlotPlace) -> None:
        """Unmount a volume."""
        ...

    def used_bytes(self, place: SlotPlace) -> int | None:
        """What lies on the slot's mounted volume; None when it can't be seen."""
        ...

    def read_only_slots(self) -> set[int]:
        """Slots whose mounted volume the kernel lets nobody write any more, since the host's disk was full or broken."""
        ...

    async def pack(self, place: SlotPlace, data_fd: int, limits: Mapping[str, int]) -> ArchiveReport:
        """Write the mounted volume as a tar stream to a pipe, as the slot's own root; says what was left behind."""
        ...

    async def unpack(self, place: SlotPlace, data_fd: int, limits: Mapping[str, int]) -> ArchiveReport:
        """Fill the mounted volume from a tar stream, as the tenant's host uid. Raises ArchiveRefused."""
        ...
