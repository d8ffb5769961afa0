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


async def _served(network: Network) -> AsyncIterator[Service]:
    """Started one after another: side by side they would only share the same cores."""
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    made = Service(network)
    await made.start()
    try:
        yield made
    finally:
        await made.remove()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def testnet(node_packages: None) -> AsyncIterator[Service]:
    """A running service on a devnet that plays testnet, for all of this folder."""
    async for made in _served(Network.TESTNET):
        yield made


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def mainnet(node_packages: None) -> AsyncIterator[Service]:
    """A running service on a devnet that plays `stacks:1`, for all of this folder."""
    async for made in _served(Network.MAINNET):
        yield made


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
