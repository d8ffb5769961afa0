from collections.abc import AsyncIterator

import pytest_asyncio

from tests.service.running_service import Owner, RunningService, fresh_owner, running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def service() -> AsyncIterator[RunningService]:
    """A running service that ordinary tests share."""
    async with running() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def owner(service: RunningService) -> AsyncIterator[Owner]:
    """A fresh agent."""
    async with fresh_owner(service) as made:
        yield made
