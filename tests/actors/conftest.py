import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.placement import HostMap
from actors.wallet.state import WalletPolicy
from tests.actors.hosting import Hosted, local, on_ray, remove, short_folder
from tests.conftest import RAY_TOKEN
from tests.sandboxes.running_node import RunningNode

if TYPE_CHECKING:
    from actors.on_ray.host_spec import HostSpec

POLICY = WalletPolicy(grace_ms=2_000, grace_cap_ms=10_000, wake_minimum_seconds=1)


@pytest.fixture(scope="package")
def ray_home() -> Iterator[Path]:
    """A Ray cluster for this package's tests."""
    from satbox.ray_cluster import start_cluster, stop_cluster

    home = short_folder()
    start_cluster(home, RAY_TOKEN)
    yield home
    stop_cluster()
    remove(home)


@pytest.fixture(
    scope="module",
    params=["local", pytest.param("shared", marks=pytest.mark.ray), pytest.param("dedicated", marks=pytest.mark.ray)],
)
def kind(request: pytest.FixtureRequest) -> str:
    """Of the module, so that all tests of one kind come together and share hosts."""
    return str(request.param)


@pytest.fixture(scope="module")
def ray_hosts(kind: str, request: pytest.FixtureRequest) -> Iterator["HostSpec | None"]:
    """Hosts on Ray over a real sandbox node, for tests that each make wallets of their own."""
    if kind == "local":
        yield None
        return
    import ray

    from actors.on_ray.call import NAMESPACE
    from actors.on_ray.host_spec import HostSpec
    from actors.on_ray.transport import RayTransport, start_host

    request.getfixturevalue("ray_home")
    node = RunningNode({"slots": {"nano": 40}})
    assert asyncio.run(node.start())["ready"]
    spec = HostSpec(node.folder, node.socket, HostMap(kind, 2), POLICY)
    for name in spec.placement.names():
        start_host(name, spec)
    yield spec
    asyncio.run(RayTransport(spec).close())
    for name in ray.util.list_named_actors():
        ray.kill(ray.get_actor(name, namespace=NAMESPACE))
    asyncio.run(node.close())


@pytest.fixture
async def hosted(ray_hosts: "HostSpec | None", tmp_path: Path) -> AsyncIterator[Hosted]:
    """A wallet system of each kind."""
    if ray_hosts is not None:
        yield on_ray(ray_hosts)
        return
    async with local(tmp_path, POLICY) as system:
        yield system
