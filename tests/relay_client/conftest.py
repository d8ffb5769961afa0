import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from payment_builders import OTHER, PAYER, SBTC
from payout_bench import SENDER, PayoutBench
from settlement_bench import Bench, Clock, Wire

from devnet.app import create_app
from devnet.settings import DevnetSettings

# Test packages elsewhere (`tests.actors`) are found as pytest finds them for tests in packages: some library installs a `tests`.
sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest_asyncio.fixture
async def bench(tmp_path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Settlements over a devnet without automatic blocks; two payers have funds. A module's `PATIENCE_SECONDS` is how long an
    answer is waited for: real time, short where answers never come.
    """
    clock, wire = Clock(), Wire()
    async with (
        TestClient(TestServer(create_app(DevnetSettings(block_seconds=0), clock))) as twin,
        wire.session,
    ):
        patience_seconds = getattr(request.module, "PATIENCE_SECONDS", 5.0)
        here = Bench(twin, wire, clock, tmp_path / "settlements.sqlite", patience_seconds=patience_seconds)
        for key in (PAYER, OTHER):
            await here.fund(key)
        yield here
        await here.kill()


@pytest_asyncio.fixture
async def payouts(tmp_path) -> AsyncIterator[PayoutBench]:
    """A payout queue over a devnet without automatic blocks; the payout key has funds."""
    clock, wire = Clock(), Wire()
    async with (
        TestClient(TestServer(create_app(DevnetSettings(block_seconds=0), clock))) as twin,
        wire.session,
    ):
        here = PayoutBench(twin, wire, clock, tmp_path / "payouts.sqlite")
        chain = here.world.chain
        chain.faucet(SENDER, "STX", 50_000_000)
        chain.faucet(SENDER, SBTC.asset_id, 1_000_000)
        here.start()
        yield here
        here.kill()
