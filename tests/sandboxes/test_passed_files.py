"""Files passed out of a sandbox: what the node takes for one, and that none outlives its runtime."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandboxes.node.connection import ProtocolBroken
from sandboxes.node.passed_files import PassedFile, PassedFiles, first_header
from sandboxes.protocol import NodeUnavailable, RuntimeGone, SandboxError, StartRequest, StopRequest
from sandboxes.supervisor import frames
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import RunningNode

HEADER = frames.pack(frames.STARTED)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


def a_device() -> int:
    return os.open("/dev/zero", os.O_RDONLY)


def a_pipe() -> int:
    ours, theirs = os.pipe()
    os.close(theirs)
    return ours


LIES: dict[str, Callable[[], int]] = {
    "a file of the host": lambda: os.open("/etc/hostname", os.O_RDONLY),
    "a file of the kernel": lambda: os.open("/proc/self/status", os.O_RDONLY),
    "memory": lambda: os.memfd_create("x"),
    "a folder": lambda: os.open("/", os.O_RDONLY | os.O_DIRECTORY),
    "a name without rights": lambda: os.open("/etc/hostname", os.O_PATH),
    "a device that never ends": a_device,
    "a pipe": a_pipe,
    "a socket": lambda: socket.socket(socket.AF_UNIX).detach(),
}


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("writing", [False, True])
async def test_only_a_file_of_the_own_volume_is_taken(name: str, writing: bool, executor: ThreadPoolExecutor) -> None:
    files, lie = PassedFiles(Path("/nonexistent/volume"), executor), LIES[name]()

    with pytest.raises(ProtocolBroken):
        files.take(lie, writing=writing)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(lie)


ANSWERS: dict[str, tuple[bytes, int, type[Exception]]] = {
    "two descriptors": (HEADER, 2, ProtocolBroken),
    "many descriptors": (HEADER, 9, ProtocolBroken),
    "half a header": (HEADER[:3], 1, ProtocolBroken),
    "nothing": (b"", 0, NodeUnavailable),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_first_answer_has_a_header_and_at_most_one_descriptor(name: str) -> None:
    data, count, error = ANSWERS[name]
    before = len(os.listdir("/proc/self/fd"))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        if data:
            socket.send_fds(theirs, [data], [0] * count)
        theirs.close()

        with pytest.raises(error):
            await first_header(ours)

    assert len(os.listdir("/proc/self/fd")) == before


async def body(sent: asyncio.Event, go_on: asyncio.Event) -> AsyncIterator[bytes]:
    yield bytes(4 << 20)
    sent.set()
    await go_on.wait()
    yield bytes(4 << 20)


@pytest.mark.sandbox
async def test_a_stop_does_not_wait_for_an_upload_and_leaves_nothing(box: Box, node: RunningNode) -> None:
    sent, go_on = asyncio.Event(), asyncio.Event()
    uploading = asyncio.ensure_future(node.client.write_file(box.runtime_id, "half", body(sent, go_on)))
    await sent.wait()

    stopped = await node.client.stop(StopRequest(box.runtime_id, snapshot=True))
    go_on.set()

    assert stopped.reason == "stopped"
    with pytest.raises(SandboxError):
        await uploading
    assert node.leftovers() == []
    again = await node.client.start(
        StartRequest("again", "SP-box", size_class="nano", snapshot_digest=stopped.snapshot_digest)
    )
    names = (await node.client.exec(again.runtime_id, ["ls"]))["stdout"].split()
    await node.client.stop(StopRequest(again.runtime_id, snapshot=False))
    assert "half" not in names


@pytest.mark.sandbox
async def test_a_volume_that_is_full_is_said(box: Box, node: RunningNode) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield bytes(1 << 20)

    with pytest.raises(SandboxError) as refused:
        await node.client.write_file(box.runtime_id, "big", endless())

    assert refused.value.code == "no_space"
    assert (await box.run("ls -A"))["stdout"] == ""


@pytest.mark.sandbox
@pytest.mark.parametrize("folder", ["/workspace", "/tmp", "/dev/shm"])
async def test_every_folder_gives_back_what_it_got(box: Box, node: RunningNode, folder: str) -> None:
    content = os.urandom((1 << 20) + 12_345)

    written = await node.client.write_file(box.runtime_id, f"{folder}/x", content)
    whole = await node.client.read_file(box.runtime_id, f"{folder}/x")
    part = b"".join([piece async for piece in node.client.stream_file(box.runtime_id, f"{folder}/x", 7, 300_000)])

    assert (written, whole == content, part == content[7:300_007]) == (len(content), True, True)


async def drained(pieces: AsyncIterator[bytes]) -> int:
    return sum([len(piece) async for piece in pieces])


@pytest.mark.sandbox
async def test_a_file_that_shrinks_while_it_is_read_is_cut_short(box: Box, node: RunningNode) -> None:
    await box.run("head -c 64M /dev/zero > x")
    pieces = node.client.stream_file(box.runtime_id, "x")
    await anext(pieces)
    await box.run("truncate -s 1000 x")

    with pytest.raises(NodeUnavailable):
        await drained(pieces)


async def test_after_the_end_nothing_is_taken(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = PassedFiles(tmp_path, executor)
    monkeypatch.setattr(files, "_check", lambda _fd, _writing: None)  # any file will do here
    (tmp_path / "x").write_bytes(b"abc")
    file = files.take(os.open(tmp_path / "x", os.O_RDWR), writing=True)
    await file.write([b"d", b"ef"], 1)
    await files.close()

    with pytest.raises(RuntimeGone):
        await file.write([b"late"], 0)
    with pytest.raises(RuntimeGone):
        files.take(os.open(tmp_path / "x", os.O_RDWR), writing=True)
    assert (tmp_path / "x").read_bytes() == b"adef"


async def test_closing_waits_for_the_thread_whoever_closes_first(tmp_path: Path) -> None:
    """The thread works on a number: it must be done before the number can mean another file."""
    at_work, go_on = threading.Event(), threading.Event()
    reader, writer = os.pipe()
    with ThreadPoolExecutor(2) as threads:
        files = PassedFiles(tmp_path, threads)
        file = PassedFile(writer, files)

        def work() -> int:
            at_work.set()
            go_on.wait()
            return os.write(writer, b"late")

        working = asyncio.ensure_future(file._in_thread(work))
        await asyncio.to_thread(at_work.wait)
        closing = [asyncio.ensure_future(file.close()), asyncio.ensure_future(file.close())]
        await asyncio.sleep(0)
        assert not any(task.done() for task in closing)
        os.fstat(writer)
        go_on.set()
        await asyncio.gather(*closing)

        assert await working == 4
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)
    assert os.read(reader, 8) == b"late"
    os.close(reader)
