import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from operations.errors import SatboxError
from stacks import Network
from tests.clients.customers import REPOSITORY, Customer, Service
from tests.sandboxes.running_node import HAS_REAL_NODE


@pytest.fixture(scope="session")
def node_packages() -> None:
    """The pinned Node clients, installed."""
    subprocess.run([REPOSITORY / "tests" / "node" / "install"], check=True)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def services(request: pytest.FixtureRequest, node_packages: None) -> AsyncIterator[dict[Network, Service]]:
    """One running service for each network that a test asks for, started side by side, for all of this folder."""
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    asked = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    made = {network: Service(network) for network in Network if network.value in asked}
    try:
        await asyncio.gather(*(service.start() for service in made.values()))
        yield made
    finally:
        await asyncio.gather(*(service.remove() for service in made.values() if service.process is not None))


@pytest.fixture(scope="package")
def testnet(services: dict[Network, Service]) -> Service:
    """The service on a devnet that plays testnet."""
    return services[Network.TESTNET]


@pytest.fixture(scope="package")
def mainnet(services: dict[Network, Service]) -> Service:
    """The service on a devnet that plays `stacks:1`."""
    return services[Network.MAINNET]


async def _served_customer(service: Service) -> AsyncIterator[Customer]:
    made = await service.customer()
    yield made
    await service.heal()
    with contextlib.suppress(SatboxError):  # perhaps nothing was made
        await made.client.sandbox_reap(destroy=True)
    await made.client.close()


@pytest_asyncio.fixture(loop_scope="session")
async def customer(testnet: Service) -> AsyncIterator[Customer]:
    """A fresh agent on testnet; its sandbox is given up afterwards."""
    async for made in _served_customer(testnet):
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def mainnet_customer(mainnet: Service) -> AsyncIterator[Customer]:
    """A fresh agent on `stacks:1`; its sandbox is given up afterwards."""
    async for made in _served_customer(mainnet):
        yield made
