"""Settlements on the machine's clock: `run` does the work behind, and a real SIGKILL loses nothing."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from kill_at_step import SystemClock
from payment_builders import OTHER, PAYER, sbtc_payment
from settlement_bench import Bench, Wire

from devnet.app import create_app
from devnet.settings import DevnetSettings

HERE = Path(__file__).parent


@pytest_asyncio.fixture
async def live(tmp_path) -> AsyncIterator[Bench]:
    """Settlements over a devnet that makes five blocks a second."""
    wire = Wire()
    async with (
        TestClient(TestServer(create_app(DevnetSettings(block_seconds=0.2)))) as twin,
        wire.session,
    ):
        here = Bench(twin, wire, SystemClock(), tmp_path / "settlements.sqlite")
        for key in (PAYER, OTHER):
            await here.fund(key)
        yield here
        await here.kill()


async def test_many_payments_are_followed_at_once_and_each_is_credited(live):
    running = asyncio.create_task(live.settlements.run())
    payments = [sbtc_payment(100 + nonce, key=key, nonce=nonce) for nonce in range(10) for key in (PAYER, OTHER)]
    # One after the other per payer, as nonces must arrive in order.
    reports = [await live.present(tx) for tx in payments]
    ended = await asyncio.gather(*(live.settlements.wait(report.payment_id, 30) for report in reports))
    assert {report.state for report in ended} == {"confirmed"}
    await live.wallets.credited(len(payments))
    assert sum(credit.usat for credit in live.wallets.credits.values()) == sum(report.expected_usat for report in ended)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("step", ["after_attempt", "after_reply", "after_commit", "before_credit", "after_credit"])
async def test_sigkill_at_any_step_and_the_next_process_credits_once(live, step):
    await live.kill()
    tx = sbtc_payment(sponsored=True)
    root = str(HERE.parent.parent)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "kill_at_step.py"), str(live.twin.make_url("/")), str(live.path), step,
        tx.serialize().hex(), env={**os.environ, "PYTHONPATH": os.pathsep.join((root, str(HERE)))},
    )  # fmt: skip
    async with asyncio.timeout(30):
        assert await process.wait() == -signal.SIGKILL
    live.start()
    running = asyncio.create_task(live.settlements.run())
    report = await live.present(tx)
    report = await live.settlements.wait(report.payment_id, 30)
    assert (report.state, report.credited_usat) == ("confirmed", 250_000_000)
    await live.wallets.credited(1)
    assert list(live.wallets.credits) == [report.payment_id]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
