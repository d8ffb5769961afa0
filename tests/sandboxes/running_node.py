"""A real node process for tests: started, killed, started again, and looked at from the host afterwards."""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from sandboxes.client import NodeClient
from sandboxes.node.cgroups import open_cgroups
from sandboxes.node.volumes import held_images

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


class RunningNode:
    def __init__(self, settings: dict[str, object] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="satbox-node-"))
        self.state = self.folder / "state"
        self.socket = self.folder / "node.sock"
        self.settings = {**SETTINGS, **(settings or {})}
        self.client = NodeClient(self.socket)
        self.process: asyncio.subprocess.Process | None = None
        self._log_text = ""

    async def start(self) -> dict[str, object]:
        self.log = (self.folder / "node.log").open("ab")
        arguments = ["--socket", str(self.socket), "--state", str(self.state)]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sandboxes.node", *arguments, "--settings-json", json.dumps(self.settings),
            stdout=asyncio.subprocess.PIPE, stderr=self.log,
        )  # fmt: skip
        self.log.close()
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            return dict(json.loads(await self.process.stdout.readline()))

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        await self.client.close()
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(60):
            return await self.process.wait()

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
        return self.process is not None and self.process.returncode is None

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


async def until(condition: object, seconds: float = 10.0) -> None:
    """Wait for the kernel to finish what it was told; there is no event to wait for."""
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
