"""Money for calls between a gate and its wallets: set aside, paid in the log, posted, given back; gates that die meanwhile."""

import asyncio
import shutil
from pathlib import Path

import pytest

from actors.hosting.requests import Pay, Request, Response
from actors.system import ActorSystem, LocalTransport
from actors.wallet.commands import Deposit, PostOrders, Reserve
from gate.charging.adoption import adopt
from gate.charging.order_file import OrderFile
from gate.charging.order_folder import OrderFolder
from gate.charging.till import IDLE_MS, Till
from gate.parts.orders import Held
from operations.errors import SatboxError
from tests.gate.gatehouse import SATS, House, Who


async def payer_with(house: House, sats: int) -> Who:
    who = await house.agent()
    deposit = Deposit(f"pay_{who.address}", who.address, sats * SATS, "tx", "sBTC", sats, wakes=False)
    await house.services.system.ask(who.address, deposit)
    return who


def order(house: House, number: int, payer: Who, payee: Who, sats: int = 5) -> Held:
    return Held(f"ord_{number}", payer.address, payee.address, sats * SATS, house.clock.wall_ms() + 60_000)


async def pay(till: Till, one: Held) -> str:
    try:
        await till.hold(one)
        await till.pay(one)
    except SatboxError as error:
        return error.code
    return "paid"


def crashed(till: Till) -> None:
    """As if by SIGKILL: nothing is told to anybody any more, and the lock is free."""
    for purse in till._purses.values():
        if purse.posting is not None:
            purse.posting.cancel()
    till._log._posted.clear()


class Wire(LocalTransport):
    """The way to the wallets, with a place to break it."""

    broken: type[object] | None = None
    is_answered = True

    async def send(self, request: Request) -> Response:
        if isinstance(request, Pay) and self.broken is not None and isinstance(request.command, self.broken):
            if not self.is_answered:
                await super().send(request)
            raise SatboxError("timeout")
        return await super().send(request)


def wired(house: House) -> tuple[Wire, ActorSystem]:
    wire = Wire(house.transport.host)
    return wire, ActorSystem(wire)


def slot(house: House) -> OrderFile:
    return house.services.order_logs.free_slot()


async def test_calls_are_paid_without_a_hop_posted_together_and_the_rest_goes_back(house: House, till: Till) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    assert [await pay(till, order(house, n, payer, payee)) for n in range(20)] == ["paid"] * 20
    await house.until(lambda: house.state(payee).accounts.earnings == -100 * SATS)
    assert house.state(payer).accounts.reserved > 0
    await house.until(lambda: house.state(payer).accounts.spent == 100 * SATS)
    house.clock.ahead_ms += IDLE_MS + 1
    await till.sweep()
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.reserved, accounts.in_transit) == (900 * SATS, 0, 0)
    kinds = [entry.kind for entry in house.transport.host.residents.actors[payer.address].store.entries(0, 100)]
    assert kinds.count("order") < 20


async def test_a_bucket_pays_for_what_is_in_it_and_no_more_however_many_ask_at_once(house: House, till: Till) -> None:
    payer, payee = await payer_with(house, 52), await house.agent()
    told = await asyncio.gather(*(pay(till, order(house, n, payer, payee)) for n in range(20)))
    assert sorted(set(told)) == ["credit_insufficient", "paid"]
    assert told.count("paid") == 10
    await till.drain()
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.in_transit + accounts.spent) == (2 * SATS, 50 * SATS)


async def test_a_call_that_fails_leaves_its_money_for_the_next_one(house: House, till: Till) -> None:
    payer, payee = await payer_with(house, 5), await house.agent()
    failing = order(house, 1, payer, payee)
    await till.hold(failing)
    assert await pay(till, order(house, 2, payer, payee)) == "credit_insufficient"
    till.release(failing)
    assert await pay(till, order(house, 2, payer, payee)) == "paid"
    assert await pay(till, failing) == "credit_insufficient"


async def test_an_order_is_used_once_and_by_nobody_at_the_same_time(house: House, till: Till) -> None:
    payer, payee = await payer_with(house, 100), await house.agent()
    one = order(house, 1, payer, payee)
    await till.hold(one)
    with pytest.raises(SatboxError, match="order_used"):
        await till.hold(one)
    await till.pay(one)
    assert await pay(till, one) == "order_used"
    with pytest.raises(SatboxError, match="order_invalid"):
        await till.hold(order(house, 2, payer, payer))


@pytest.mark.parametrize("is_posted", [False, True])
async def test_what_was_paid_when_a_gate_died_is_posted_by_the_next_one_once(house: House, is_posted: bool) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    wire, system = wired(house)
    wire.broken, wire.is_answered = PostOrders, not is_posted
    first = Till(system, house.clock, slot(house))
    for n in range(5):
        assert await pay(first, order(house, n, payer, payee)) == "paid"
    await house.until(lambda: not is_posted or house.state(payer).accounts.reserved < 60 * SATS)
    crashed(first)
    await first._log.close()

    wire.broken = None
    second = Till(system, house.clock, slot(house))
    assert await pay(second, order(house, 1, payer, payee)) == "order_used"
    assert await pay(second, order(house, 9, payer, payee)) == "paid"
    await second.close(5.0)
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.reserved, accounts.in_transit + accounts.spent) == (970 * SATS, 0, 30 * SATS)
    await house.until(lambda: house.state(payee).accounts.earnings == -30 * SATS)


