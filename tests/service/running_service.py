"""A whole service in processes of its own, to be used, killed and started again, and looked at from outside afterwards."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from operations.errors import SatboxError
from operations.ledger import LedgerEntry
from operations.sandbox import PaymentStatus, SandboxStatus
from sandboxes.client import NodeClient
from sandboxes.node.cgroups import open_cgroups
from sandboxes.node.volumes import held_images
from satbox.agent.keystore import Agent, new_agent
from satbox.client import Client
from satbox.client.settings import ClientSettings
from satbox.demo import free_ports
from satbox.keys import load_keys
from satbox.settings import ActorsSection, DevnetSection, GateSection, LifecycleSection, Settings
from stacks import Network
from tests.sandboxes.running_node import HAS_REAL_NODE

SATS = 1_000_000
START_SECONDS_MAX = 300.0
UIDS = 0x0010_0000
UID_BLOCKS = 256
TITLES = {
    "gate": "satbox.gate_process",
    "node": "sandboxes.node",
    "devnet": "devnet",
    "hosts": "ray::HostProcess",
    "settlements": "ray::SettlementsProcess",
    "oracle": "ray::OracleProcess",
}


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    command: str
    uid: int


def processes() -> dict[int, Process]:
    """Everything that lives, zombies left out."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        if fields["State"].startswith("Z"):
            continue
        found[int(folder.name)] = Process(int(folder.name), int(fields["PPid"]), command, int(fields["Uid"].split()[0]))
    return found


