from collections.abc import AsyncIterator

import pytest

from tests.egress.world import opened


@pytest.fixture(autouse=True)
async def worlds() -> AsyncIterator[None]:
    """Every world a test made ends with it."""
    yield
    while opened:
        await opened.pop().close()
