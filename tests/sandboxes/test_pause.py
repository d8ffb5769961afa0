"""A frozen sandbox: nothing runs, everything is kept, and it still ends when it must."""

import asyncio
import signal
from pathlib import Path

import pytest

from sandboxes.node.cgroups import open_cgroups
from sandboxes.protocol import SandboxError, StartRequest, StopRequest
from tests.sandboxes.conftest import Box
from tests.sandboxes.running_node import RunningNode

pytestmark = [pytest.mark.sandbox, pytest.mark.shared_node]

COUNTER = "import itertools\nfor n in itertools.count():\n open('/tmp/n','w').write(str(n))"


def cpu_us(node: RunningNode) -> int:
    cgroups = open_cgroups(Path("/sys/fs/cgroup"), node.state)
    used = cgroups.usage("slot-0").cpu_us
    assert used is not None
    return used


async def test_a_frozen_sandbox_burns_no_cpu_and_runs_on_where_it_was(node: RunningNode, box: Box) -> None:
    process = await box.client.processes.start(box.runtime_id, ["python3", "-c", COUNTER])
    await box.run("until [ -s /tmp/n ]; do sleep 0.01; done")

    await box.client.pause(box.runtime_id, True)
    before = cpu_us(node)
    await asyncio.to_thread(signal.sigtimedwait, [signal.SIGUSR2], 0.3)  # let a third of a second pass
    after = cpu_us(node)
    await box.client.pause(box.runtime_id, False)
    still = await box.client.processes.get(box.runtime_id, process["process_id"])
    moving = await box.run('a=$(cat /tmp/n); until [ "$(cat /tmp/n)" != "$a" ]; do :; done; echo moved')

    assert after == before
    assert still["state"] == "running"
    assert moving["stdout"] == "moved\n"


async def test_whoever_reaches_for_a_frozen_sandbox_is_told(box: Box) -> None:
    await box.client.pause(box.runtime_id, True)

    with pytest.raises(SandboxError) as refused:
        await box.run(["true"])

    assert refused.value.code == "runtime_paused"


async def test_a_frozen_sandbox_stops_politely_and_keeps_its_workspace(box: Box) -> None:
    hook = b"#!/bin/sh\necho saved > /workspace/mark\n"
    await box.run(["mkdir", "-p", ".satbox"])
    await box.client.write_file(box.runtime_id, ".satbox/pre-stop", hook, mode=0o755)
    await box.client.pause(box.runtime_id, True)

    stopped = await box.client.stop(StopRequest(box.runtime_id, snapshot=True, pre_stop_seconds=2.0))

    again = await box.client.start(
        StartRequest("rt-frozen-again", "SP-box", size_class="nano", snapshot_digest=stopped.snapshot_digest)
    )
    assert await box.client.read_file(again.runtime_id, "mark") == b"saved\n"


async def test_a_node_that_dies_leaves_no_frozen_process_behind(node: RunningNode, box: Box) -> None:
    await box.client.processes.start(box.runtime_id, ["sleep", "1000"])
    await box.client.pause(box.runtime_id, True)
    await node.end(signal.SIGKILL)

    ready = await node.start()

    assert ready["ready"]
    assert not [line for line in node.leftovers() if line.startswith("process")]


async def test_usage_is_the_host_s_also_of_a_frozen_sandbox(box: Box) -> None:
    await box.run("head -c 5000000 /dev/urandom > big; sync; python3 -c 'x = sum(range(10**6))'")
    await box.client.pause(box.runtime_id, True)

    seen = await box.client.metrics(box.runtime_id, 60)

    assert seen["now"]["cpu_us"] > 10_000
    assert seen["now"]["memory_peak_bytes"] >= seen["now"]["memory_bytes"] > 0
    assert seen["now"]["disk_bytes"] >= 5_000_000
    assert all(sample["at_ms"] <= seen["at_ms"] for sample in seen["samples"])
