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
from kill_at_step import FileWallets, SystemClock
from payment_builders import NETWORK, OTHER, PAY_TO, PAYER, sbtc_payment
from settlement_bench import Bench, Wire
from test_fault_table import FAULTS, STEPS, name_of

from devnet.app import create_app
from devnet.faults import ACTS
from devnet.settings import DevnetSettings
from relay_client.settlements import PaymentReport
from stacks import Transaction, sbtc

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


async def killed_at(live: Bench, step: str, tx: Transaction) -> int | None:
    """Run a settlements process over the same files until it kills itself at `step`; its exit status."""
    root = str(HERE.parent.parent)
    arguments = (str(live.twin.make_url("/")), str(live.path), str(live.path.with_name("wallets.sqlite")), step)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "kill_at_step.py"), *arguments, tx.serialize().hex(),
        env={**os.environ, "PYTHONPATH": os.pathsep.join((root, str(HERE)))},
    )  # fmt: skip
    async with asyncio.timeout(120):
        return await process.wait()


async def taken_over(live: Bench, tx: Transaction) -> tuple[PaymentReport, FileWallets]:
    """What the next process makes of what the killed one left."""
    wallets = live.wallets = FileWallets(live.path.with_name("wallets.sqlite"))
    live.start()
    running = asyncio.create_task(live.settlements.run())
    report = await live.present(tx)
    report = await live.settlements.wait(report.payment_id, 30)
    assert report is not None
    open_letters = "SELECT count(*) FROM outbox WHERE acknowledged_at_ms IS NULL"
    async with asyncio.timeout(120):
        while await live.store.run(lambda db: db.execute(open_letters).fetchone()) != (0,):
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    wallets.close()
    return report, wallets


def received_usat(live: Bench) -> int:
    return live.world.chain.ledger.balance(PAY_TO, sbtc(NETWORK).asset_id) * 1_000_000


@pytest.mark.parametrize("step", STEPS)
async def test_sigkill_at_any_step_and_the_next_process_credits_once(live, step):
    await live.kill()
    tx = sbtc_payment(sponsored=True)
    assert await killed_at(live, step, tx) == -signal.SIGKILL
    report, wallets = await taken_over(live, tx)
    assert (report.state, report.credited_usat, received_usat(live)) == ("confirmed", 250_000_000, 250_000_000)
    assert list(wallets.credits) == [report.payment_id]


@pytest.mark.nightly
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault and fault["kind"] not in ACTS], ids=name_of)
async def test_sigkill_at_any_step_under_any_fault(live, fault, step):
    """The table of faults with a real process and a real SIGKILL. Where a fault keeps the payment from a step, nobody dies."""
    await live.kill()
    tx = sbtc_payment(sponsored=(FAULTS.index(fault) + STEPS.index(step)) % 2 == 0)
    body = {**fault, "count": 2} | ({"seconds": 0.2} if "seconds" not in fault else {})
    await live.post("/devnet/faults", body)
    await killed_at(live, step, tx)
    await live.heal()
    report, wallets = await taken_over(live, tx)
    assert report.state in ("confirmed", "failed", "replaced")
    assert sum(credit.usat for credit in wallets.credits.values()) == report.credited_usat == received_usat(live)
    assert set(wallets.credits) <= {report.payment_id}
