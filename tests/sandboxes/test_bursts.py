"""Many starts at once wait their turn, also on a node that begins over the volumes of an earlier one."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from sandboxes.protocol import StartRequest, StopRequest
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.nightly,
    pytest.mark.skipif(not HAS_REAL_NODE, reason="needs root and bubblewrap"),
]
MIB = 1 << 20
CLASS = {
    "memory_bytes": 64 * MIB, "cpu_percent": 50, "cpu_weight": 50, "processes": 32, "disk_bytes": 48 * MIB,
    "inodes": 2048, "scratch_bytes": 16 * MIB,
}  # fmt: skip
BURST = 100


async def test_a_hundred_cold_starts_over_existing_volumes_all_come_up(runtime_ids: Iterator[str]) -> None:
    node = RunningNode({"slots": {"nano": 2 * BURST}, "size_classes": {"nano": CLASS}})

    async def burst() -> tuple[list[object], float]:
        began = asyncio.get_running_loop().time()
        requests = [StartRequest(next(runtime_ids), f"SP{k}", size_class="nano") for k in range(BURST)]
        outcomes = await asyncio.gather(*map(node.client.start, requests), return_exceptions=True)
        return list(outcomes), asyncio.get_running_loop().time() - began

    try:
        assert (await node.start())["ready"]
        first, seconds = await burst()
        assert [one for one in first if isinstance(one, BaseException)] == []
        await node.end(signal.SIGKILL)
        assert len(list((node.state / "volumes").glob("slot-*.ext4"))) == BURST
        assert (await node.start())["ready"]
        again, seconds_again = await burst()
        print(f"{BURST} starts at once: {seconds:.1f} s, over the volumes of {BURST} lost ones {seconds_again:.1f} s")
        assert [one for one in again if isinstance(one, BaseException)] == []
        states = [info.state for info in await node.client.runtimes()]
        assert (states.count("running"), states.count("lost")) == (BURST, BURST)
        for info in await node.client.runtimes():
            await node.client.stop(StopRequest(info.runtime_id, snapshot=False))
    finally:
        await node.close()
