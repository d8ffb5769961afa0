"""Calls between wallets on hosts that are killed: paid once, earned once, whatever dies when."""

import asyncio

import pytest

from actors.books.ranges import Range
from actors.wallet import commands as c
from actors.wallet.calls import LoggedOrder
from operations.errors import SatboxError
from tests.actors.hosting import Hosted, new_address

SAT = 1_000_000


async def earned(hosted: Hosted, address: str, usat: int) -> None:
    """Wait until a wallet has earned so much; never more."""
    async with asyncio.timeout(120):
        while True:
            view = await hosted.system.look(address)
            assert -view.state.accounts.earnings <= usat
            if -view.state.accounts.earnings == usat:
                return
            await hosted.system.wait(address, view.state.version, 1)


async def cleared(hosted: Hosted, address: str) -> None:
    async with asyncio.timeout(120):
        while (view := await hosted.system.look(address)).state.transit:
            await hosted.system.wait(address, view.state.version, 1)


async def pay(hosted: Hosted, payer: str, payee: str, number: int, *, attempt: str = "one") -> str:
    command = c.PayOrder(f"ord_{number}", f"ord_{number}.{attempt}", payee, SAT)
    try:
        await hosted.system.ask(payer, command)
    except SatboxError as error:
        return error.code
    return "paid"


@pytest.fixture(
    scope="module",
    params=[
        "local",
        pytest.param("shared", marks=pytest.mark.ray),
        pytest.param("dedicated", marks=[pytest.mark.ray, pytest.mark.nightly]),
    ],
)
def kind(request: pytest.FixtureRequest) -> str:
    """As elsewhere; the same hosts with a process for each wallet wait for the night."""
    return str(request.param)


async def test_orders_are_paid_and_earned_once_across_kills_of_both_sides(hosted: Hosted) -> None:
    payer, payee = new_address(), new_address()
    await hosted.system.ask(payer, c.Deposit("pay_1", payer, 100 * SAT, "tx1", "sBTC", wakes=False))
    for number in range(20):
        assert await pay(hosted, payer, payee, number) == "paid"
        if number in (5, 11):
            await hosted.kill_host_of(payer if number == 5 else payee)
        assert await pay(hosted, payer, payee, number) == "paid"  # the same attempt, told again
        assert await pay(hosted, payer, payee, number, attempt="two") == "order_used"
    await earned(hosted, payee, 20 * SAT)
    await cleared(hosted, payer)

    accounts = (await hosted.system.look(payer)).state.accounts
    assert (accounts.bucket, accounts.spent, accounts.in_transit) == (80 * SAT, 20 * SAT, 0)
    entries = (await hosted.system.ledger(payee, Range(), 100)).entries
    assert sorted(entry.reference or "" for entry in entries) == sorted(f"ord_{n}:{payer}" for n in range(20))


async def test_many_wallets_pay_one_at_once(hosted: Hosted) -> None:
    payers, payee = [new_address() for _ in range(3 if hosted.kind == "dedicated" else 8)], new_address()
    for payer in payers:
        await hosted.system.ask(payer, c.Deposit("pay_1", payer, 50 * SAT, f"tx{payer}", "sBTC", wakes=False))
    told = await asyncio.gather(
        *(pay(hosted, payer, payee, 100 * place + n) for place, payer in enumerate(payers) for n in range(10))
    )
    assert set(told) == {"paid"}
    await earned(hosted, payee, 10 * len(payers) * SAT)


async def test_what_a_gate_logged_is_posted_once_however_often_it_is_told(hosted: Hosted) -> None:
    payer, payees = new_address(), [new_address(), new_address()]
    await hosted.system.ask(payer, c.Deposit("pay_1", payer, 100 * SAT, "tx1", "sBTC", wakes=False))
    await hosted.system.pay(payer, c.Reserve("gate_1", 60 * SAT, SAT))
    orders = [LoggedOrder(seq, f"ord_{seq}", payees[seq % 2], SAT) for seq in range(1, 61)]
    for end in range(10, 61, 10):
        telling = asyncio.gather(
            *(hosted.system.pay(payer, c.PostOrders("gate_1", tuple(orders[:end]))) for _ in range(2))
        )
        if end in (20, 40):
            await hosted.kill_host_of(payer if end == 20 else payees[0])
        await telling
    await earned(hosted, payees[0], 30 * SAT)
    await earned(hosted, payees[1], 30 * SAT)
    await cleared(hosted, payer)
    accounts = (await hosted.system.look(payer)).state.accounts
    assert (accounts.bucket, accounts.spent, accounts.reserved) == (40 * SAT, 60 * SAT, 0)