def free_uid_block() -> tuple[int, int]:
    """A block of user ids that no other service of these tests has: the lock that holds it, and its number."""
    for number in range(UID_BLOCKS):
        lock = os.open(
            Path(tempfile.gettempdir()) / f"satbox-service-uids-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return lock, number
    raise RuntimeError("too many services run on this machine")


class RunningService:
    """`satbox up` on a folder and ports of its own; started again it finds what it left."""

    def __init__(self, **changes: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sbs"))
        # Ids of its own: services of other tests, and other runs of these, claim theirs on the same machine.
        self._uid_lock, number = free_uid_block()
        self.uid_base = 0x5000_0000 + number * UIDS
        gate_port, devnet_port = free_ports(2)
        self.settings = Settings(
            home=self.folder / "home", deployment="satbox-test", gate=GateSection(port=gate_port, upload_bytes_max=2 << 20),
            devnet=DevnetSection(port=devnet_port, block_seconds=0.5), actors=ActorsSection(hosts=2),
            lifecycle=LifecycleSection(grace_seconds=6, grace_cap_seconds=120, wake_minimum_seconds=2),
            node={"slots": {"nano": 2, "small": 6, "medium": 1}, "slot_uid_base": self.uid_base},
        ).model_copy(update=changes)  # fmt: skip
        self.process: asyncio.subprocess.Process | None = None
        self.gate_url = f"http://127.0.0.1:{gate_port}"
        self.devnet_url = f"http://127.0.0.1:{devnet_port}"
        self.node = NodeClient(self.settings.home / "run" / "node.sock")

    # Life

    async def start(self) -> None:
        log = (self.folder / "log").open("ab")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "operations.light", "tests.service.runner", str(os.getpid()),
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        log.close()
        assert self.process.stdin is not None
        self.process.stdin.write(self.settings.model_dump_json().encode())
        self.process.stdin.close()
        ready = asyncio.Event()
        self._reading = asyncio.create_task(self._read(self.process, ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, self._reading}, timeout=START_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert ready.is_set(), f"the service did not start:\n{self.log()[-4000:]}"

    async def _read(self, process: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
        assert process.stderr is not None
        with (self.folder / "log").open("ab") as log:
            while line := await process.stderr.readline():
                log.write(line)
                log.flush()
                if line.startswith(b"satbox: ready:"):
                    ready.set()

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def end(self, number: signal.Signals, seconds: float = 120.0) -> int:
        """Ask `satbox up` alone to end; its exit code."""
        assert self.process is not None
        await self.node.close()
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
        await self._reading
        return code

    async def kill_everything(self) -> None:
        """SIGKILL, all of it, nobody first in line to tidy up."""
        assert self.process is not None
        await self.node.close()
        for pid in [self.process.pid, *self.descendants()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        await self.process.wait()
        await self._reading
        await until(lambda: not self.running(), 20)

    async def remove(self) -> None:
        """End it if it still runs; nothing may be left."""
        if self.process is not None and self.process.returncode is None:
            await self.end(signal.SIGTERM)
        await until(lambda: not self.running(), 20)
        left = self.leftovers()
        print(self.log()[-8000:])  # shown when a test fails
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
        os.close(self._uid_lock)
        assert not left

    # From outside

    def descendants(self, alive: dict[int, Process] | None = None) -> list[int]:
        assert self.process is not None
        alive = processes() if alive is None else alive
        found: list[int] = []
        generation = [self.process.pid]
        while generation:
            generation = [p.pid for p in alive.values() if p.parent in generation]
            found += generation
        return found

    def pids(self, part: str) -> list[int]:
        """The processes of one part of the service, by their titles."""
        alive = processes()
        return [pid for pid in self.descendants(alive) if TITLES[part] in alive[pid].command]

    def running(self) -> list[str]:
        """What runs on our folder, or under the ids of our slots."""
        mine = (self.process.pid, *self.descendants()) if self.process and self.process.returncode is None else ()
        return [
            f"{p.pid} {p.command[:120]}"
            for p in processes().values()
            if p.pid not in mine and (str(self.folder) in p.command or self.uid_base <= p.uid < self.uid_base + UIDS)
        ]

    def leftovers(self) -> list[str]:
        """Processes, loop devices, mounts and cgroups that outlived the service."""
        state = self.settings.home / "node"
        found = [*self.running(), *(f"loop on {image}" for image in held_images(state))]
        mounts = Path("/proc/self/mounts").read_text()
        found += [f"mount {line}" for line in mounts.splitlines() if str(self.folder) in line]
        cgroups = open_cgroups(Path("/sys/fs/cgroup"), state)
        found += [f"cgroup {name}" for name in cgroups.leftovers()]
        cgroups.close()
        return found

    def sandboxes(self) -> list[int]:
        """The processes of sandboxes."""
        return [p.pid for p in processes().values() if self.uid_base <= p.uid < self.uid_base + UIDS]

    async def kill(self, part: str, moment: Awaitable[None] | None = None) -> None:
        """SIGKILL one part, at a moment if one is given, and wait until its replacement runs."""
        before = self.pids(part)
        assert before, f"no process of {part}"
        if moment is not None:
            await moment
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: len(set(self.pids(part)) - set(before)) >= len(before), 40)

    # Agents

    async def devnet(self, path: str, body: Any) -> Any:
        url = f"{self.devnet_url}/devnet/{path}"
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as reply:
            assert reply.status in (200, 201), await reply.text()
            return await reply.json()

    async def heal(self) -> None:
        """All faults off; the devnet itself may be on its way back."""

        async def is_healed() -> bool:
            url = f"{self.devnet_url}/devnet/faults"
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with aiohttp.ClientSession() as session, session.delete(url) as reply:
                    return reply.status == 200
            return False

        await eventually(is_healed)

    async def agent(self) -> "Owner":
        """A fresh Genesis agent with funds."""
        agent = await asyncio.to_thread(new_agent, "tester")
        pair = agent.addresses(Network.MAINNET)
        await self.devnet("agents", {"btcAddress": pair.btc, "stxAddress": pair.stx, "level": 2})
        await self.devnet("faucet", {"address": agent.testnet.stx, "stx": 100_000_000, "sbtc": 100_000})
        return Owner(self, agent, self.client(agent))

    def client(self, agent: Agent | None) -> Client:
        token = None if agent is not None else load_keys(self.settings.home).operator_token
        return Client(
            ClientSettings(
                gate=self.gate_url, stacks_api=f"{self.devnet_url}/stacks", deployment="satbox-test",
                operator_token=token, max_sats=10_000,
            ),
            agent=agent,
        )  # fmt: skip


@dataclass
class Owner:
    """An agent and its client."""

    service: RunningService
    agent: Agent
    client: Client

    @property
    def address(self) -> str:
        return self.agent.testnet.stx

    async def status(self) -> SandboxStatus:
        """The wallet now, whatever is being killed meanwhile."""
        async with asyncio.timeout(120):
            while True:
                try:
                    return await self.client.sandbox_status(fresh=True)
                except SatboxError as error:
                    if error.kind.status < 500:
                        raise
                    await asyncio.sleep(0.1)

    async def until(self, holds: Callable[[SandboxStatus], Any], seconds: float = 120.0) -> SandboxStatus:
        async with asyncio.timeout(seconds):
            while not holds(now := await self.status()):
                await asyncio.sleep(0.05)
        return now

    async def confirmed(self, payment_id: str) -> PaymentStatus:
        """The payment once it is confirmed, whatever is being killed meanwhile."""

        async def is_confirmed() -> PaymentStatus | None:
            with contextlib.suppress(SatboxError):
                status = await self.client.payment_status(payment_id)
                return status if status.status == "confirmed" else None
            return None

        found: PaymentStatus = await eventually(is_confirmed, 40)
        return found

    async def books(self) -> dict[str, int]:
        """The journal's accounts, which must balance, agree with the meter, and hold every payment once."""
        entries: list[LedgerEntry] = []
        while True:
            page = await self.client.sandbox_ledger(after=entries[-1].seq if entries else 0, limit=1000)
            entries += page.items
            if not page.has_more:
                break
        accounts = page.accounts
        assert sum(accounts.values()) == 0, accounts
        references = [entry.reference for entry in entries if entry.kind == "deposit"]
        assert len(references) == len(set(references)), references
        assert all(sum(entry.postings.values()) == 0 for entry in entries)
        meter = await self.client.sandbox_meter()
        assert meter.matches
        return {**accounts, "credited": -accounts["deposits"], "payments": len(references)}


@contextlib.asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[RunningService]:
    """A service while it is needed; the test is skipped where none can run."""
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    made = RunningService(**changes)
    try:
        await made.start()
        yield made
    finally:
        await made.remove()


@contextlib.asynccontextmanager
async def fresh_owner(service: RunningService) -> AsyncIterator[Owner]:
    """A fresh agent; its sandbox is given up afterwards, whatever was done to the service meanwhile."""
    made = await service.agent()
    yield made
    await service.heal()
    with contextlib.suppress(SatboxError):  # it may have been the gate that was killed, or nothing was made
        await made.status()
        await made.client.sandbox_reap(destroy=True)
    await made.client.close()


async def until(holds: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait for the kernel, or for a process that comes back; there is no event to wait for."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


async def eventually(holds: Callable[[], Awaitable[Any]], seconds: float = 120.0) -> Any:
    """The first true answer of something that has to be asked for."""
    async with asyncio.timeout(seconds):
        while not (found := await holds()):
            await asyncio.sleep(0.05)
        return found
