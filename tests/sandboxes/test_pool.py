"""The warm pool: nobody's until it is somebody's, given away once, refilled, gone with the node."""

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator

import pytest

from sandboxes.node.cgroups import open_cgroups
from sandboxes.node.settings import NodeSettings
from sandboxes.protocol import Beat, StartRequest, StopRequest
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode, slot_processes, until

pytestmark = pytest.mark.sandbox


@pytest.fixture
async def pooled() -> AsyncIterator[RunningNode]:
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    running = RunningNode({"pool": {"nano": 2}, "slots": {"nano": 4}})
    assert (await running.start())["ready"]
    await filled(running, 2)
    yield running
    await running.close()


async def warm(node: RunningNode) -> int:
    return int((await node.client.doctor())["warm"]["nano"])


async def filled(node: RunningNode, size: int) -> None:
    async with asyncio.timeout(120):
        while await warm(node) != size:
            await asyncio.sleep(0.01)


async def start(node: RunningNode, runtime_ids: Iterator[str], address: str = "SP1", digest: str | None = None) -> str:
    request = StartRequest(next(runtime_ids), address, size_class="nano", snapshot_digest=digest)
    return (await node.client.start(request)).runtime_id


def inits(node: RunningNode) -> set[int]:
    return set(slot_processes())


async def test_warm_slots_are_nobody_s(pooled: RunningNode) -> None:
    stream = pooled.client.watch()
    first = await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    with contextlib.closing(sqlite3.connect(pooled.state / "slots.sqlite")) as database:
        rows = database.execute("SELECT * FROM runtimes").fetchall()

    assert isinstance(first, Beat)
    assert first.runtimes == 0
    assert rows == []
    assert await pooled.client.runtimes() == []
    assert (await pooled.client.capacity()).classes["nano"].used == 0
    assert inits(pooled)


async def test_a_start_takes_a_booted_sandbox_and_the_pool_fills_up_again(
    pooled: RunningNode, runtime_ids: Iterator[str]
) -> None:
    before = inits(pooled)

    runtimes = [await start(pooled, runtime_ids, f"SP{number}") for number in range(2)]
    slots = {info.slot for info in await pooled.client.runtimes()}
    result = await pooled.client.exec(runtimes[0], "id -un; ls -a")
    await filled(pooled, 2)

    assert before <= inits(pooled)
    assert len(slots) == 2
    assert result["stdout"] == "tenant\n.\n..\n"


async def test_all_that_can_be_sold_is_sold_beside_the_pool(pooled: RunningNode, runtime_ids: Iterator[str]) -> None:
    started = await asyncio.gather(*(start(pooled, runtime_ids, f"SP{number}") for number in range(4)))

    assert (await pooled.client.capacity()).classes["nano"].used == 4
    for runtime_id in started:
        assert (await pooled.client.exec(runtime_id, ["echo", runtime_id]))["stdout"] == f"{runtime_id}\n"
        await pooled.client.stop(StopRequest(runtime_id, snapshot=False))


async def test_a_snapshot_comes_back_into_a_warm_slot(pooled: RunningNode, runtime_ids: Iterator[str]) -> None:
    first = await start(pooled, runtime_ids)
    await pooled.client.exec(first, "mkdir d; echo work > d/kept; chmod 0 d")
    digest = (await pooled.client.stop(StopRequest(first, snapshot=True))).snapshot_digest
    await filled(pooled, 2)
    before = inits(pooled)

    second = await start(pooled, runtime_ids, digest=digest)
    result = await pooled.client.exec(second, "stat -c '%a %U' d; chmod 700 d; cat d/kept")

    assert before <= inits(pooled)
    assert result["stdout"] == "0 tenant\nwork\n"
    assert (await pooled.client.stop(StopRequest(second, snapshot=True))).snapshot_digest is not None


async def test_one_that_dies_unowned_is_replaced(pooled: RunningNode) -> None:
    before = inits(pooled)
    groups = open_cgroups(NodeSettings().cgroup_root, pooled.state)
    for name in groups.leftovers():
        groups.kill(name)

    await until(lambda: not before & inits(pooled))
    await filled(pooled, 2)

    assert inits(pooled)
    assert await pooled.client.runtimes() == []


async def test_the_pool_dies_with_its_node_and_leaves_no_volume(pooled: RunningNode) -> None:
    await pooled.end(signal.SIGKILL)
    await until(lambda: not [item for item in pooled.leftovers() if not item.startswith("cgroup")])
    assert list((pooled.state / "volumes").iterdir())
    pooled.settings["pool"] = {}

    await pooled.start()

    assert list((pooled.state / "volumes").iterdir()) == []
    assert await pooled.client.runtimes() == []


async def test_the_pool_stops_growing_at_its_memory_cap() -> None:
    node = RunningNode({"pool": {"nano": 3}, "pool_memory_bytes_max": 1, "pool_batch_max": 1})
    assert (await node.start())["ready"]
    await filled(node, 1)
    await until(lambda: "pool.memory_cap" in (node.folder / "node.log").read_text())

    size = await warm(node)
    await node.close()

    assert size == 1


def test_a_pool_is_no_larger_than_what_can_be_sold() -> None:
    settings = NodeSettings(slots={"nano": 3}, pool={"small": 2, "nano": 5, "nano:python": 1})

    assert settings.pool_sizes == {("small", "base"): 0, ("nano", "base"): 3, ("nano", "python"): 1}
    assert settings.slots_total == 7
