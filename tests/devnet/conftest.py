from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from devnet_twin import ALICE, BOB, ManualClock, Twin

from devnet.app import create_app
from devnet.settings import DevnetSettings


@pytest_asyncio.fixture
async def twin() -> AsyncIterator[Twin]:
    """A devnet without automatic blocks; Alice and Bob have funds."""
    clock = ManualClock()
    async with TestClient(TestServer(create_app(DevnetSettings(block_seconds=0), clock))) as client:
        here = Twin(client, clock)
        await here.fund(ALICE)
        await here.fund(BOB)
        yield here
