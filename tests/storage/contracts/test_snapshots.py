"""What the node takes for granted of a `SnapshotStore`."""

import asyncio
import errno
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import pytest

from sandboxes.node.disk_room import Packing
from sandboxes.node.driver import ArchiveReport, Driver, SlotPlace
from sandboxes.node.snapshot_store import Saved, SnapshotStore
from sandboxes.node.snapshots import SnapshotFolder
from sandboxes.protocol import StartFailed, StorageFull

STORES: dict[str, Callable[[Path], SnapshotStore]] = {"folder": lambda folder: SnapshotFolder(folder / "snapshots")}
PLACE = cast(SlotPlace, object())
ROOM = 1 << 20


class Volume:
    """A driver's part: a volume that is one stream of bytes."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.error: OSError | None = None

    async def pack(self, _place: SlotPlace, data_fd: int, _limits: Mapping[str, int]) -> ArchiveReport:
        def write() -> None:
            with os.fdopen(data_fd, "wb") as target:
                target.write(self.data)

        await asyncio.to_thread(write)
        if self.error is not None:
            raise self.error
        return ArchiveReport(1, len(self.data), 2, ("a socket",))

    async def unpack(self, _place: SlotPlace, data_fd: int, _limits: Mapping[str, int]) -> ArchiveReport:
        def read() -> bytes:
            with os.fdopen(data_fd, "rb") as source:
                return source.read()

        self.data = await asyncio.to_thread(read)
        return ArchiveReport(1, len(self.data), 0)


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SnapshotStore]:
    """Opens the same store again, as the node's next process does."""
    return lambda: STORES[request.param](tmp_path)


async def save(store: SnapshotStore, data: bytes, room: int = ROOM) -> Saved:
    return await store.save(cast(Driver, Volume(data)), PLACE, {}, Packing(room))


async def restored(store: SnapshotStore, digest: str) -> bytes:
    volume = Volume()
    await store.restore(digest, cast(Driver, volume), PLACE, {})
    return volume.data


async def test_what_was_saved_and_published_comes_back(opened: Callable[[], SnapshotStore]) -> None:
    store, data = opened(), bytes(range(256)) * 4_096 + b"end"
    saved = await save(store, data)
    store.publish(saved.digest)
    store.publish(saved.digest)
    assert re.fullmatch("[0-9a-f]{64}", saved.digest)
    assert (saved.skipped, saved.skipped_examples) == (2, ("a socket",))
    assert await restored(opened(), saved.digest) == data
    assert (await save(store, data)).digest == saved.digest, "the same bytes have the same name"


async def test_one_that_was_not_published_is_pending_for_the_next_process(opened: Callable[[], SnapshotStore]) -> None:
    digests = [(await save(opened(), text)).digest for text in (b"one", b"two")]
    again = opened()
    assert sorted(again.pending()) == sorted(digests)
    again.publish(digests[0])
    again.discard_pending(digests[1])
    again.discard_pending(digests[1])
    assert again.pending() == []
    assert await restored(again, digests[0]) == b"one"
    with pytest.raises(StartFailed, match="not on this node"):
        await restored(again, digests[1])


async def test_one_that_was_deleted_is_gone(opened: Callable[[], SnapshotStore]) -> None:
    store = opened()
    saved = await save(store, b"x")
    store.publish(saved.digest)
    store.delete(saved.digest)
    store.delete(saved.digest)
    for digest in (saved.digest, "0" * 64, "../../etc/passwd"):
        with pytest.raises(StartFailed) as failed:
            await restored(store, digest)
        assert failed.value.code == "snapshot_unknown"


async def test_more_than_the_room_it_was_given_leaves_nothing(opened: Callable[[], SnapshotStore]) -> None:
    store = opened()
    with pytest.raises(StorageFull):
        await save(store, os.urandom(100_000), room=1_000)
    assert store.pending() == opened().pending() == []


async def test_a_volume_that_cannot_be_read_leaves_nothing(opened: Callable[[], SnapshotStore]) -> None:
    volume = Volume(b"half of it")
    volume.error = OSError(errno.EIO, "broken")
    with pytest.raises(OSError, match="broken"):
        await opened().save(cast(Driver, volume), PLACE, {}, Packing(ROOM))
    assert opened().pending() == []
