"""Wallets by themselves, in one process over a simulated node: deposits, activation, memory, ten thousand alive."""

import asyncio
import gc
import random
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from actors.clock import SystemClock
from actors.hosting.actor import WalletActor
from actors.hosting.host import WalletHost
from actors.hosting.host_settings import HostSettings
from actors.stores.wallet_folder import WalletFolder
from actors.wallet import commands as c
from actors.wallet.state import Phase, Plan, WalletPolicy
from bench.figures import Figure, cpu_seconds, latency, rss_bytes
from sandboxes.clock import boottime_ms
from sandboxes.simulated import SimulatedNode

SEED = 20_261_121
SAT = 1_000_000


def addresses(count: int, seed: int = SEED) -> list[str]:
    """Names for wallets."""
    numbers = random.Random(seed)
    return [f"ST{numbers.getrandbits(160):040X}" for _ in range(count)]


async def no_loss(payment_id: str, payer: str, usat: int) -> None:
    """Nobody to tell."""


class Bench:
    """A host on a fresh folder over a simulated node that beats once a second."""

    def __init__(self, *, slots: int = 20_000, idle_seconds: float = 3600, policy: WalletPolicy | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sbbench"))
        self.node = SimulatedNode(boottime_ms, slots={"nano": slots, "small": slots, "medium": slots})
        self.settings = HostSettings(
            self.folder / "wallets", policy=policy or WalletPolicy(), idle_seconds=idle_seconds, resident_max=50_000
        )
        self.host = self.make()
        self._beating: asyncio.Task[None] | None = None

    def make(self) -> WalletHost:
        """Another host on the same files."""
        return WalletHost(
            self.settings, WalletFolder(self.folder / "wallets"), self.node, SystemClock(),
            lambda: f"rt_{secrets.token_hex(8)}", no_loss,
        )  # fmt: skip

    async def __aenter__(self) -> "Bench":
        await self.host.start()
        self._beating = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._beating is not None
        self._beating.cancel()
        await self.host.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _beat(self) -> None:
        while True:
            self.node.tick()
            await asyncio.sleep(1)

    async def alive(self, address: str, sats: int, rate: int) -> None:
        """Create, pay, wait until it is up."""
        await self.host.ask(address, c.Prepare("create", Plan("nano"), rate))
        view = await self.host.ask(address, c.Deposit(f"pay_{address}", "SPpayer", sats * SAT, "tx", "sBTC"))
        while view.state.phase is not Phase.ALIVE:
            view = await self.host.wait(address, view.state.version, 10)


async def deposits(wallets: int, total: int) -> Figure:
    """Durable deposits a second, all asked at once in bounded flight, each answered after its commit."""
    names = addresses(wallets)
    async with Bench() as bench:
        for name in names:
            await bench.host.ask(name, c.Prepare("create", Plan("nano"), 1))
        gate = asyncio.Semaphore(2048)

        async def one(n: int) -> None:
            async with gate:
                await bench.host.ask(names[n % wallets], c.Deposit(f"pay_{n}", "SPpayer", SAT, f"tx{n}", "sBTC"))

        began = time.perf_counter()
        await asyncio.gather(*(one(n) for n in range(total)))
        seconds = time.perf_counter() - began
    label = "deposits_1_wallet_in_process" if wallets == 1 else f"deposits_{wallets}_wallets_in_process"
    return Figure(label, "1/s", total, round(total / seconds, 1), note="committed with fsync before each answer")


async def activation(count: int) -> Figure:
    """Open a wallet that is on disk: raise the fence, read, check, answer."""
    names = addresses(count)
    async with Bench() as bench:
        for name in names:
            await bench.host.ask(name, c.Prepare("create", Plan("nano"), 10**9))  # too dear to start: nothing runs
            await bench.host.ask(name, c.Deposit("pay_1", "SPpayer", SAT // 2, "tx", "sBTC"))
        await bench.host.close()
        bench.host = bench.make()
        await bench.host.start()
        samples = []
        for name in names:
            began = time.perf_counter()
            await bench.host.ask(name, c.Look())
            samples.append((time.perf_counter() - began) * 1000)
    return latency("activation", samples, "shared placement, cold wallet file to first answer")


async def memory(count: int) -> list[Figure]:
    """What a resident wallet costs, and what is left of it once it was put away."""
    names = addresses(count)
    async with Bench(idle_seconds=0) as bench:
        await bench.alive(names[0], 10, 0)
        gc.collect()
        before = rss_bytes()
        for name in names[1:]:
            await bench.host.ask(name, c.Prepare("create", Plan("nano"), 0))
            await bench.host.ask(name, c.BurnNonce("n", 10**15))
        kept: list[WalletActor] = list(bench.host.residents.actors.values())
        gc.collect()
        resident = (rss_bytes() - before) / max(1, len(kept))
        del kept
        while len(bench.host.residents.actors) > 1:
            await asyncio.sleep(0.2)
        gc.collect()
        passivated = (rss_bytes() - before) / count
    return [
        Figure("rss_resident_wallet", "bytes", count, round(resident)),
        Figure("rss_passivated_wallet", "bytes", count, round(max(0.0, passivated)), note="what the allocator kept"),
    ]


async def alive_10000(count: int = 10_000, seconds: float = 60.0) -> Figure:
    """Ten thousand alive wallets with armed deadlines, one in a hundred running dry each minute and being paid again."""
    numbers = random.Random(SEED)
    names = addresses(count)
    firing = set(names[:: round(100 * 60 / seconds)])
    rate = 1_000
    async with Bench(policy=WalletPolicy(wake_minimum_seconds=0)) as bench:
        for start in range(0, count, 256):
            await asyncio.gather(*(bench.alive(name, 1000, rate) for name in names[start : start + 256]))
        # Those that fire run dry at a random moment of the window; a deposit brings each back.
        for name in firing:
            left = numbers.uniform(1, seconds - 1)
            state = (await bench.host.ask(name, c.Look())).state
            await bench.host.ask(name, c.SetRate(max(1, round(state.accounts.bucket / left))))
        await asyncio.sleep(2)
        wall, used = time.perf_counter(), cpu_seconds()
        await asyncio.sleep(seconds)
        wall, used = time.perf_counter() - wall, cpu_seconds() - used
        dry = 0
        for name in firing:
            dry += (await bench.host.ask(name, c.Look())).state.phase is not Phase.ALIVE
        armed = bench.host.statistics()["armed"]
    return Figure(
        "alive_10000_cpu",
        "% of one core",
        count,
        round(100 * used / wall, 3),
        note=f"{dry} of {len(firing)} deadlines fired in {wall:.0f} s, {armed} armed, seed {SEED}",
    )


async def figures(*, quick: bool = False) -> list[Figure]:
    """Everything this module measures."""
    return [
        await deposits(1, 4_000 if quick else 20_000),
        await deposits(64, 4_000 if quick else 20_000),
        await activation(50 if quick else 300),
        *await memory(200 if quick else 1_000),
        await alive_10000(1_000 if quick else 10_000, 10 if quick else 60),
    ]
