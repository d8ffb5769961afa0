from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gate.charging.till import Till
from tests.gate.gatehouse import House, gatehouse


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A gate with everything behind it, in this process."""
    async with gatehouse(tmp_path) as made:
        yield made


@pytest.fixture
async def till(house: House) -> AsyncIterator[Till]:
    """The till of one more gate over the same wallets."""
    made = Till(house.services.system, house.clock, house.services.order_logs.free_slot())
    yield made
    await made.close(1.0)
