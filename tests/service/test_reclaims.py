"""A reclaim on the running service: the settlements process dies on the way, more than once, and the money arrives once."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from operations.errors import SatboxError
from operations.refunds import Payout, Reclaim
from relay_client.payouts.keystore import write_key
from satbox.settings import PayoutsSection
from stacks import Network, PrivateKey, sbtc
from tests.sandboxes.running_node import HAS_REAL_NODE
from tests.service.running_service import Owner, RunningService

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="module")]
KEY = PrivateKey(bytes(31) + b"\x66")
FEE = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def paying() -> AsyncIterator[RunningService]:
    """A service with a payout key, which has funds."""
    if not HAS_REAL_NODE:
        pytest.skip("needs root and bubblewrap")
    with tempfile.TemporaryDirectory() as folder:
        phrase = Path(folder) / "phrase"
        phrase.write_text("a passphrase for tests\n")
        made = RunningService(payouts=PayoutsSection(passphrase_file=phrase, fee_sats=FEE))
        await asyncio.to_thread(write_key, made.settings.home / "keys" / "payout.json", KEY, "a passphrase for tests")
        await made.start()
        try:
            yield made
        finally:
            await made.remove()


async def held(service: RunningService, address: str) -> int:
    url = f"{service.devnet_url}/stacks/extended/v1/address/{address}/balances"
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        tokens = (await reply.json())["fungible_tokens"]
    return int(tokens.get(sbtc(Network.TESTNET).asset_id, {"balance": 0})["balance"])


async def quote(owner: Owner) -> Reclaim:
    """Once its deposit is deep enough."""
    async with asyncio.timeout(120):
        while True:
            try:
                return await owner.client.sandbox_reclaim()
            except SatboxError as error:
                if error.code not in ("reclaim_nothing", "reclaim_running"):
                    raise
            await asyncio.sleep(0.5)


async def payout(owner: Owner) -> Payout | None:
    try:
        return next(iter((await owner.client.sandbox_reclaims()).items), None)
    except SatboxError as error:
        if not error.kind.retryable:
            raise
        return None


async def test_a_reclaim_outlives_the_process_that_pays_it(paying: RunningService) -> None:
    async with aiohttp.ClientSession() as session:
        body = {"address": str(KEY.address(Network.TESTNET)), "stx": 10**8, "sbtc": 10**6}
        async with session.post(f"{paying.devnet_url}/devnet/faucet", json=body) as reply:
            assert reply.status in (200, 201)
    owner = await paying.agent()
    address = owner.agent.addresses(Network.TESTNET).stx
    try:
        await owner.client.sandbox_create(sats=1_000)
        await owner.until(lambda now: now.state == "alive" and now.deposited_usat > 0)
        await owner.client.sandbox_reap()
        shown = await quote(owner)
        before = await held(paying, address)
        done = await owner.client.reclaim(shown)
        assert done.status == "accepted"
        deaths, seen = 3, None
        async with asyncio.timeout(120):
            while seen is None or seen.state != "confirmed":
                if deaths:
                    deaths -= 1
                    for pid in paying.pids("settlements"):
                        os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(1.0)
                seen = await payout(owner)
        assert await held(paying, address) == before + shown.items[0].atomic
        assert shown.items[0].fee_atomic == FEE
        async with asyncio.timeout(120):
            while (await owner.client.sandbox_ledger()).accounts["held"]:
                await asyncio.sleep(0.3)
    finally:
        await owner.client.close()
