"""The node dies: nothing of it is left, everyone hears, the workspaces are saved."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandboxes.protocol import Beat, RuntimeLost, StartFailed, StartRequest, StopRequest
from tests.sandboxes.running_node import RunningNode, slot_processes, until

pytestmark = pytest.mark.sandbox


async def started(node: RunningNode, runtime_ids: Iterator[str], digest: str | None = None) -> str:
    request = StartRequest(next(runtime_ids), "SP1", size_class="nano", snapshot_digest=digest)
    return (await node.client.start(request)).runtime_id


async def losses(node: RunningNode) -> list[RuntimeLost]:
    found = []
    stream = node.client.watch()
    async for event in stream:
        if isinstance(event, Beat):
            break
        found.append(event)
    await stream.aclose()  # type: ignore[attr-defined]
    return found


async def test_a_workspace_survives_stop_and_start(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    first = await started(node, runtime_ids)
    make = (
        "mkdir -p d/e; echo text > d/e/file; ln d/e/file hard; ln -s d/e/file soft; chmod 750 d/e/file; touch -d @1000 old;"
        'truncate -s 10G sparse; echo tail >> sparse; mkfifo fifo; chmod 4755 hard; python3 -c "'
        "import socket; socket.socket(socket.AF_UNIX).bind('sock')\"; echo x > noread; chmod 0 noread"
    )
    assert (await node.client.exec(first, make))["exit_code"] == 0

    stopped = await node.client.stop(StopRequest(first, snapshot=True))
    second = await started(node, runtime_ids, stopped.snapshot_digest)
    look = (
        "cat soft; stat -c '%i' hard d/e/file | uniq | wc -l; stat -c %A hard; stat -c %Y old; tail -c 5 sparse; ls;"
        " stat -c %U d; du -k sparse | cut -f1"
    )
    result = await node.client.exec(second, look)
    await node.client.stop(StopRequest(second, snapshot=False))

    lines = result["stdout"].split("\n")
    assert lines[:5] == ["text", "1", "-rwxr-xr-x", "1000", "tail"]
    assert lines[5:11] == ["d", "hard", "noread", "old", "soft", "sparse"]
    assert lines[11] == "tenant"
    assert int(lines[12]) < 1000
    assert stopped.snapshot_bytes < 1 << 20


async def test_destroy_wipes_the_workspace(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    first = await started(node, runtime_ids)
    await node.client.write_file(first, "secret", b"x")

    stopped = await node.client.stop(StopRequest(first, snapshot=False))
    second = await started(node, runtime_ids)
    result = await node.client.exec(second, "ls -a")

    assert stopped.snapshot_digest is None
    assert list((node.state / "snapshots").iterdir()) == []
    assert result["stdout"] == ".\n..\n"


async def test_sigkill_loses_nothing_but_the_processes(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    runtime_id = await started(node, runtime_ids)
    info = (await node.client.runtimes())[0]
    await node.client.write_file(runtime_id, "kept", b"work")
    await node.client.exec(runtime_id, "setsid sleep 1000 & true")

    await node.end(signal.SIGKILL)
    await until(lambda: not [item for item in node.leftovers() if not item.startswith("cgroup")])
    last_beat = json.loads((node.state / "heartbeat").read_text())
    ready = await node.start()

    assert ready["swept_groups"] == 1
    assert [item for item in node.leftovers() if not item.startswith("cgroup")] == []
    (lost,) = await losses(node)
    assert (lost.runtime_id, lost.reason) == (runtime_id, "node_restart")
    assert lost.lost_at_ms == max(last_beat["at_ms"], info.healthy_at_ms or 0)

    stopped = await node.client.stop(StopRequest(runtime_id, snapshot=True))
    assert stopped.stopped_at_ms == lost.lost_at_ms
    assert await losses(node) == []
    again = await started(node, runtime_ids, stopped.snapshot_digest)
    assert await node.client.read_file(again, "kept") == b"work"


async def test_a_loss_stays_on_record_over_a_second_crash(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    runtime_id = await started(node, runtime_ids)
    await node.end(signal.SIGKILL)
    await node.start()
    first = await losses(node)

    await node.end(signal.SIGKILL)
    await node.start()

    assert await losses(node) == first
    with pytest.raises(StartFailed):
        await node.client.start(StartRequest(runtime_id, "SP1", size_class="nano"))
    assert (await node.client.stop(StopRequest(runtime_id, snapshot=True))).snapshot_digest is not None


async def test_an_earlier_boot_s_runtimes_are_lost_to_the_reboot(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    runtime_id = await started(node, runtime_ids)
    await node.end(signal.SIGKILL)
    with sqlite3.connect(node.state / "slots.sqlite") as database:
        database.execute("UPDATE runtimes SET boot_id = 'earlier', healthy_at_ms = 5000")
    database.close()
    (node.state / "heartbeat").write_text(json.dumps({"boot_id": "earlier", "at_ms": 7000}))
    await node.start()

    (lost,) = await losses(node)

    assert (lost.reason, lost.boot_id, lost.lost_at_ms) == ("reboot", "earlier", 7000)
    stopped = await node.client.stop(StopRequest(runtime_id, snapshot=True))
    assert (stopped.boot_id, stopped.stopped_at_ms) == ("earlier", 7000)


async def test_sigterm_keeps_workspaces_and_says_when_they_ended(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    runtime_id = await started(node, runtime_ids)
    await node.client.write_file(runtime_id, "kept", b"work")
    before = await node.client.beat()

    assert await node.end(signal.SIGTERM) == 0
    assert node.leftovers() == []
    await node.start()

    (lost,) = await losses(node)
    stopped = await node.client.stop(StopRequest(runtime_id, snapshot=True))
    again = await started(node, runtime_ids, stopped.snapshot_digest)
    assert lost.lost_at_ms >= before.at_ms
    assert await node.client.read_file(again, "kept") == b"work"


async def test_one_state_folder_has_one_node(node: RunningNode) -> None:
    second = RunningNode()
    second.state, second.process = node.state, None

    answer = await second.start()
    await second.end(signal.SIGTERM)
    shutil.rmtree(second.folder)

    assert not answer["ready"]
    assert "AlreadyRunning" in str(answer["error"])


async def test_a_required_restriction_that_is_missing_keeps_the_node_down() -> None:
    node = RunningNode({"require": ["seccomp", "no_such_restriction"]})

    answer = await node.start()
    await node.close()

    assert not answer["ready"]
    assert "no_such_restriction" in str(answer["error"])


async def test_the_death_of_the_spawner_ends_the_node_too(node: RunningNode, runtime_ids: Iterator[str]) -> None:
    await started(node, runtime_ids)
    assert node.process is not None
    os.kill(children_of(node.process.pid)[0], signal.SIGKILL)

    assert await node.ended() == 0
    await until(lambda: not node.leftovers())
    await node.start()
    assert len(await losses(node)) == 1


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            if f"\nPPid:\t{pid}\n" in path.read_text():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


async def test_a_node_whose_parent_is_killed_ends_with_its_sandboxes(tmp_path: Path) -> None:
    made = RunningNode()
    argv = [
        sys.executable, "-m", "sandboxes.node", "--socket", str(made.socket), "--state", str(made.state),
        "--settings-json", json.dumps(made.settings),
    ]  # fmt: skip
    source = f"import subprocess; subprocess.run({argv!r})"
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", source, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    async with asyncio.timeout(120):
        assert json.loads(await parent.stdout.readline())["ready"]
    await made.client.start(StartRequest("rt-orphan", "SP1", size_class="nano"))
    assert slot_processes()

    parent.kill()
    await parent.wait()
    await until(lambda: not made.leftovers(), 30)
    await made.client.close()
    shutil.rmtree(made.folder)
