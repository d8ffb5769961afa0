"""A wallet with an actor of its own must not keep a process for ever."""

import asyncio
from pathlib import Path

import pytest

from actors.placement import HostMap
from actors.wallet import commands as c
from actors.wallet.state import Plan
from tests.actors.hosting import new_address, remove, short_folder

pytestmark = pytest.mark.ray


async def test_an_idle_wallet_gives_its_process_back_and_returns_on_the_next_call(ray_home: Path) -> None:
    import ray

    from actors.on_ray.host_spec import HostSpec
    from actors.on_ray.transport import RayTransport
    from actors.system import ActorSystem

    folder, address = short_folder(), new_address()
    transport = RayTransport(HostSpec(folder, folder / "no-node.sock", HostMap("dedicated"), idle_seconds=0.4))
    system = ActorSystem(transport)
    await system.ask(address, c.Prepare("create", Plan("nano"), 10**12))
    await system.ask(address, c.Deposit("pay_1", "SPpayer", 5, "tx", "sBTC"))
    async with asyncio.timeout(120):
        while f"wallet-{address}" in ray.util.list_named_actors():
            await asyncio.sleep(0.1)
    view = await system.look(address)

    assert view.state.accounts.bucket == 5
    await transport.close()
    await asyncio.to_thread(remove, folder)
