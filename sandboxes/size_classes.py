"""Size classes as data: what a sandbox of each may use."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MIB = 1 << 20
GIB = 1 << 30


class SizeClass(BaseModel):
    """Limits of one size class. `cpu_percent` is of one core; `cpu_weight` is the share under contention (100 is usual)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_bytes: int = Field(ge=32 * MIB)
    cpu_percent: int = Field(ge=5)
    cpu_weight: int = Field(ge=1, le=10_000)
    processes: int = Field(ge=8)
    disk_bytes: int = Field(ge=16 * MIB)
    inodes: int = Field(ge=1024)
    scratch_bytes: int = Field(ge=MIB, description="size of /tmp; /dev/shm and /run get a quarter each")
    open_files: int = Field(default=4096, ge=64)
    egress_bytes_per_second: float = Field(
        default=8 * MIB, gt=0, description="each way, after a burst of one second's worth"
    )
    egress_bytes_max: int | None = Field(default=None, ge=0, description="both ways together, in one runtime's life")


SIZE_CLASSES: dict[str, SizeClass] = {
    "nano": SizeClass(
        memory_bytes=128 * MIB, cpu_percent=50, cpu_weight=50, processes=64, disk_bytes=256 * MIB, inodes=16_384,
        scratch_bytes=32 * MIB, egress_bytes_per_second=2 * MIB,
    ),
    "small": SizeClass(
        memory_bytes=512 * MIB, cpu_percent=100, cpu_weight=100, processes=256, disk_bytes=GIB, inodes=65_536,
        scratch_bytes=128 * MIB,
    ),
    "medium": SizeClass(
        memory_bytes=2 * GIB, cpu_percent=200, cpu_weight=200, processes=1024, disk_bytes=4 * GIB, inodes=262_144,
        scratch_bytes=512 * MIB, egress_bytes_per_second=32 * MIB,
    ),
}  # fmt: skip
