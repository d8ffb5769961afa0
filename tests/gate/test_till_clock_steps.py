"""Somebody sets the wall clock while calls are paid: no order pays twice, nobody's work is done twice, no money is lost."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from actors.hosting.host import WalletHost
from actors.hosting.requests import Request, Response
from actors.system import ActorSystem, LocalTransport
from actors.wallet.calls import LoggedOrder
from actors.wallet.commands import PostOrders, Reserve
from gate.charging.order_file import OrderFile
from gate.charging.order_table import FILE, TRIMMED_EVERY
from gate.charging.till import IDLE_MS, Till
from gate.charging.used_orders import ANSWERED_WITHIN_MS, REMEMBERED_MS, UsedOrders
from gate.parts.orders import Held
from operations.errors import SatboxError
from satbox.audit.call_books import CallReplay
from tests.gate.gatehouse import SATS, House, Who
from tests.gate.test_order_log import NOW_MS, Clock, nobody, opened
from tests.gate.test_order_log import held as logged_order
from tests.gate.test_till import crashed, pay, payer_with

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
_numbers = itertools.count(1)


def signed(house: House, payer: Who, payee: Who, seconds: int = 280) -> Held:
    """An order as the desk makes it of one that expires in so many seconds."""
    until_ms = house.clock.wall_ms() + seconds * 1000 + ANSWERED_WITHIN_MS
    return Held(f"ord_s{next(_numbers)}", payer.address, payee.address, 5 * SATS, until_ms)


@pytest.fixture
async def tills(house: House) -> AsyncIterator["Tills"]:
    async with AsyncExitStack() as stack:
        yield Tills(house, stack)


class Tills:
    """Gates of one home; each life of one has a till of its own."""

    def __init__(self, house: House, stack: AsyncExitStack) -> None:
        self._house, self._stack = house, stack
        self._dead: list[Till] = []

    def open(self) -> Till:
        orders = self._house.services.order_logs.free_slot()
        till = Till(self._house.services.system, self._house.clock, orders)

        async def close() -> None:
            if till not in self._dead:
                await till.close(5.0)

        self._stack.push_async_callback(close)
        return till

    async def kill(self, till: Till) -> None:
        crashed(till)
        await till._log.close()
        self._dead.append(till)


async def busy(house: House, till: Till, payer: Who, payee: Who, calls: int = 150) -> None:
    """Calls one after another, each a commit of the log, so that it is trimmed of what wallets have posted."""
    await house.until(lambda: not any(purse.unposted for purse in till._purses.values()))
    for _ in range(calls):
        assert await pay(till, signed(house, payer, payee)) == "paid"


def paid_sats(house: House, payer: Who, payee: Who) -> tuple[int, int]:
    accounts = house.state(payer).accounts
    return (accounts.spent + accounts.in_transit) // SATS, -house.state(payee).accounts.earnings // SATS


async def once(house: House, payer: Who, payee: Who, calls: int) -> None:
    """All that was paid was paid once, on both sides, and the payer's journal holds no order twice."""
    await house.until(lambda: paid_sats(house, payer, payee) == (5 * calls, 5 * calls))
    wrong: list[tuple[str, ...]] = []
    replay = CallReplay(lambda *told: wrong.append(told))
    store = house.transport.host.residents.actors[payer.address].store
    for entry in store.entries(0, 10_000):
        replay.take(entry)
    rows = store._db.execute("SELECT entry_seq, seq, order_id, usat FROM orders").fetchall()  # type: ignore[attr-defined]
    replay.take_bundles((entry_seq, LoggedOrder(seq, order_id, "", usat)) for entry_seq, seq, order_id, usat in rows)
    assert (wrong, len(replay.orders)) == ([], calls)


async def test_an_order_that_was_trimmed_while_the_clock_was_ahead_pays_no_second_time(
    house: House, tills: Tills
) -> None:
    payer, payee = await payer_with(house, 5_000), await house.agent()
    till = tills.open()
    early = signed(house, payer, payee)
    assert await pay(till, early) == "paid"
    house.clock.step_ms = 3 * DAY_MS
    await busy(house, till, payer, payee)
    assert await till._log.look(early.order_id) == (False, 1), "the log has trimmed nothing: this tests nothing"
    house.clock.step_ms = 0
    assert await pay(till, early) == "order_used"
    await tills.kill(till)
    till = tills.open()
    assert await pay(till, early) == "order_used"
    assert await pay(till, signed(house, payer, payee)) == "paid"  # others are taken as ever
    await once(house, payer, payee, 152)


