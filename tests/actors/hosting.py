"""The same wallets, hosted three ways: in this process, on shared Ray hosts, on a Ray actor each."""

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from actors.clock import SystemClock
from actors.hosting.host import WalletHost
from actors.hosting.host_settings import HostSettings
from actors.stores.wallet_folder import WalletFolder
from actors.system import ActorSystem, LocalTransport
from actors.wallet.state import WalletPolicy
from sandboxes.clock import boottime_ms
from sandboxes.simulated import SimulatedNode

if TYPE_CHECKING:
    from actors.on_ray.host_spec import HostSpec

_numbers = itertools.count(1)


def new_address() -> str:
    """A fresh address-like name; actors do not care whether it checks out."""
    return f"ST{next(_numbers):05d}{secrets.token_hex(16).upper()}"


@dataclass
class Hosted:
    """A system under test, and how to kill what hosts an address."""

    system: ActorSystem
    kind: str
    restart: "object"

    async def kill_host_of(self, address: str) -> None:
        """SIGKILL, or the nearest thing to it in one process: forget everything that is not on disk."""
        assert callable(self.restart)
        await self.restart(address)


async def _no_loss(payment_id: str, payer: str, usat: int) -> None:
    await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def local(home: Path, policy: WalletPolicy) -> AsyncIterator[Hosted]:
    """One host in this process over a simulated node."""
    node = SimulatedNode(boottime_ms)
    settings = HostSettings(home / "wallets", policy=policy)

    def make() -> WalletHost:
        return WalletHost(
            settings,
            WalletFolder(home / "wallets"),
            node,
            SystemClock(),
            lambda: f"rt_{secrets.token_hex(8)}",
            _no_loss,
        )

    transport = LocalTransport(make())
    await transport.host.start()

    async def restart(address: str) -> None:
        # A new copy on the same files fences the old one, which is left to find out by itself.
        old, transport.host = transport.host, make()
        await transport.host.start()
        await old.close()

    async def beats() -> None:
        while True:
            node.tick()
            await asyncio.sleep(0.2)

    beating = asyncio.create_task(beats())
    try:
        yield Hosted(ActorSystem(transport), "local", restart)
    finally:
        beating.cancel()
        await transport.host.close()


def on_ray(spec: "HostSpec") -> Hosted:
    """Hosts that run on Ray; the fixture that started them closes them."""
    from actors.on_ray.call import NamedActors
    from actors.on_ray.transport import RayTransport

    actors, placement = NamedActors(), spec.placement

    async def restart(address: str) -> None:
        pid = int(await actors.call(placement.name(address), "ping"))
        os.kill(pid, signal.SIGKILL)

    return Hosted(ActorSystem(RayTransport(spec)), placement.placement, restart)


def short_folder() -> Path:
    """A folder with a path short enough for unix sockets."""
    return Path(tempfile.mkdtemp(prefix="sb"))


def remove(folder: Path) -> None:
    """Delete a folder of ours."""
    shutil.rmtree(folder, ignore_errors=True)
