"""A real node process for tests: started, killed, started again, and looked at from the host afterwards."""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from sandboxes.client import NodeClient
from sandboxes.node.cgroups import open_cgroups
from sandboxes.node.volumes import held_images
from sandboxes.protocol import StopRequest

HAS_REAL_NODE = os.geteuid() == 0 and shutil.which("bwrap") is not None
HAS_GVISOR = HAS_REAL_NODE and shutil.which("runsc") is not None
UID_BLOCKS = 32
"""How many test processes may run nodes at the same time on one machine, each with users of its own."""


def _own_block() -> int:
    """A block of user ids that no other test process of this machine has; held until this process ends."""
    for number in range(UID_BLOCKS):
        lock = os.open(
            Path(tempfile.gettempdir()) / f"satbox-test-uids-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return number
    raise RuntimeError("too many test processes run nodes on this machine")


UID_BASE = 0x3000_0000 + _own_block() * 0x0100_0000
SETTINGS = {"slots": {"nano": 3, "small": 2, "medium": 1}, "slot_uid_base": UID_BASE, "pool": {}}


ADDRESSES = ("SP-box", "SP-egress", "SP1", "SP2")
"""Whose snapshots tests leave behind in a node that they share."""


class RunningNode:
    is_spoilt = False
    """Whether a test did something to it that another would see."""

    def __init__(self, settings: dict[str, object] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="satbox-node-"))
        self.state = self.folder / "state"
        self.socket = self.folder / "node.sock"
        self.settings = {**SETTINGS, **(settings or {})}
        self.client = NodeClient(self.socket)
        self.process: subprocess.Popen[bytes] | None = None
        self._log_text = ""

    async def start(self) -> dict[str, object]:
        self.process = self._spawned()
        assert self.process.stdout is not None
        return dict(json.loads(await asyncio.to_thread(self.process.stdout.readline)))

    def _spawned(self) -> subprocess.Popen[bytes]:
        """Of no event loop: a file's tests, each with a loop of its own, may share one node."""
        arguments = ["--socket", str(self.socket), "--state", str(self.state)]
        arguments += ["--settings-json", json.dumps(self.settings)]
        with (self.folder / "node.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "operations.light", "sandboxes.node", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
            )

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process is not None
        assert self.process.stdout is not None
        code = await asyncio.to_thread(self.process.wait, 60)
        self.process.stdout.close()
        return code

    async def is_as_new(self) -> bool:
        """Whether it is up, and nothing of a test is left in it but its log. Sandboxes that a test left behind are ended."""
        if self.is_spoilt or not self.is_up:
            return False
        for runtime in await self.client.runtimes():
            await self.client.stop(StopRequest(runtime.runtime_id, snapshot=False))
        for address in ADDRESSES:
            await self.client.forget(address)
        capacity = await self.client.capacity()
        is_empty = not any(each.used or each.reserved for each in capacity.classes.values())
        return is_empty and (bool(self.settings["pool"]) or not slot_processes())

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        await self.client.close()
        if self.is_up:
            self.process.send_signal(number)
        return await self.ended()

    async def close(self) -> None:
        if self.process is not None:
            await self.end(signal.SIGTERM)
        await until(lambda: not self.leftovers())
        print(self.log_text)  # shown when a test fails
        shutil.rmtree(self.folder)

    @property
    def log_text(self) -> str:
        """What the node has logged so far."""
        path = self.folder / "node.log"
        if path.exists():
            self._log_text = path.read_text()
        return self._log_text

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def leftovers(self) -> list[str]:
        """Processes with our slots' ids, loop devices on our volumes, cgroups of ours, mounts of the host."""
        found = [f"process {pid}" for pid in slot_processes()]
        images = [image for image in held_images(self.state) if not (self.is_up and "/spare-" in image)]
        found += [f"loop on {image}" for image in images]
        mounts = Path("/proc/self/mounts").read_text()
        found += [f"mount {line}" for line in mounts.splitlines() if str(self.folder) in line]
        if not self.is_up:
            cgroups = open_cgroups(Path("/sys/fs/cgroup"), self.state)
            found += [f"cgroup {name}" for name in cgroups.leftovers()]
            cgroups.close()
        return found


class KeptNodes:
    """The node that one test hands on to the next. One at a time is up: all of them have the same user ids."""

    def __init__(self) -> None:
        self._kept: RunningNode | None = None

    async def take(self, settings: dict[str, object] | None = None) -> RunningNode:
        """A node with these settings: the one that was given back, if it has them."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.client = NodeClient(kept.socket)
            if kept.settings == {**SETTINGS, **(settings or {})}:
                return kept
            await kept.close()
        running = RunningNode(settings)
        ready = await running.start()
        assert ready["ready"], ready
        return running

    async def give_back(self, running: RunningNode) -> None:
        """For the next test, if it is as it was."""
        if await running.is_as_new():
            await running.client.close()
            self._kept = running
        else:
            await running.close()

    async def close(self) -> None:
        """No test is left."""
        if self._kept is not None:
            await self._kept.close()


def slot_processes() -> list[int]:
    pids = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        uid = int(text.partition("\nUid:\t")[2].split()[0])
        if UID_BASE <= uid < UID_BASE + 0x0100_0000 and "\nState:\tZ" not in text:
            pids.append(int(status.parent.name))
    return pids


async def until(condition: object, seconds: float = 120.0) -> None:
    """Wait for the kernel to finish what it was told; there is no event to wait for."""
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
