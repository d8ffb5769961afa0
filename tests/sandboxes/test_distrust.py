"""A supervisor in a tenant's hands: it costs its own sandbox, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from sandboxes.protocol import NodeUnavailable, RuntimeGone, SandboxError, StartFailed, StartRequest, StopRequest
from sandboxes.supervisor import frames
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode
from tests.sandboxes.test_contract import next_loss

pytestmark = pytest.mark.sandbox


@pytest.fixture
async def node() -> AsyncIterator[RunningNode]:
    """Without egress: a supervisor asked for a listener first would be found out before the lie that is tried."""
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    running = RunningNode({"egress": {"enabled": False}})
    ready = await running.start()
    assert ready["ready"], ready
    yield running
    await running.close()


# Says ready, then answers every connection with what it is told to, and keeps it open.
SUPERVISOR = """
import _socket, time
ANSWER = {answer!r}
kept = []
def main():
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, 3)
    control.send({ready!r})
    while True:
        message, ancillary, _flags, _address = control.recvmsg(1, _socket.CMSG_SPACE(4))
        if not message:
            return
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, int.from_bytes(ancillary[0][2][:4], "little"))
        kept.append(connection)
        try:
            connection.recv(1 << 16)
            connection.sendall(ANSWER)
        except OSError:
            pass
"""


def exit_frame(**changed: bytes) -> bytes:
    content = {
        "code": b"0", "signal": b"", "timed_out": b"0", "cpu_us": b"1", "max_rss_bytes": b"1", "duration_us": b"1",
        "stdout_dropped": b"0", "stderr_dropped": b"0",
    } | changed  # fmt: skip
    return frames.pack(frames.EXIT, frames.pack_fields(list(content.items())))


STARTED = frames.pack(frames.STARTED, frames.pack_fields([("pid", b"2")]))
ANSWERS = {
    "oversized": b"\xff\xff\xff\xffS",
    "oversized after a start": STARTED + b"\x00\x10\x00\x01O",
    "not frames": b"HTTP/1.1 200 OK\r\n\r\n" * 60_000,
    "an exit before a start": exit_frame(),
    "output before a start": frames.pack(frames.STDOUT, b"x"),
    "a second start": STARTED + STARTED,
    "a kind there is not": STARTED + frames.pack(ord("~"), b"x"),
    "fields cut short": frames.pack(frames.STARTED, b"\x00\xff"),
    "too many fields": frames.pack(frames.STARTED, frames.pack_fields([("a", b"")] * 5000)),
    "more output than asked for": STARTED + frames.pack(frames.STDOUT, bytes(1 << 20)) * 2,
    "a code and a signal": STARTED + exit_frame(signal=b"9"),
    "neither code nor signal": STARTED + exit_frame(code=b""),
    "a code that is no number": STARTED + exit_frame(code=b"zero"),
    "a number of a million digits": STARTED + exit_frame(cpu_us=b"9" * 1_000_000),
    "an exit without fields": STARTED + frames.pack(frames.EXIT),
}


def replace_supervisor(node: RunningNode, answer: bytes, ready: bytes = b"ready") -> None:
    """What the next sandbox boots: the folder is the host's, read-only for whoever is inside."""
    source = SUPERVISOR.format(answer=answer, ready=ready)
    (node.state / "guest" / "sandboxes" / "supervisor" / "main.py").write_text(source)
    for cached in (node.state / "guest").rglob("main.*.pyc"):
        cached.unlink()


async def test_a_supervisor_that_breaks_the_protocol_loses_its_sandbox(
    node: RunningNode, runtime_ids: Iterator[str]
) -> None:
    honest = (await node.client.start(StartRequest(next(runtime_ids), "SP1", size_class="nano"))).runtime_id
    for name, answer in ANSWERS.items():
        replace_supervisor(node, answer)
        bad = (await node.client.start(StartRequest(next(runtime_ids), "SP2", size_class="nano"))).runtime_id
        stream = node.client.watch()
        await anext(stream)

        with pytest.raises(NodeUnavailable) as broken:
            await node.client.exec(bad, ["true"])
        async with asyncio.timeout(120):
            lost = await next_loss(stream)
        await stream.aclose()  # type: ignore[attr-defined]

        assert broken.value.code == "stream_broken", name
        assert (lost.runtime_id, lost.reason) == (bad, "protocol_broken"), name
        with pytest.raises(RuntimeGone):
            await node.client.exec(bad, ["true"])
        assert (await node.client.stop(StopRequest(bad, snapshot=True))).reason == "protocol_broken"

    assert (await node.client.exec(honest, ["echo", "alive"]))["stdout"] == "alive\n"


async def test_files_distrust_as_well(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    size = [("name", b"x"), ("type", b"file"), ("size", b"5"), ("mode", b"420"), ("mtime_ms", b"1")]
    described = frames.pack(frames.STARTED, frames.pack_fields(size))
    for answer in (described + frames.pack(frames.DATA, b"longer than said"), described + b"\xff\xff\xff\xffD"):
        replace_supervisor(node, answer)
        bad = (await node.client.start(StartRequest(next(runtime_ids), "SP2", size_class="nano"))).runtime_id
        stream = node.client.watch()
        await anext(stream)

        with pytest.raises(SandboxError):
            await node.client.read_file(bad, "x")
        async with asyncio.timeout(120):
            lost = await next_loss(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        await node.client.stop(StopRequest(bad, snapshot=False))

        assert (lost.runtime_id, lost.reason) == (bad, "protocol_broken")


async def test_a_supervisor_that_never_says_ready_is_no_start(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    replace_supervisor(node, b"", ready=b"readx")

    with pytest.raises(StartFailed):
        await node.client.start(StartRequest(next(runtime_ids), "SP1", size_class="nano"))

    assert await node.client.runtimes() == []
    assert (await node.client.capacity()).classes["nano"].used == 0
