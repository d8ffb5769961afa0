"""What must not stop a till: wallets that fail, callers that go away, disks that fail for long, payers that have nothing."""

import asyncio
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from actors.hosting.requests import Pay, Request, Response
from actors.system import ActorSystem, LocalTransport
from actors.wallet.commands import PostOrders, Reserve, Unreserve
from gate.charging.adoption import adopt
from gate.charging.order_file import OrderFile
from gate.charging.order_folder import OrderFolder
from gate.charging.order_table import FILE
from gate.charging.till import IDLE_MS, Till
from operations.errors import SatboxError
from storage.errors import StorageError, UnavailableError
from storage.sqlite import Database
from tests.gate.gatehouse import SATS, House
from tests.gate.test_till import order, pay, payer_with, slot


class Wires(LocalTransport):
    """The way to the wallets, for commands that never arrive (`stuck`), that fail, or whose answers come `late`."""

    def __init__(self, house: House) -> None:
        super().__init__(house.transport.host)
        self.sent: list[tuple[str, type[object]]] = []
        self.stuck: dict[tuple[str, type[object]], asyncio.Event] = {}
        self.late: dict[tuple[str, type[object]], asyncio.Event] = {}
        self.failing: dict[tuple[str, type[object]], Exception] = {}

    async def send(self, request: Request) -> Response:
        if isinstance(request, Pay):
            key = request.address, type(request.command)
            self.sent.append(key)
            if key in self.stuck:
                await self.stuck[key].wait()
            if key in self.failing:
                raise self.failing[key]
            if key in self.late:
                answer = await super().send(request)
                await self.late[key].wait()
                return answer
        return await super().send(request)

    def count(self, kind: type[object]) -> int:
        return sum(one is kind for _, one in self.sent)


@pytest.fixture
def wires(house: House) -> Wires:
    return Wires(house)


def till_over(house: House, wires: Wires, orders: OrderFile | None = None) -> Till:
    return Till(ActorSystem(wires), house.clock, orders or slot(house))


def fail(orders: OrderFile) -> Callable[[], None]:
    """The disk fails until it is told not to."""
    was = orders._opened
    orders._db.execute("PRAGMA query_only = 1")

    def still() -> Database:
        raise UnavailableError("disk I/O error")

    orders._opened = still  # type: ignore[method-assign]

    def mended() -> None:
        orders._opened = was  # type: ignore[method-assign]

    return mended


async def test_a_wallet_that_cannot_be_read_ends_neither_the_sweep_nor_the_allowances_of_others(
    house: House, wires: Wires
) -> None:
    damaged, other, payee = await payer_with(house, 1_000), await payer_with(house, 1_000), await house.agent()
    till = till_over(house, wires)
    running = asyncio.create_task(till.run())
    for n in range(6):
        assert await pay(till, order(house, n, (damaged, other)[n % 2], payee)) == "paid"
    await house.until(lambda: house.state(payee).accounts.earnings == -30 * SATS)
    assert min(house.state(damaged).accounts.reserved, house.state(other).accounts.reserved) > 0
    wires.failing[damaged.address, Unreserve] = StorageError("database disk image is malformed")
    house.clock.ahead_ms += IDLE_MS + 1
    await house.until(lambda: house.state(other).accounts.reserved == 0)
    assert not running.done()
    wires.failing.clear()
    await house.until(lambda: house.state(damaged).accounts.reserved == 0)
    running.cancel()
    await till.close(5.0)


async def test_a_wallet_that_does_not_answer_holds_up_nobodys_money(house: House, wires: Wires) -> None:
    stuck, other, payee = await payer_with(house, 1_000), await payer_with(house, 1_000), await house.agent()
    till = till_over(house, wires)
    for n, who in enumerate((stuck, other)):
        for m in range(2):
            assert await pay(till, order(house, 10 * n + m, who, payee)) == "paid"
    await house.until(lambda: house.state(payee).accounts.earnings == -20 * SATS)
    assert house.state(other).accounts.reserved > 0
    wires.stuck[stuck.address, Unreserve] = asyncio.Event()
    house.clock.ahead_ms += IDLE_MS + 1
    sweeping = asyncio.create_task(till.sweep())
    await house.until(lambda: house.state(other).accounts.reserved == 0)
    sweeping.cancel()
    wires.stuck.clear()
    await till.close(2.0)


