"""What tills take for granted of an `OrderLogs` and its `OrderLog`s."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actors.wallet.calls import LoggedOrder
from gate.charging.order_folder import OrderFolder
from gate.parts.orders import SLOTS, SLOTS_MAX, UNSIGNED, Held, OrderLogs
from operations.errors import SatboxError

NOW_MS = 1_700_000_000_000
LOGS: dict[str, Callable[[Path, Callable[[], int]], OrderLogs]] = {"files": OrderFolder}


@pytest.fixture(params=LOGS)
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> OrderLogs:
    return LOGS[request.param](tmp_path / "orders", lambda: NOW_MS)


def held(number: int, payer: str = "STPAYER", later_ms: int = 60_000) -> Held:
    return Held(f"ord_{number}", payer, "STPAYEE", 5 + number, NOW_MS + later_ms)


def nobody(_: LoggedOrder | None) -> None:
    pass


async def test_an_order_is_in_the_log_once_whichever_slot_it_comes_to(logs: OrderLogs) -> None:
    one, two = logs.free_slot(), logs.free_slot()
    told: list[LoggedOrder | None] = []
    logged = await one.write(held(1), told.append)
    assert (logged.order_id, logged.payee, logged.usat) == ("ord_1", "STPAYEE", 6)
    for log in (one, two):
        with pytest.raises(SatboxError, match="order_used") as refused:
            await log.write(held(1), told.append)
        assert refused.value.funds_moved is False
        assert (await log.look("ord_1"))[0]
        assert not (await log.look("ord_2"))[0]
    assert told == [logged, None, None]
    await one.close()
    await two.close()


async def test_of_orders_that_come_together_each_is_logged_and_numbered_once(logs: OrderLogs) -> None:
    log = logs.free_slot()
    came = [held(number % 20) for number in range(40)]
    answers = await asyncio.gather(*(log.write(one, nobody) for one in came), return_exceptions=True)
    logged = [one for one in answers if isinstance(one, LoggedOrder)]
    assert sorted(one.order_id for one in logged) == sorted(f"ord_{number}" for number in range(20))
    assert len({one.seq for one in logged}) == 20
    assert log.unposted() == {"STPAYER": sorted(logged, key=lambda one: one.seq)}
    await log.close()


async def test_a_caller_who_left_is_answered_all_the_same(logs: OrderLogs) -> None:
    log, told = logs.free_slot(), asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(log.write(held(1), told.set_result))
    await asyncio.sleep(0)
    waiting.cancel()
    assert (await told).order_id == "ord_1"
    await log.close()


async def test_a_slots_next_holder_goes_on_where_the_last_one_stopped(logs: OrderLogs) -> None:
    log = logs.free_slot()
    await log.opens("STPAYER")
    await log.opens("STOTHER")
    written = [
        await log.write(held(number, payer), nobody) for number, payer in enumerate(["STPAYER", "STOTHER", "STPAYER"])
    ]
    log.posted([written[0]])
    log.closed("STOTHER")
    last = log.next_number()
    await log.close()

    again = logs.free_slot()
    assert again.gate_id == log.gate_id
    assert again.payers() == ["STPAYER"]
    assert again.unposted() == {"STOTHER": [written[1]], "STPAYER": [written[2]]}
    assert again.next_number() > last, "what was asked late in the last life has an earlier number"
    again.goes_on_after(last + 10**12)
    assert again.next_number() > last + 10**12
    await again.close()


async def test_a_slot_has_one_holder_and_what_is_left_behind_is_found(logs: OrderLogs) -> None:
    taken = [logs.free_slot() for _ in range(SLOTS_MAX)]
    assert sorted(one.gate_id for one in taken) == sorted(SLOTS)
    with pytest.raises(SatboxError, match="overloaded"):
        logs.free_slot()
    await taken[1].opens("STPAYER")
    await taken[2].write(held(1), nobody)
    assert list(logs.left_behind()) == [], "their holders live"
    for one in taken:
        await one.close()
    found = list(logs.left_behind())
    assert sorted(one.gate_id for one in found) == sorted([taken[1].gate_id, taken[2].gate_id])
    for one in found:
        await one.close()


async def test_what_another_slot_has_set_aside_is_found_there(logs: OrderLogs) -> None:
    log = logs.free_slot()
    log.has_elsewhere(SLOTS[4], "STPAYER")
    log.has_elsewhere("no slot", "STOTHER")
    await log.opens("STMINE")  # written with it, or before
    await log.close()
    found = {one.gate_id: one for one in logs.left_behind()}
    assert {gate_id: one.payers() for gate_id, one in found.items()} == {log.gate_id: ["STMINE"], SLOTS[4]: ["STPAYER"]}
    for one in found.values():
        await one.close()


async def test_used_orders_are_told_by_their_end_and_without_those_that_nobody_signed(logs: OrderLogs) -> None:
    log = logs.free_slot()
    for number, later_ms in ((1, 30_000), (2, 10_000), (3, -10_000), (4, 20_000)):
        await log.write(held(number, later_ms=later_ms), nobody)
    await log.write(replace(held(5), order_id=f"{UNSIGNED}x"), nobody)
    assert [order_id for order_id, _ in log.used(10)] == ["ord_3", "ord_2", "ord_4", "ord_1"]
    assert log.used(2) == [("ord_4", NOW_MS + 20_000), ("ord_1", NOW_MS + 30_000)]
    await log.close()
