"""A node on a disk of its own that is filled: nothing is promised that does not fit, and what broke is healed."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sandboxes.protocol import NoCapacity, RuntimeLost, SandboxError, StartRequest, StopRequest, StorageFull
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap"),
]
MIB = 1 << 20
CLASS = {
    "memory_bytes": 128 * MIB, "cpu_percent": 50, "cpu_weight": 50, "processes": 64, "disk_bytes": 48 * MIB,
    "inodes": 2048, "scratch_bytes": 16 * MIB,
}  # fmt: skip


class SmallDisk:
    """A node whose state is on a tmpfs of its own."""

    def __init__(self, size_mib: int, **settings: object) -> None:
        base = {"slots": {"nano": 4}, "size_classes": {"nano": CLASS}, "free_disk_bytes_min": 8 * MIB}
        self.node = RunningNode({**base, **settings})
        self.node.state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "satbox-test", self.node.state], check=True)

    def fill(self, *, leave: int = 0) -> None:
        """Take what is free, as a log or another program would."""
        with (self.node.state / "filler").open("wb") as file:
            found = os.statvfs(self.node.state)
            os.posix_fallocate(file.fileno(), 0, max(4096, found.f_bavail * found.f_frsize - leave))

    def make_room(self) -> None:
        (self.node.state / "filler").unlink()

    async def close(self) -> None:
        await self.node.end(15)
        for _ in range(200):  # volumes of a spawner that is just leaving
            ended = await asyncio.create_subprocess_exec("umount", self.node.state, stderr=subprocess.DEVNULL)
            if await ended.wait() == 0:
                break
            await asyncio.sleep(0.05)
        await self.node.close()


@pytest.fixture
async def disk() -> AsyncIterator[SmallDisk]:
    made = SmallDisk(256)
    ready = await made.node.start()
    assert ready["ready"], ready
    yield made
    await made.close()


async def start(disk: SmallDisk, runtime_ids: Iterator[str], address: str = "SP1") -> str:
    return (await disk.node.client.start(StartRequest(next(runtime_ids), address, size_class="nano"))).runtime_id


async def write(disk: SmallDisk, runtime_id: str, mib: int) -> None:
    result = await disk.node.client.exec(
        runtime_id, ["sh", "-c", f"head -c {mib}M /dev/urandom > /workspace/big && sync /workspace/big"]
    )
    assert result["exit_code"] == 0, result


def promised(disk: SmallDisk) -> int:
    """What volumes may still grow by, and the reserve."""
    found = [path.stat() for path in (disk.node.state / "volumes").glob("*.ext4")]
    return sum(max(0, one.st_size - one.st_blocks * 512) for one in found) + 8 * MIB


def files(disk: SmallDisk) -> list[str]:
    return sorted(path.name for path in (disk.node.state / "snapshots").iterdir())


async def test_no_more_starts_than_volumes_can_grow(disk: SmallDisk, runtime_ids: Iterator[str]) -> None:
    disk.fill(leave=2 * 48 * MIB + 8 * MIB + 4 * MIB)
    outcomes = await asyncio.gather(*(start(disk, runtime_ids, f"SP{k}") for k in range(4)), return_exceptions=True)
    started = [outcome for outcome in outcomes if isinstance(outcome, str)]

    assert len(started) == 2
    assert all(isinstance(outcome, NoCapacity) for outcome in outcomes if not isinstance(outcome, str))
    for runtime_id in started:  # each has what it was promised, whatever its neighbour does
        await write(disk, runtime_id, 32)


async def test_a_named_snapshot_takes_nobody_s_room(disk: SmallDisk, runtime_ids: Iterator[str]) -> None:
    greedy, neighbour = await start(disk, runtime_ids, "SP1"), await start(disk, runtime_ids, "SP2")
    await write(disk, greedy, 30)
    disk.fill(leave=promised(disk) + 20 * MIB)  # less than a snapshot

    with pytest.raises(StorageFull):
        await disk.node.client.snapshot(greedy, "mine")
    assert files(disk) == []
    await write(disk, neighbour, 32)
    assert (await disk.node.client.stop(StopRequest(greedy, snapshot=True))).snapshot_digest is not None


async def test_packers_at_once_are_all_counted(disk: SmallDisk, runtime_ids: Iterator[str]) -> None:
    boxes = [await start(disk, runtime_ids, f"SP{k}") for k in range(3)]
    for box in boxes:
        await write(disk, box, 20)
    disk.fill(leave=promised(disk) + 2 * 24 * MIB)
    outcomes = await asyncio.gather(*(disk.node.client.snapshot(box, "mine") for box in boxes), return_exceptions=True)

    assert sum(isinstance(outcome, StorageFull) for outcome in outcomes) == 1, outcomes
    assert len(files(disk)) == 2


async def test_named_snapshots_have_a_quota_of_bytes(runtime_ids: Iterator[str]) -> None:
    disk = SmallDisk(256, named_snapshot_bytes_max=30 * MIB)
    await disk.node.start()
    box = await start(disk, runtime_ids)
    await write(disk, box, 20)
    await disk.node.client.snapshot(box, "one")
    await write(disk, box, 20)
    with pytest.raises(SandboxError) as refused:
        await disk.node.client.snapshot(box, "two")
    assert refused.value.code == "snapshots_full"
    assert len(files(disk)) == 1
    await disk.close()


async def test_a_volume_that_the_full_host_broke_is_lost_at_its_last_good_moment_and_healed(
    disk: SmallDisk, runtime_ids: Iterator[str]
) -> None:
    client = disk.node.client
    box = await start(disk, runtime_ids)
    kept = await client.exec(box, ["sh", "-c", "echo kept > /workspace/kept && sync /workspace/kept"])
    assert kept["exit_code"] == 0
    before = (await client.beat()).at_ms
    disk.fill()
    # Until the kernel gives up: writing into a file system whose file can't grow.
    script = (
        "for i in $(seq 200); do head -c 1M /dev/urandom > /workspace/f$i; sync; touch /workspace/t$i || exit 7; done"
    )
    await client.exec(box, ["sh", "-c", script])
    async with asyncio.timeout(120):
        async for event in client.watch():
            if isinstance(event, RuntimeLost):
                loss = event
                break
    assert loss.reason == "volume_read_only"
    assert before - 10_500 <= loss.lost_at_ms <= (await client.beat()).at_ms

    with pytest.raises(SandboxError) as refused:
        await client.stop(StopRequest(box, snapshot=True))
    assert refused.value.retryable
    disk.make_room()
    stopped = await client.stop(StopRequest(box, snapshot=True))
    again = (
        await client.start(
            StartRequest(next(runtime_ids), "SP1", size_class="nano", snapshot_digest=stopped.snapshot_digest)
        )
    ).runtime_id
    result = await client.exec(
        again, ["sh", "-c", "cat /workspace/kept && echo new > /workspace/new && sync /workspace/new"]
    )
    assert (result["exit_code"], result["stdout"]) == (0, "kept\n")


def test_the_kernel_s_words_for_a_broken_file_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sandboxes.node.bubblewrap import BubblewrapDriver

    lines = [
        f"40 30 7:{k} / /mnt/slots/{k}/workspace rw,nosuid shared:1 - ext4 /dev/loop{k} {options}"
        for k, options in enumerate(("rw", "ro,relatime", "rw,emergency_ro", "rw,shutdown", "rw,errors=remount-ro"))
    ]
    (tmp_path / "mountinfo").write_text("\n".join(lines) + "\n")
    driver = BubblewrapDriver.__new__(BubblewrapDriver)
    driver._root = "/mnt"

    class Client:
        proc = str(tmp_path)

    monkeypatch.setattr(driver, "_client", Client)
    assert driver.read_only_slots() == {1, 2, 3}