async def test_a_gate_that_is_gone_for_good_has_its_log_finished_by_another(house: House) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    wire, system = wired(house)
    wire.broken = PostOrders
    gone = Till(system, house.clock, slot(house))
    assert await pay(gone, order(house, 1, payer, payee)) == "paid"
    crashed(gone)
    await gone._log.close()
    wire.broken = None

    adopting = asyncio.create_task(adopt(system, house.clock, house.services.order_logs))
    await house.until(lambda: house.state(payee).accounts.earnings == -5 * SATS)
    adopting.cancel()
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.reserved) == (995 * SATS, 0)


async def test_a_wallet_that_cannot_be_told_is_told_later_and_calls_go_on_meanwhile(house: House) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    wire, system = wired(house)
    till = Till(system, house.clock, slot(house))
    assert await pay(till, order(house, 0, payer, payee)) == "paid"
    wire.broken, wire.is_answered = PostOrders, False
    for n in range(1, 4):
        assert await pay(till, order(house, n, payer, payee)) == "paid"
    await house.until(lambda: house.state(payee).accounts.earnings < -5 * SATS)
    wire.broken = None
    await till.close(10.0)
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.reserved, accounts.in_transit + accounts.spent) == (980 * SATS, 0, 20 * SATS)


async def test_nothing_is_taken_from_an_allowance_that_is_on_its_way_back(house: House) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    till = Till(house.services.system, house.clock, slot(house))
    assert await pay(till, order(house, 1, payer, payee)) == "paid"
    await house.until(lambda: house.state(payee).accounts.earnings == -5 * SATS)
    house.clock.ahead_ms += IDLE_MS + 1
    sweeping = asyncio.create_task(till.sweep())
    await asyncio.sleep(0)
    assert await pay(till, order(house, 2, payer, payee)) == "paid"
    await sweeping
    await till.close(5.0)
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.reserved, accounts.in_transit + accounts.spent) == (990 * SATS, 0, 10 * SATS)


async def test_a_disk_that_fails_for_a_while_costs_nobody_anything(house: House) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    till = Till(house.services.system, house.clock, slot(house))
    running = asyncio.create_task(till.run())
    assert await pay(till, order(house, 1, payer, payee)) == "paid"
    till._log._db.execute("PRAGMA query_only = 1")
    assert await pay(till, order(house, 2, payer, payee)) == "internal"
    assert await pay(till, order(house, 3, payer, payee)) == "overloaded"
    await house.until(lambda: not till._log.is_broken)
    assert await pay(till, order(house, 4, payer, payee)) == "paid"
    running.cancel()
    await till.close(5.0)
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.reserved, accounts.in_transit + accounts.spent) == (990 * SATS, 0, 10 * SATS)


async def test_money_that_cannot_be_set_aside_fails_the_call_before_it_is_made(house: House) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    wire, system = wired(house)
    wire.broken = Reserve
    till = Till(system, house.clock, slot(house))
    one = order(house, 1, payer, payee)
    assert await pay(till, one) == "timeout"
    wire.broken = None
    assert await pay(till, one) == "paid"
    await till.close(5.0)


async def test_a_log_that_was_lost_costs_its_calls_and_nothing_else(house: House, tmp_path: Path) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    folder = tmp_path / "lost"
    first = Till(house.services.system, house.clock, OrderFolder(folder, house.clock.wall_ms).free_slot())
    assert await pay(first, order(house, 1, payer, payee)) == "paid"
    await house.until(lambda: house.state(payee).accounts.earnings == -5 * SATS)
    crashed(first)
    await first._log.close()
    await asyncio.to_thread(shutil.rmtree, folder)
    house.clock.ahead_ms -= 3_600_000  # and the clock is not what it was
    second = Till(house.services.system, house.clock, OrderFolder(folder, house.clock.wall_ms).free_slot())
    assert await pay(second, order(house, 2, payer, payee)) == "paid"
    await house.until(lambda: house.state(payee).accounts.earnings == -10 * SATS)
    await second.close(5.0)
    assert house.state(payer).accounts.bucket == 990 * SATS


class Overtaking(LocalTransport):
    """Posts wait until they are let through; the answer to a `Reserve` waits until it may come."""

    def __init__(self, house: House) -> None:
        super().__init__(house.transport.host)
        self.may_post, self.may_answer, self.reserved = asyncio.Event(), asyncio.Event(), 0

    async def send(self, request: Request) -> Response:
        command = request.command if isinstance(request, Pay) else None
        if isinstance(command, PostOrders):
            await self.may_post.wait()
        answer = await super().send(request)
        if isinstance(command, Reserve):
            self.reserved += 1
            if self.reserved > 1:
                await self.may_answer.wait()
        return answer


async def test_an_answer_that_a_post_overtook_is_enough_when_what_is_left_is_covered(house: House) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    wire = Overtaking(house)
    till = Till(ActorSystem(wire), house.clock, slot(house))
    purse = till._purse(payer.address)
    first, second = order(house, 1, payer, payee), order(house, 2, payer, payee)
    await till.hold(first)
    purse.bucket_usat = 0  # nothing ahead
    await till.pay(first)
    holding = asyncio.create_task(till.hold(second))
    await house.until(lambda: house.state(payer).accounts.reserved == 10 * SATS)
    wire.may_post.set()
    await house.until(lambda: not purse.unposted)
    wire.may_answer.set()
    await holding
    assert (wire.reserved, house.state(payer).accounts.reserved) == (2, 5 * SATS)
    await till.pay(second)
    await till.close(5.0)
    assert house.state(payer).accounts.bucket == 990 * SATS