async def test_an_order_that_one_gate_trimmed_is_refused_by_another_whose_clock_is_right(
    house: House, tills: Tills
) -> None:
    payer, payee = await payer_with(house, 5_000), await house.agent()
    first, second = tills.open(), tills.open()
    early = signed(house, payer, payee)
    assert await pay(first, early) == "paid"
    house.clock.step_ms = HOUR_MS
    await busy(house, first, payer, payee)
    house.clock.step_ms = 0
    assert await pay(second, early) == "order_used"
    await second.sweep()  # looks at the log; from now on such an order is refused before anything is forwarded
    with pytest.raises(SatboxError, match="order_used"):
        await second.hold(Held(early.order_id, early.payer, early.payee, early.usat, early.expires_ms))
    assert await pay(second, signed(house, payer, payee)) == "paid"
    await once(house, payer, payee, 152)


async def test_a_gate_forwards_no_order_twice_whatever_its_clock_does_meanwhile(house: House, tills: Tills) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    till = tills.open()
    early = signed(house, payer, payee)
    assert await pay(till, early) == "paid"
    for step_ms in (3 * DAY_MS, -3 * DAY_MS, 0):
        house.clock.step_ms = step_ms
        await till.sweep()
        with pytest.raises(SatboxError, match="order_used"):
            await till.hold(early)
    house.clock.ahead_ms += REMEMBERED_MS + 1
    house.clock.step_ms = -REMEMBERED_MS
    await till.sweep()
    assert early.order_id not in till._used
    with pytest.raises(SatboxError, match="order_used"):
        await till.hold(early)


async def test_a_long_call_is_paid_when_another_gate_trims_meanwhile(house: House, tills: Tills) -> None:
    payer, payee = await payer_with(house, 5_000), await house.agent()
    first, second = tills.open(), tills.open()
    house.clock.step_ms = HOUR_MS
    await busy(house, first, payer, payee, TRIMMED_EVERY)
    house.clock.step_ms += HOUR_MS
    await busy(house, first, payer, payee, TRIMMED_EVERY)
    house.clock.step_ms = 0
    await second.sweep()
    slow = signed(house, payer, payee)
    await second.hold(slow)
    house.clock.step_ms = 2 * MINUTE_MS  # ahead, and not so far that `slow` could be trimmed
    await busy(house, first, payer, payee, TRIMMED_EVERY)
    house.clock.step_ms = 0
    assert (await second.pay(slow)).order_id == slow.order_id


async def test_a_wallet_posts_an_order_once_under_whatever_number_and_for_whichever_gate(
    house: House, tills: Tills
) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    system, numbers = house.services.system, itertools.count(1)

    def order(order_id: str) -> LoggedOrder:
        return LoggedOrder(next(numbers), order_id, payee.address, 5 * SATS)

    async def post(gate_id: str, *order_ids: str) -> int:
        """What the posting took out of the allowance, in sats."""
        seen = await system.pay(payer.address, Reserve(gate_id, 100 * SATS, 0, next(numbers)))
        before = next(one.usat for one in seen.allowances if one.gate_id == gate_id)
        seen = await system.pay(payer.address, PostOrders(gate_id, tuple(order(one) for one in order_ids)))
        return (before - next(one.usat for one in seen.allowances if one.gate_id == gate_id)) // SATS

    assert await post("gate_1", "ord_a") == 5
    assert await post("gate_1", "ord_a") == 0
    assert await post("gate_2", "ord_a") == 0
    assert await post("gate_2", "ord_b", "ord_c", "ord_a", "ord_b") == 10
    assert await post("gate_1", "ord_c", "ord_d", "ord_b") == 5
    assert await system.has_order(payer.address, "ord_c")
    assert not await system.has_order(payer.address, "ord_e")
    await once(house, payer, payee, 4)
    told = [one.type for one in house.transport.host.residents.actors[payer.address].store.events(0, 1_000)]
    assert told.count("order_repeated") == 6


async def test_a_log_that_was_lost_lets_no_order_be_charged_twice(house: House, tills: Tills) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    till = tills.open()
    early = signed(house, payer, payee)
    assert await pay(till, early) == "paid"
    await house.until(lambda: paid_sats(house, payer, payee) == (5, 5))
    await tills.kill(till)
    for path in house.orders_folder.glob(f"{FILE}*"):
        path.unlink()
    till = tills.open()
    assert await pay(till, early) == "paid"  # the work is done again; nobody is charged again
    assert await pay(till, signed(house, payer, payee)) == "paid"
    await once(house, payer, payee, 2)


