from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gate.gatehouse import House, gatehouse


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A gate with everything behind it, in this process."""
    async with gatehouse(tmp_path) as made:
        yield made