async def test_what_is_set_aside_stays_so_while_nobody_knows_what_the_log_says(house: House, wires: Wires) -> None:
    """An order whose commit was reported as failed may be on the disk all the same."""
    payer, payee = await payer_with(house, 10), await house.agent()
    orders = slot(house)
    till = till_over(house, wires, orders)
    one = order(house, 1, payer, payee)
    await till.hold(one)
    committed = orders._commit

    def written_and_lost(*work: object) -> set[int]:
        committed(*work)  # type: ignore[arg-type]
        raise UnavailableError("disk I/O error")

    orders._commit = written_and_lost  # type: ignore[method-assign, assignment]
    with pytest.raises(SatboxError, match="internal"):
        await till.pay(one)
    orders._commit = committed  # type: ignore[method-assign]
    house.clock.ahead_ms += IDLE_MS + 1
    await till.sweep()
    await till.drain()
    assert house.state(payer).accounts.reserved == 5 * SATS
    running = asyncio.create_task(till.run())
    await house.until(lambda: house.state(payee).accounts.earnings == -5 * SATS)
    running.cancel()
    await till.close(5.0)
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.reserved) == (5 * SATS, 0)


async def test_orders_whose_allowance_is_gone_are_paid_from_the_bucket(house: House, wires: Wires) -> None:
    payer, payee = await payer_with(house, 100), await house.agent()
    till = till_over(house, wires)
    one = order(house, 1, payer, payee)
    await till.hold(one)
    await house.services.system.pay(
        payer.address, Unreserve(till._log.gate_id)
    )  # a wallet that was restored, or a fault
    await till.pay(one)
    await house.until(lambda: house.state(payee).accounts.earnings == -5 * SATS)
    await till.close(5.0)
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.reserved) == (95 * SATS, 0)


async def test_a_wallet_that_takes_no_orders_keeps_no_log_from_recovering(house: House, wires: Wires) -> None:
    away, other, payee = await payer_with(house, 100), await payer_with(house, 100), await house.agent()
    orders = slot(house)
    till = till_over(house, wires, orders)
    wires.stuck[away.address, PostOrders] = asyncio.Event()
    assert await pay(till, order(house, 1, away, payee)) == "paid"
    running = asyncio.create_task(till.run())
    mended = fail(orders)
    assert await pay(till, order(house, 2, other, payee)) == "overloaded"  # its payer cannot be noted
    mended()
    await house.until(lambda: not orders.is_broken)
    assert await pay(till, order(house, 3, other, payee)) == "paid"
    wires.stuck.clear()
    running.cancel()
    await house.until(lambda: house.state(other).accounts.spent == 5 * SATS)
    await till.close(1.0)
    again = till_over(house, wires)
    again._post_soon(away.address, again._purse(away.address))
    await again.close(5.0)
    assert house.state(away).accounts.bucket == 95 * SATS


async def test_a_payer_who_has_nothing_leaves_nothing_behind(house: House, wires: Wires) -> None:
    payee = await house.agent()
    till = till_over(house, wires)
    for n in range(20):
        assert await pay(till, order(house, n, await house.agent(), payee)) == "wallet_not_found"
    poor = await payer_with(house, 1)
    assert await pay(till, order(house, 30, poor, payee)) == "credit_insufficient"
    assert not till._purses
    assert wires.count(Unreserve) == 0
    await till.close(5.0)
    assert till_over(house, wires)._log.payers() == []


async def test_a_refused_call_gives_back_nothing_that_others_use(house: House, wires: Wires) -> None:
    payer, payee = await payer_with(house, 6), await house.agent()
    till = till_over(house, wires)
    one = order(house, 1, payer, payee)
    await till.hold(one)
    assert await pay(till, order(house, 2, payer, payee)) == "credit_insufficient"
    await till.pay(one)
    await till.close(5.0)
    assert house.state(payer).accounts.bucket == SATS


async def test_a_caller_who_leaves_while_money_is_set_aside_leaves_nothing_behind(house: House, wires: Wires) -> None:
    payer, payee = await payer_with(house, 100), await house.agent()
    till = till_over(house, wires)
    for n in range(3):
        held = asyncio.create_task(till.hold(order(house, n, payer, payee)))
        for _ in range(n + 1):
            await asyncio.sleep(0)
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert not any(purse.under_way for purse in till._purses.values())
    house.clock.ahead_ms += IDLE_MS + 1
    await till.sweep()
    assert not till._purses
    await till.close(5.0)
    assert till_over(house, wires)._log.payers() == []
    assert house.state(payer).accounts.bucket == 100 * SATS


