"""With a process per wallet, an address that somebody made up must not cost one."""

from pathlib import Path

import pytest

from actors.books.ranges import Range
from actors.placement import HostMap
from actors.system import ActorSystem
from actors.wallet.commands import BurnNonce, Prepare, RevokePasses, Wake
from actors.wallet.state import Plan
from operations.errors import SatboxError
from tests.actors.hosting import new_address

pytestmark = pytest.mark.ray
ADDRESS = new_address()


class NoProcess(Exception):  # noqa: N818 - what happens instead of a process
    pass


def unhosted(home: Path) -> ActorSystem:
    """Wallets on demand, on a cluster that refuses to start anything."""
    from actors.on_ray.host_spec import HostSpec  # imports Ray: not before the fixtures that prepare its environment
    from actors.on_ray.transport import RayTransport

    transport = RayTransport(HostSpec(home, home / "no.sock", HostMap("dedicated")))

    def refuse(name: str) -> None:
        raise NoProcess(name)

    transport._actors._make = refuse
    return ActorSystem(transport)


async def test_asking_about_nobody_starts_nothing(ray_home: Path, tmp_path: Path) -> None:
    system = unhosted(tmp_path)
    assert not (await system.look(ADDRESS)).state.exists
    assert not (await system.wait(ADDRESS, -1, 0)).state.exists
    for asked in (system.ask(ADDRESS, Wake()), system.prepare(ADDRESS, Prepare("extend"))):
        with pytest.raises(SatboxError, match="wallet_not_found"):
            await asked
    for read in (system.ledger(ADDRESS, Range(), 1), system.events(ADDRESS, 0, 1), system.meter(ADDRESS)):
        with pytest.raises(SatboxError, match="wallet_not_found"):
            await read
    assert not (tmp_path / "wallets").exists()


async def test_what_begins_a_wallet_gets_its_process(ray_home: Path, tmp_path: Path) -> None:
    system = unhosted(tmp_path)
    for command in (BurnNonce("n", 1), RevokePasses()):
        with pytest.raises(NoProcess):
            await system.ask(ADDRESS, command)
    with pytest.raises(NoProcess):
        await system.prepare(ADDRESS, Prepare("create", Plan(), 1))