@pytest.mark.parametrize("step_ms", [-3 * DAY_MS, 3 * DAY_MS])
async def test_what_is_set_aside_goes_back_when_it_is_not_used(house: House, tills: Tills, step_ms: int) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    till = tills.open()
    for _ in range(2):  # with the second, some is set aside ahead
        assert await pay(till, signed(house, payer, payee)) == "paid"
    await house.until(lambda: till._purses[payer.address].is_idle)
    house.clock.step_ms = step_ms
    await till.sweep()
    assert house.state(payer).accounts.reserved > 0, "it was used a moment ago"
    house.clock.ahead_ms += IDLE_MS + 1
    await till.sweep()
    assert house.state(payer).accounts.reserved == 0


class Slow(LocalTransport):
    """Takes requests and delivers none."""

    def __init__(self, host: WalletHost) -> None:
        super().__init__(host)
        self.under_way: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.under_way.append(request)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


async def test_what_a_dead_gate_asked_late_is_set_aside_for_nobody(house: House, tills: Tills) -> None:
    payer, payee = await payer_with(house, 1_000), await house.agent()
    slow = Slow(house.transport.host)
    first = Till(ActorSystem(slow), house.clock, house.services.order_logs.free_slot())
    asking = asyncio.create_task(first.hold(signed(house, payer, payee)))
    await house.until(lambda: slow.under_way)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await first._log.close()  # killed, with what it asked still on its way
    house.clock.step_ms = -HOUR_MS
    second = tills.open()
    await second.sweep()
    await house.until(lambda: not second._log.payers())
    (late,) = slow.under_way
    await house.transport.send(late)
    await second.sweep()
    assert house.state(payer).accounts.reserved == 0


# The log alone


async def test_the_mark_stays_when_the_trims_that_made_it_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.charging.order_table.TRIMS_KEPT", 3)
    monkeypatch.setattr(OrderFile, "trimmed_every", 1)
    clock = Clock()
    orders = opened(tmp_path, clock)
    clock.now_ms = NOW_MS + DAY_MS
    first = await orders.write(logged_order(0, expires_ms=NOW_MS + DAY_MS - 1), nobody)
    orders.posted([first])
    await orders.write(logged_order(100, expires_ms=NOW_MS + 2 * DAY_MS), nobody)
    assert orders._mark() == (NOW_MS + DAY_MS - 1, 1)
    clock.now_ms = NOW_MS
    for number in range(1, 20):
        looked = Held(f"ord_{number}", "SP1", "SP9", 5, NOW_MS - 20 + number, looked=100)
        made = await orders.write(looked, nobody)
        orders.posted([made])
    await orders.close()
    again = OrderFile(tmp_path, "gate_1", clock)
    assert again.mark_ms == NOW_MS + DAY_MS - 1
    assert again._db.execute("SELECT count(*) FROM trims").fetchone() == (3,)
    with pytest.raises(SatboxError, match="order_used"):
        await again.write(logged_order(0), nobody)
    await again.close()


async def test_an_order_that_may_have_been_trimmed_does_not_hold_up_those_it_came_with(tmp_path: Path) -> None:
    clock = Clock()
    orders = opened(tmp_path, clock)
    early = await orders.write(logged_order(1, expires_ms=NOW_MS + 1_000), nobody)
    orders.posted([early])
    clock.now_ms += HOUR_MS
    for number in range(2, 2 + TRIMMED_EVERY):
        await orders.write(logged_order(number, expires_ms=clock.now_ms + 1_000), nobody)
    clock.now_ms = NOW_MS
    assert await orders.look("ord_1") == (False, 1)
    told: list[LoggedOrder | None] = []
    made = await asyncio.gather(
        orders.write(logged_order(1, expires_ms=NOW_MS + 1_000), told.append),
        orders.write(logged_order(500), told.append),
        orders.write(Held("ord_501", "SP1", "SP9", 5, NOW_MS + 1_000, looked=1), told.append),
        return_exceptions=True,
    )
    assert [getattr(one, "code", None) for one in made] == ["order_used", None, None]
    assert [one and one.order_id for one in told] == [None, "ord_500", "ord_501"]
    await orders.close()


def test_what_a_gate_forgets_it_knows_to_have_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate.charging.used_orders.USED_MAX", 2)
    used = UsedOrders(0, lambda most: [("a", 10), ("b", 20), ("c", 30)][-most:])
    assert [one in used for one in "abc"] == [False, True, True]
    assert (used.may_have_forgotten(10), used.may_have_forgotten(11)) == (True, False)
    used.sweep(REMEMBERED_MS - 1)
    assert not used.may_have_forgotten(11)
    used.sweep(REMEMBERED_MS)
    assert (used.may_have_forgotten(30), used.may_have_forgotten(31)) == (True, False)