async def test_calls_that_come_together_fill_an_allowance_up_once(house: House, wires: Wires) -> None:
    payer, payee = await payer_with(house, 10_000), await house.agent()
    till = till_over(house, wires)
    await till.hold(order(house, 0, payer, payee))
    await till.hold(order(house, 1, payer, payee))
    purse = till._purses[payer.address]
    purse.bucket_usat = 4_000 * SATS  # 40 calls ahead are wanted, and 32 are there
    purse.usat = purse.needed_usat + 105 * SATS
    before = wires.count(Reserve)
    await asyncio.gather(*(till.hold(order(house, 10 + n, payer, payee)) for n in range(8)))
    await asyncio.sleep(0.1)
    assert wires.count(Reserve) - before == 1
    await till.close(1.0)


async def test_an_order_under_way_is_never_forgotten_however_many_come(
    house: House, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.charging.used_orders.USED_MAX", 3)
    payer, payee = await payer_with(house, 1_000), await house.agent()
    till = till_over(house, wires)
    slow = order(house, 1, payer, payee)
    await till.hold(slow)
    for n in range(10, 16):
        assert await pay(till, order(house, n, payer, payee)) == "paid"
    with pytest.raises(SatboxError, match="order_used"):
        await till.hold(slow)
    await till.pay(slow)
    await till.close(5.0)


async def test_a_log_that_cannot_be_finished_is_let_go_for_the_next_try(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer, payee = await payer_with(house, 100), await house.agent()
    orders = slot(house)
    await orders.write(order(house, 1, payer, payee), lambda _: None)
    await orders.close()

    def damaged(_: OrderFile) -> dict[str, object]:
        raise StorageError("malformed")

    monkeypatch.setattr(OrderFile, "unposted", damaged)
    adopting = asyncio.create_task(adopt(house.services.system, house.clock, house.services.order_logs))
    await asyncio.sleep(0.1)
    lock = os.open(house.orders_folder / f"{orders.gate_id}.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)
    adopting.cancel()


async def test_an_allowance_on_its_way_back_covers_no_call(house: House, wires: Wires) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    till = till_over(house, wires)
    for n in range(3):
        assert await pay(till, order(house, n, payer, payee)) == "paid"
    await house.until(lambda: house.state(payee).accounts.earnings == -15 * SATS)
    await house.until(lambda: till._purses[payer.address].is_idle)
    assert till._purses[payer.address].usat > 5 * SATS
    gone = wires.stuck[payer.address, Unreserve] = asyncio.Event()
    house.clock.ahead_ms += IDLE_MS + 1
    sweeping = asyncio.create_task(till.sweep())
    await house.until(lambda: wires.count(Unreserve))
    asked = wires.count(Reserve)
    holding = asyncio.create_task(till.hold(order(house, 9, payer, payee)))
    await asyncio.sleep(0.02)
    assert not holding.done()
    gone.set()
    await asyncio.gather(sweeping, holding)
    assert wires.count(Reserve) == asked + 1
    await till.pay(order(house, 9, payer, payee))
    await till.close(5.0)
    accounts = house.state(payer).accounts
    assert (accounts.bucket, accounts.reserved) == (980 * SATS, 0)


async def test_what_a_slot_that_nobody_takes_again_had_set_aside_goes_back_when_the_log_was_lost(
    house: House, wires: Wires, tmp_path: Path
) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    folder = tmp_path / "lost"
    first, second = [till_over(house, wires, OrderFolder(folder, house.clock.wall_ms).free_slot()) for _ in range(2)]
    assert await pay(first, order(house, 0, payer, payee)) == "paid"
    for n in range(1, 4):
        assert await pay(second, order(house, n, payer, payee)) == "paid"
    await house.until(lambda: house.state(payee).accounts.earnings == -20 * SATS)
    assert house.state(payer).accounts.reserved > 0
    for till in (first, second):
        await house.until(lambda till=till: till._purses[payer.address].is_idle)
        till._purses.clear()
        await till.close(1.0)
    await asyncio.to_thread(shutil.rmtree, folder)

    again = till_over(house, wires, OrderFolder(folder, house.clock.wall_ms).free_slot())
    assert again._log.gate_id == first._log.gate_id
    assert await pay(again, order(house, 9, payer, payee)) == "paid"
    await house.until(lambda: again._purses[payer.address].is_idle)
    house.clock.ahead_ms += IDLE_MS + 1
    await again.sweep()
    await again.close(1.0)
    adopting = asyncio.create_task(adopt(house.services.system, house.clock, OrderFolder(folder, house.clock.wall_ms)))
    await house.until(lambda: house.state(payer).accounts.reserved == 0)
    adopting.cancel()
    assert house.state(payer).accounts.bucket == 975 * SATS


async def test_a_gate_that_dies_before_anything_is_paid_leaves_its_allowance_to_the_next(
    house: House, wires: Wires
) -> None:
    payer, payee = await payer_with(house, 100), await house.agent()
    first = till_over(house, wires)
    reserve = wires.stuck[payer.address, Reserve] = asyncio.Event()
    holding = asyncio.create_task(first.hold(order(house, 1, payer, payee)))
    await house.until(lambda: wires.count(Reserve))
    with closing(sqlite3.connect(house.orders_folder / FILE)) as db:  # before the wallet has done anything
        noted = db.execute("SELECT address FROM payers WHERE gate_id = ?", (first._log.gate_id,)).fetchall()
    assert noted == [(payer.address,)]
    reserve.set()
    await holding
    assert house.state(payer).accounts.reserved == 5 * SATS
    await first._log.close()

    second = till_over(house, wires)
    assert second._log.gate_id == first._log.gate_id
    await second.close(5.0)
    assert house.state(payer).accounts.reserved == 0
    assert till_over(house, wires)._log.payers() == []


async def test_an_answer_that_comes_late_is_not_believed_over_a_newer_one(house: House, wires: Wires) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    till = till_over(house, wires)
    for n in range(3):
        assert await pay(till, order(house, n, payer, payee)) == "paid"
    purse = till._purses[payer.address]
    await house.until(lambda: purse.is_idle)
    late = wires.late[payer.address, Reserve] = asyncio.Event()
    till._top_up(payer.address, purse, 1_000 * SATS)
    await house.until(lambda: house.state(payer).accounts.reserved == 985 * SATS)
    purse.usat = 2_000 * SATS  # as if it were enough: what is paid meanwhile is posted before the answer is here
    assert await pay(till, order(house, 7, payer, payee)) == "paid"
    await house.until(lambda: house.state(payer).accounts.reserved == 980 * SATS)
    await house.until(lambda: purse.usat == 980 * SATS)
    late.set()
    await house.until(lambda: purse.is_idle)
    assert purse.usat == 980 * SATS
    await till.close(5.0)


async def test_what_a_till_takes_on_is_bounded(house: House, wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    payer, other, payee = await payer_with(house, 1_000), await payer_with(house, 100), await house.agent()
    till = till_over(house, wires)
    monkeypatch.setattr("gate.charging.till.CALLS_AT_ONCE_MAX", 2)
    monkeypatch.setattr("gate.charging.till.UNPOSTED_MAX", 3)
    monkeypatch.setattr("gate.charging.allowances.PURSES_MAX", 1)
    held = [order(house, n, payer, payee) for n in range(2)]
    for one in held:
        await till.hold(one)
    assert await pay(till, order(house, 5, payer, payee)) == "rate_limited"
    assert await pay(till, order(house, 6, other, payee)) == "overloaded"
    wires.failing[payer.address, PostOrders] = SatboxError("timeout")
    for one in held:
        await till.pay(one)
    assert [await pay(till, order(house, n, payer, payee)) for n in (5, 7)] == ["paid", "overloaded"]
    wires.failing.clear()
    await house.until(lambda: house.state(payee).accounts.earnings == -15 * SATS)
    assert await pay(till, order(house, 7, payer, payee)) == "paid"
    await till.close(5.0)


async def test_no_more_than_a_share_of_a_bucket_is_set_aside_ahead(house: House, wires: Wires) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    till = till_over(house, wires)
    for n in range(4):
        assert await pay(till, order(house, n, payer, payee, sats=20)) == "paid"
    assert house.state(payer).accounts.reserved <= (4 * 20 + 1_000 // 20) * SATS
    await till.close(5.0)


async def test_what_was_paid_before_a_start_is_refused_before_any_server_works_for_it(
    house: House, wires: Wires
) -> None:
    payer, payee = await payer_with(house, 100), await house.agent()
    first, second = till_over(house, wires), till_over(house, wires)
    one = order(house, 1, payer, payee)
    assert await pay(first, one) == "paid"
    await first.close(5.0)
    third = till_over(house, wires)
    with pytest.raises(SatboxError, match="order_used"):
        await third.hold(one)
    await second.close(1.0)
    await third.close(1.0)
