"""What a wallet system promises, whoever hosts it: one suite in this process, on shared and on dedicated Ray actors."""

import asyncio

import pytest

from actors.books.chain import broken_links
from actors.books.ranges import Range
from actors.view import View
from actors.wallet import commands as c
from actors.wallet.meters import Reading
from actors.wallet.state import Phase, Plan
from operations.errors import SatboxError
from tests.actors.hosting import Hosted, new_address

SAT = 1_000_000
RATE = 20_000


async def created(hosted: Hosted, sats: int = 100, rate: int = RATE) -> str:
    address = new_address()
    await hosted.system.prepare(address, c.Prepare("create", Plan("nano"), rate))
    await hosted.system.ask(address, c.Deposit("pay_1", "SPpayer", sats * SAT, "tx1", "sBTC"))
    await until(hosted, address, Phase.ALIVE)
    return address


async def until(hosted: Hosted, address: str, phase: Phase, seconds: float = 120.0) -> View:
    view = await hosted.system.look(address)
    async with asyncio.timeout(seconds):
        while view.state.phase is not phase:
            view = await hosted.system.wait(address, view.state.version, 5)
    return view


async def test_a_paid_wallet_comes_alive_and_is_reaped_with_its_charges(hosted: Hosted) -> None:
    address = await created(hosted)
    await hosted.system.ask(address, c.Reap())
    view = await until(hosted, address, Phase.REAPED)
    ledger = await hosted.system.ledger(address, Range(), 100)
    meter = await hosted.system.meter(address)

    assert view.state.snapshot_digest is not None
    assert -view.state.accounts.deposits == 100 * SAT
    assert meter.spans_usat == meter.journal_usat == view.state.accounts.burnt
    assert list(broken_links(address, iter(ledger.entries))) == []


async def test_a_dry_wallet_goes_through_grace_to_reaped_by_itself(hosted: Hosted) -> None:
    address = await created(hosted, sats=2, rate=SAT)
    await until(hosted, address, Phase.GRACE)
    view = await until(hosted, address, Phase.REAPED)

    assert view.state.reason == "credit_exhausted"
    assert view.state.accounts.burnt == 4 * SAT  # two seconds paid, two of grace
    assert view.state.accounts.debt_usat == 2 * SAT


async def test_a_thousand_deliveries_of_sixty_payments_credit_sixty(hosted: Hosted) -> None:
    address = await created(hosted)
    payments = [c.Deposit(f"pay_many_{n % 60}", "SPpayer", SAT, "tx", "sBTC") for n in range(1000)]
    views = await asyncio.gather(*(hosted.system.ask(address, payment) for payment in payments))
    view = await hosted.system.look(address)

    assert sum(not v.is_duplicate for v in views) == 60
    assert -view.state.accounts.deposits == 160 * SAT


async def test_a_nonce_burns_once(hosted: Hosted) -> None:
    address = new_address()
    await hosted.system.ask(address, c.BurnNonce("n1", 10**15))
    with pytest.raises(SatboxError) as refused:
        await hosted.system.ask(address, c.BurnNonce("n1", 10**15))

    assert refused.value.code == "challenge_replayed"


async def test_looking_at_nobody_makes_nobody(hosted: Hosted) -> None:
    view = await hosted.system.look(new_address())
    assert not view.state.exists
    with pytest.raises(SatboxError) as refused:
        await hosted.system.ask(new_address(), c.Wake())

    assert refused.value.code == "wallet_not_found"


async def test_events_are_numbered_and_waited_for(hosted: Hosted) -> None:
    address = await created(hosted)
    first = await hosted.system.events(address, 0, 100)
    waiting = asyncio.create_task(hosted.system.events(address, first.last_seq, 100, 10))
    await hosted.system.ask(address, c.Deposit("pay_2", "SPpayer", SAT, "tx2", "sBTC"))
    page = await waiting

    assert [event.seq for event in first.events] == list(range(1, first.last_seq + 1))
    assert [event.type for event in page.events] == ["deposit"]


async def test_a_killed_host_loses_nothing_and_interrupts_nothing(hosted: Hosted) -> None:
    address = await created(hosted)
    before = await hosted.system.look(address)
    await hosted.kill_host_of(address)
    repeated = await hosted.system.ask(address, c.Deposit("pay_1", "SPpayer", 100 * SAT, "tx1", "sBTC"))
    added = await hosted.system.ask(address, c.Deposit("pay_2", "SPpayer", 50 * SAT, "tx2", "sBTC"))

    assert repeated.is_duplicate
    assert -added.state.accounts.deposits == 150 * SAT
    assert before.state.runtime is not None
    assert added.state.runtime is not None
    assert added.state.runtime.runtime_id == before.state.runtime.runtime_id
    assert added.state.phase is Phase.ALIVE


async def test_a_deadline_fires_although_its_host_was_killed(hosted: Hosted) -> None:
    address = await created(hosted, sats=3, rate=SAT)
    await hosted.kill_host_of(address)
    await hosted.system.look(address)
    view = await until(hosted, address, Phase.REAPED, seconds=30)

    assert view.state.reason == "credit_exhausted"


async def test_a_woken_wallet_runs_again_on_the_credit_left(hosted: Hosted) -> None:
    address = await created(hosted)
    await hosted.system.ask(address, c.Reap())
    await until(hosted, address, Phase.REAPED)
    await hosted.system.ask(address, c.Wake())
    view = await until(hosted, address, Phase.ALIVE)

    assert view.state.runtime is not None


async def test_a_new_rate_and_a_raised_pass_epoch_are_kept(hosted: Hosted) -> None:
    address = await created(hosted)
    await hosted.system.ask(address, c.SetRate(7))
    await hosted.system.ask(address, c.RevokePasses())
    await hosted.kill_host_of(address)
    view = await hosted.system.look(address)

    assert (view.state.rate_usat_per_second, view.state.pass_epoch) == (7, 1)


async def test_a_reading_bills_once_however_often_it_is_told(hosted: Hosted) -> None:
    address = await created(hosted)
    runtime = (await hosted.system.look(address)).state.runtime
    assert runtime is not None
    told = c.Readings(runtime.runtime_id, (Reading("egress", 10_000_000, 1),))
    await asyncio.gather(*(hosted.system.ask(address, told) for _ in range(50)))
    await hosted.kill_host_of(address)
    await hosted.system.ask(address, told)

    ledger = await hosted.system.ledger(address, Range(), 1_000)
    assert [dict(e.amounts)["burnt"] for e in ledger.entries if e.kind == "meter"] == [500_000]
    assert list(broken_links(address, iter(ledger.entries))) == []
