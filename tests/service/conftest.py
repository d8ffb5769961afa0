import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from operations.errors import SatboxError
from tests.sandboxes.running_node import HAS_REAL_NODE
from tests.service.running_service import Owner, RunningService


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service() -> AsyncIterator[RunningService]:
    """A running service that ordinary tests share."""
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    made = RunningService()
    try:
        await made.start()
        yield made
    finally:
        await made.remove()


@pytest_asyncio.fixture(loop_scope="session")
async def owner(service: RunningService) -> AsyncIterator[Owner]:
    """A fresh agent; its sandbox is given up afterwards."""
    made = await service.agent()
    yield made
    with contextlib.suppress(SatboxError):  # it may have been the gate that was killed, or nothing was made
        await made.status()
        await made.client.sandbox_reap(destroy=True)
    await made.client.close()
