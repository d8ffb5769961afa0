"""A tenant that fills the host's memory with file locks, which the kernel charges to nobody, loses its sandbox and no other."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandboxes.node.lock_floods import LOCKS_MAX, TOTAL_MAX, locks_of
from sandboxes.protocol import StartRequest
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode
from tests.sandboxes.test_contract import next_loss

FILES, EACH = 120, 700
HOLD = """
import fcntl, os, signal, sys, time
FILES, EACH = int(sys.argv[1]), int(sys.argv[2])
held = [open(f"/tmp/{number}", "w") for number in range(FILES)]
def take():
    for file in held:
        for place in range(EACH, 0, -1):
            fcntl.lockf(file, fcntl.LOCK_EX, 1, place * 2)
"""
ITSELF = HOLD + "take()\nprint('held', flush=True)\ntime.sleep(600)"
# A child that shares its parent's table of files (CLONE_FILES) sets them and ends: nothing names who has them.
A_CHILD_THAT_IS_GONE = (
    HOLD
    + """
import ctypes
pid = ctypes.CDLL(None).syscall(56, 0x400 | signal.SIGCHLD, 0, 0, 0, 0)
if pid == 0:
    take()
    os._exit(0)
os.waitpid(pid, 0)
print('held', flush=True)
time.sleep(600)
"""
)


def test_locks_are_counted_where_the_file_is_open(tmp_path: Path) -> None:
    before = locks_of([os.getpid()])
    with (tmp_path / "file").open("w") as file:
        for place in range(50):
            fcntl.lockf(file, fcntl.LOCK_EX, 1, place * 2)
        assert locks_of([os.getpid()]) == before + 50
        assert locks_of([os.getpid()], 10) > 10
    assert locks_of([os.getpid()]) == before


@pytest.fixture
async def node() -> AsyncIterator[RunningNode]:
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    running = RunningNode({})
    ready = await running.start()
    assert ready["ready"], ready
    yield running
    await running.close()


@pytest.mark.sandbox
@pytest.mark.parametrize("script", [ITSELF, A_CHILD_THAT_IS_GONE], ids=["itself", "a child that is gone"])
async def test_a_sandbox_that_holds_locks_without_end_is_ended_and_no_other(node: RunningNode, script: str) -> None:
    assert FILES * EACH > TOTAL_MAX
    for name in ("flood", "beside"):
        await node.client.start(StartRequest(name, f"SP-{name}", size_class="nano"))
    await node.client.processes.start("beside", ["python3", "-c", ITSELF, "4", str(LOCKS_MAX // 8)])
    stream = node.client.watch()
    await anext(stream)
    await node.client.processes.start("flood", ["python3", "-c", script, str(FILES), str(EACH)])
    async with asyncio.timeout(60):
        loss = await next_loss(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert (loss.runtime_id, loss.reason) == ("flood", "oom_killed")
    assert "sandbox.lock_flood" in node.log_text
    assert (await node.client.exec("beside", ["echo", "alive"]))["stdout"] == "alive\n"
