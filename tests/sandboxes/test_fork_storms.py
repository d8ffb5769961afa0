"""A sandbox that keeps asking for processes it may not have weighs little while it does, and nobody else loses by it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.node.cgroups import open_cgroups
from sandboxes.node.fork_storms import PENALTY_DIVISOR, REFUSALS_MAX, WINDOW_SECONDS, Refusals
from sandboxes.protocol import StartRequest
from tests.sandboxes.running_node import HAS_REAL_NODE, RunningNode, until

BOMB = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"
GAPS = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 20)), max_size=60)


@given(GAPS)
def test_few_refusals_within_any_two_windows_are_never_a_storm(gaps: list[tuple[float, int]]) -> None:
    rule, total, now = Refusals(), 0, 0.0
    recent: list[tuple[float, int]] = []
    for gap, more in gaps:
        now += gap
        recent = [(at, count) for at, count in recent if now - at <= 2 * WINDOW_SECONDS]
        if sum(count for _, count in recent) + more >= REFUSALS_MAX:
            more = 0
        recent.append((now, more))
        total += more
        assert not rule.saw(total, now)


@given(st.integers(0, 10**6), st.floats(0, 10**6), st.lists(st.integers(1, REFUSALS_MAX), min_size=1))
def test_many_within_a_window_are_one(before: int, at: float, steps: list[int]) -> None:
    rule, total = Refusals(), before
    rule.saw(before, at)
    start = at + 2 * WINDOW_SECONDS
    told = []
    for step in steps:
        total += step
        told.append(rule.saw(total, start))

    assert told == [sum(steps[: number + 1]) >= REFUSALS_MAX for number in range(len(steps))]


def weight(node: RunningNode, slot: int) -> int:
    """The slot's cpu weight as the kernel has it, in the kernel's own unit."""
    root = Path("/sys/fs/cgroup")
    parent = "satbox-" + hashlib.sha256(str(node.state.resolve()).encode()).hexdigest()[:12]
    one = root / "cpu" / parent / f"slot-{slot}" / "cpu.shares"
    return int((one if one.exists() else root / parent / f"slot-{slot}" / "cpu.weight").read_text())


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[RunningNode]:
    if not HAS_REAL_NODE or not {"cpu", "pids"} <= open_cgroups(Path("/sys/fs/cgroup"), tmp_path).controllers:
        pytest.skip("needs root, bubblewrap and a cgroup that counts processes")
    running = RunningNode({"fork_storm_seconds": 0.5})
    ready = await running.start()
    assert ready["ready"], ready
    yield running
    await running.close()


async def test_a_fork_bomb_weighs_little_until_it_stops(node: RunningNode) -> None:
    bomb = await node.client.start(StartRequest("storm", "SP-storm", size_class="nano"))
    beside = await node.client.start(StartRequest("beside", "SP-beside", size_class="nano"))
    usual = weight(node, bomb.slot)

    running = asyncio.ensure_future(node.client.exec("storm", ["python3", "-c", BOMB], timeout_seconds=60))
    await until(lambda: weight(node, bomb.slot) <= max(2, usual // PENALTY_DIVISOR + 1))
    assert weight(node, beside.slot) == usual

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await until(lambda: weight(node, bomb.slot) == usual)
    assert "sandbox.fork_storm" in node.log_text
    assert (await node.client.exec("storm", ["echo", "alive"]))["stdout"] == "alive\n"


async def test_all_processes_of_an_honest_program_weigh_as_sold(node: RunningNode) -> None:
    many = await node.client.start(StartRequest("many", "SP-many", size_class="nano"))
    usual = weight(node, many.slot)
    source = (
        "import os, time\nrefused = 0\nfor _ in range(70):\n try:\n  if not os.fork(): time.sleep(60)\n"
        " except OSError: refused += 1\nprint(refused > 0, flush=True)\nos.killpg(0, 9)"
    )

    result = await node.client.exec("many", ["python3", "-c", source])

    assert result["stdout"] == "True\n"
    assert weight(node, many.slot) == usual
    assert "fork_storm" not in node.log_text
