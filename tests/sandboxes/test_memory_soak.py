"""What a sandbox can make the node hold: logs, watches that nobody reads and contexts, under the bounds of `design/limits.md`."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from sandboxes.node.processes import LOGS_BYTES_MAX, PROCESSES_MAX
from sandboxes.process_client import ProcessClient
from sandboxes.protocol import StartRequest, StopRequest
from tests.images.built import store_with
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap")]
MIB = 1 << 20
LOGS_GROWTH_MAX = LOGS_BYTES_MAX + 32 * MIB
"""What is kept, and what is on its way from 64 supervisors' streams."""
UNREAD_GROWTH_MAX = 48 * MIB
CONTEXTS_GROWTH_MAX = 96 * MIB
"""Eight contexts: 1 MiB held, a line of up to 2 MiB being read and one waiting, each also once as JSON."""


def _memory(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(name))


@contextlib.contextmanager
def grows_less_than(node: RunningNode, bytes_max: int) -> Iterator[None]:
    assert node.process is not None
    pid = node.process.pid
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM
    before = _memory(pid, "VmRSS")
    yield
    grown = _memory(pid, "VmHWM") - before
    print(f"the node grew by {grown // MIB} MiB")
    assert grown < bytes_max


@contextlib.asynccontextmanager
async def running(node: RunningNode, runtime_ids: Iterator[str], image: str = "base"):  # type: ignore[no-untyped-def]
    request = StartRequest(next(runtime_ids), "SP-soak", size_class="small", image=image)
    runtime_id = (await node.client.start(request)).runtime_id
    yield runtime_id
    await node.client.stop(StopRequest(runtime_id, snapshot=False))


async def test_the_logs_of_a_sandbox_share_a_window_and_say_what_they_lost(
    node: RunningNode, runtime_ids: Iterator[str]
) -> None:
    async with running(node, runtime_ids) as runtime_id, asyncio.timeout(120):
        client = ProcessClient(node.client)
        with grows_less_than(node, LOGS_GROWTH_MAX):
            for _ in range(PROCESSES_MAX // 8):
                started = await asyncio.gather(
                    *(client.start(runtime_id, "head -c 1000000 /dev/zero | tr '\\0' x") for _ in range(8))
                )
                for one in started:
                    await client.wait(runtime_id, one["process_id"], until="exit")
        listed = await client.all(runtime_id)
    assert len(listed) == PROCESSES_MAX
    assert {one["log_end"] for one in listed} == {1_000_000}
    kept = [one["log_end"] - one["log_start"] for one in listed]
    assert LOGS_BYTES_MAX * 0.9 < sum(kept) <= LOGS_BYTES_MAX
    assert min(kept) > 100_000, "the largest gave way, not one of them all"


@pytest.mark.parametrize(("streams", "files"), [(8, 2_000), pytest.param(32, 20_000, marks=pytest.mark.nightly)])
async def test_watches_and_logs_that_nobody_reads(
    node: RunningNode, runtime_ids: Iterator[str], streams: int, files: int
) -> None:
    async with running(node, runtime_ids) as runtime_id, asyncio.timeout(300):
        client = ProcessClient(node.client)
        loud = await client.start(runtime_id, "exec yes")
        connector = aiohttp.UnixConnector(str(node.socket), limit=0)
        async with aiohttp.ClientSession(connector=connector, read_bufsize=1024) as session:
            with grows_less_than(node, UNREAD_GROWTH_MAX):
                base = f"http://node/v1/runtimes/{runtime_id}"
                paths = [
                    f"{base}/files/watch?path=/workspace&recursive=1",
                    f"{base}/processes/{loud['process_id']}/logs?follow=1",
                ]
                answers = [await session.get(paths[number % 2]) for number in range(streams)]
                script = f"import os\nfor n in range({files}): os.close(os.open('f' + str(n) + 'x' * 200, 66))"
                made = await node.client.exec(runtime_id, ["python3", "-c", script])
                assert made["exit_code"] == 0, made
            assert {answer.status for answer in answers} == {200}
            for answer in answers:
                answer.close()


@pytest.mark.nightly
async def test_contexts_that_nobody_reads(runtime_ids: Iterator[str]) -> None:
    node = RunningNode({"image_store": str(await asyncio.to_thread(store_with, "python"))})
    assert (await node.start())["ready"]
    try:
        async with running(node, runtime_ids, "python") as runtime_id, asyncio.timeout(400):
            contexts = node.client.contexts
            made = [(await contexts.create(runtime_id))["context_id"] for _ in range(4)]
            code = "for _ in range(60): print('x' * 1_000_000, flush=True)"
            with grows_less_than(node, CONTEXTS_GROWTH_MAX):
                runs = [contexts.run(runtime_id, one, code) for one in made]
                for run in runs:
                    await anext(run)
                await node.client.exec(runtime_id, ["sleep", "5"])  # they write on, until nothing is taken any more
                for run in runs:
                    await run.aclose()  # type: ignore[attr-defined]
    finally:
        await node.close()
