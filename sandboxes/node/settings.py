"""Settings of a node, with units in their names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sandboxes.egress import EgressSettings
from sandboxes.node.fork_storms import PENALTY_SECONDS
from sandboxes.size_classes import SIZE_CLASSES, SizeClass

UIDS_PER_SLOT = 65_536
DEFAULT_IMAGE = "base"


class NodeSettings(BaseModel):
    """What an operator can choose. `require` names doctor checks whose failure makes the start fail."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    node_id: str = "node-1"
    driver: Literal["bubblewrap", "gvisor"] = "bubblewrap"
    slots: dict[str, int] = Field(default_factory=lambda: {"nano": 64, "small": 32, "medium": 8})
    size_classes: dict[str, SizeClass] = Field(default_factory=lambda: dict(SIZE_CLASSES))
    slot_uid_base: int = Field(default=0x2000_0000, ge=65_536)
    uid_lock: Path = Path("/run/satbox-uids.lock")
    uid_lock_seconds_max: float = Field(default=5.0, ge=0, description="patience with a node that is just leaving")
    private_root: str = "/mnt"
    egress: EgressSettings = Field(default_factory=EgressSettings)
    cgroup_root: Path = Path("/sys/fs/cgroup")
    require: tuple[str, ...] = (
        "root", "bubblewrap", "user_namespaces", "uid_ranges", "uid_block_unshared", "seccomp", "volumes",
    )  # fmt: skip
    image_store: Path | None = Field(
        default=None, description="built images; `images` beside the state folder if unset"
    )
    pool: dict[str, int] = Field(
        default_factory=lambda: {"small": 2}, description="warm slots, keyed `class` (image base) or `class:image`"
    )
    pool_batch_max: int = Field(default=4, ge=1, description="pool slots booted at once")
    pool_refills_per_second: float = Field(default=50.0, gt=0)
    pool_memory_bytes_max: int = Field(default=1 << 30, ge=0, description="the pool grows no more past this")
    start_seconds_max: float = Field(default=10.0, gt=0)
    terminals_per_sandbox_max: int = Field(default=64, ge=0, description="at most; the kernel's count may allow fewer")
    shutdown_seconds_max: float = Field(default=30.0, gt=0)
    kill_seconds_max: float = Field(default=10.0, gt=0)
    sweep_seconds_max: float = Field(default=10.0, gt=0)
    snapshot_bytes_max_factor: int = Field(default=4, ge=1, description="logical bytes in a snapshot, in disk sizes")
    snapshots_kept: int = Field(default=3, ge=1, description="newest snapshots kept per address")
    free_disk_bytes_min: int = Field(
        default=1 << 30,
        ge=0,
        description="nothing starts or is kept under a name unless this much disk stays free and promised to nobody",
    )
    named_snapshots_max: int = Field(default=10, ge=0, description="snapshots an address keeps under names")
    named_snapshot_bytes_max: int = Field(default=4 << 30, ge=0, description="what they may take together, compressed")
    stopped_rows_max: int = Field(default=100_000, ge=1)
    commands_per_runtime_max: int = Field(default=128, ge=1)
    fork_storm_seconds: float = Field(
        default=PENALTY_SECONDS, gt=0, description="how long a sandbox weighs little after it kept asking for processes"
    )
    output_bytes_max: int = Field(default=16 << 20, ge=1024)
    file_bytes_max: int = Field(default=4 << 30, ge=1024)
    watchers_max: int = Field(default=64, ge=1)

    @property
    def pool_sizes(self) -> dict[tuple[str, str], int]:
        """Warm slots per size class and image: no more than can be sold of the class."""
        sizes = {}
        for key, size in self.pool.items():
            size_class, _, image = key.partition(":")
            sizes[size_class, image or DEFAULT_IMAGE] = min(max(0, size), self.slots.get(size_class, 0))
        return sizes

    @property
    def slots_total(self) -> int:
        """Slots of this node, each with a range of uids of its own: those that can be sold, and the warm pool's."""
        return sum(self.slots.values()) + sum(self.pool_sizes.values())

    @property
    def uids_total(self) -> int:
        """Size of the block of host uids from `slot_uid_base` on."""
        return self.slots_total * UIDS_PER_SLOT
