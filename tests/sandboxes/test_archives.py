"""Archives that no packer of ours made: refused on restore, with a code, and nothing left of the start."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from sandboxes.protocol import StartFailed, StartRequest
from tests.sandboxes.running_node import RunningNode

pytestmark = [pytest.mark.sandbox, pytest.mark.shared_node]

Fill = Callable[[tarfile.TarFile], None]


def put(node: RunningNode, packed: bytes, digest: str | None = None) -> str:
    digest = digest or hashlib.sha256(packed).hexdigest()
    (node.state / "snapshots" / f"{digest}.tar.zst").write_bytes(packed)
    return digest


def archive(fill: Fill) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        fill(tar)
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    info.mode = 0o4777
    return info


def entries(*members: tarfile.TarInfo) -> Fill:
    def fill(tar: tarfile.TarFile) -> None:
        for info in members:
            tar.addfile(info, io.BytesIO(bytes(info.size)) if info.isreg() else None)

    return fill


OUT = "/tmp/satbox-escape-test"
HOSTILE: dict[str, Fill] = {
    "upwards": entries(member("../x")),
    "upwards inside": entries(member("a/../../x")),
    "absolute": entries(member(OUT)),
    "through a link out": entries(member("l", tarfile.SYMTYPE, "/tmp"), member("l/satbox-escape-test")),
    "over a link out": entries(member("l", tarfile.SYMTYPE, OUT), member("l", size=5)),
    "hard link out": entries(member("l", tarfile.LNKTYPE, "/etc/passwd")),
    "hard link upwards": entries(member("l", tarfile.LNKTYPE, "../../../etc/passwd")),
    "character device": entries(member("d", tarfile.CHRTYPE)),
    "block device": entries(member("d", tarfile.BLKTYPE)),
    "fifo": entries(member("d", tarfile.FIFOTYPE)),
    "the same name twice": entries(member("a"), member("a")),
    "through a file": entries(member("a"), member("a/b")),
}


async def refused(node: RunningNode, runtime_ids: Iterator[str], digest: str) -> StartFailed:
    with pytest.raises(StartFailed) as failure:
        await node.client.start(StartRequest(next(runtime_ids), "SP1", size_class="nano", snapshot_digest=digest))
    assert not failure.value.retryable
    assert await node.client.runtimes() == []
    assert (await node.client.capacity()).classes["nano"].used == 0
    assert list((node.state / "volumes").iterdir()) == []
    assert [item for item in node.leftovers() if item.startswith(("loop", "process"))] == []
    return failure.value


def untouched() -> bool:
    return not os.path.lexists(OUT) and Path("/etc/passwd").stat().st_nlink == 1


def peak_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0])


async def test_hostile_members_are_refused(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    for name, fill in HOSTILE.items():
        digest = put(node, zstandard.compress(archive(fill)))
        assert (await refused(node, runtime_ids, digest)).code == "snapshot_damaged", name
    assert untouched()


async def test_damage_is_found(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    good = archive(entries(member("a", size=3_000_000)))
    packed = zstandard.compress(os.urandom(64) + good[64:])
    intact = zstandard.compress(good)
    flipped = intact[:20] + bytes([intact[20] ^ 1]) + intact[21:]
    damaged = {
        "no archive": put(node, zstandard.compress(os.urandom(4096))),
        "broken header": put(node, packed),
        "not compressed": put(node, good),
        "cut short, named for the whole": put(node, intact[: len(intact) // 2], hashlib.sha256(intact).hexdigest()),
        "cut short, named for the rest": put(node, zstandard.compress(good[: len(good) // 2])),
        "one bit": put(node, flipped, "a" * 64),
        "another's name": put(node, intact, "b" * 64),
        "empty": put(node, b""),
    }

    for name, digest in damaged.items():
        assert (await refused(node, runtime_ids, digest)).code == "snapshot_damaged", name


async def test_bombs_do_not_go_off(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    """Each is small on disk. The node's memory stays where it was: it expands a bounded piece at a time."""
    zeros = bytes(64 << 20)

    def stream(parts: list[bytes]) -> bytes:
        compressor = zstandard.ZstdCompressor().compressobj()
        return b"".join(compressor.compress(part) for part in parts) + compressor.flush()

    claims = member("claims", size=1 << 42).tobuf(tarfile.PAX_FORMAT)
    huge_header = member("x", tarfile.XHDTYPE, size=1 << 33).tobuf(tarfile.GNU_FORMAT)
    many = archive(entries(*(member(f"f{number}") for number in range(16_500))))
    within = member("zeros", size=20 * len(zeros)).tobuf(tarfile.PAX_FORMAT)
    bombs = {
        "claims": (stream([claims, *[zeros] * 4]), "snapshot_too_large"),
        "header": (stream([huge_header, *[zeros] * 30]), "snapshot_damaged"),
        "trailer": (stream([archive(entries(member("a"))), *[zeros] * 30]), "snapshot_damaged"),
        "entries": (stream([many]), "snapshot_too_large"),
        "bytes": (stream([within, *[zeros] * 20]), "snapshot_too_large"),
    }

    for name, (packed, code) in bombs.items():
        assert len(packed) < 2 << 20
        assert (await refused(node, runtime_ids, put(node, packed))).code == code, name

    assert node.process is not None
    assert peak_kib(node.process.pid) < 200_000


async def test_an_archive_of_zeros_that_fits_is_restored(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    digest = put(node, zstandard.compress(archive(entries(member("zeros", size=100 << 20)))))
    runtime_id = next(runtime_ids)

    await node.client.start(StartRequest(runtime_id, "SP1", size_class="nano", snapshot_digest=digest))

    assert (await node.client.stat_file(runtime_id, "zeros"))["size_bytes"] == 100 << 20
