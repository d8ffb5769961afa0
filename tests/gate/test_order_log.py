"""A gate's log of paid calls, alone: each order once, many in one transaction, nothing lost when the disk or the gate fails."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actors.wallet.calls import LoggedOrder
from gate.charging.order_file import OrderFile
from gate.charging.order_folder import OrderFolder
from gate.charging.order_table import FILE, TRIMMED_EVERY
from gate.parts.orders import SLOTS_MAX, Held
from operations.errors import SatboxError

NOW_MS = 1_700_000_000_000


def held(number: int, payer: str = "SP1", expires_ms: int = NOW_MS + 60_000) -> Held:
    return Held(f"ord_{number}", payer, "SP9", 5, expires_ms, "GET /x")


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def opened(folder: Path, clock: Clock | None = None, number: int = 1) -> OrderFile:
    return OrderFile(folder, f"gate_{number}", clock or Clock())


def nobody(_: LoggedOrder | None) -> None:
    pass


async def died(orders: OrderFile) -> None:
    """What a killed process leaves: its lock is free, what it had in memory is gone."""
    orders._posted.clear()
    await orders.close()


def count(folder: Path, where: str = "1") -> int:
    with closing(sqlite3.connect(folder / FILE)) as db:
        return int(db.execute(f"SELECT count(*) FROM orders WHERE {where}").fetchone()[0])


async def test_an_order_is_written_once_by_whoever_holds_the_log(tmp_path: Path) -> None:
    first = opened(tmp_path)
    logged = await first.write(held(1), nobody)
    with pytest.raises(SatboxError, match="order_used"):
        await first.write(held(1), nobody)
    await died(first)

    second = opened(tmp_path)
    assert second.unposted() == {"SP1": [logged]}
    assert second.used(10) == [("ord_1", NOW_MS + 60_000)]
    with pytest.raises(SatboxError, match="order_used") as caught:
        await second.write(held(1, payer="SP2"), nobody)
    assert caught.value.funds_moved is False
    assert (await second.write(held(2), nobody)).seq > logged.seq
    await second.close()
    assert count(tmp_path) == 2


async def test_what_one_gate_took_no_other_takes(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path, number=2)
    told = await asyncio.gather(
        *(orders.write(held(n), nobody) for n in range(50) for orders in (first, second)), return_exceptions=True
    )
    assert sum(isinstance(one, LoggedOrder) for one in told) == 50
    assert {one.code for one in told if isinstance(one, SatboxError)} == {"order_used"}
    await first.close()
    await second.close()
    assert count(tmp_path) == 50


async def test_orders_that_come_together_share_a_transaction_and_keep_their_order(tmp_path: Path) -> None:
    orders = opened(tmp_path)
    told: list[int] = []
    made = await asyncio.gather(
        *(orders.write(held(n), lambda one: told.append(one.seq if one else 0)) for n in range(300))
    )
    assert [one.order_id for one in made] == [f"ord_{n}" for n in range(300)]
    assert told == sorted({one.seq for one in made})
    assert orders._commits < 30
    await orders.close()


async def test_one_that_was_used_does_not_hold_up_those_it_came_with(tmp_path: Path) -> None:
    orders = opened(tmp_path)
    await orders.write(held(1), nobody)
    told: list[LoggedOrder | None] = []
    made = await asyncio.gather(*(orders.write(held(n), told.append) for n in (2, 1, 3)), return_exceptions=True)
    assert [getattr(one, "code", None) for one in made] == [None, "order_used", None]
    assert [one and one.order_id for one in told] == ["ord_2", None, "ord_3"]
    await orders.close()
    assert count(tmp_path) == 3


async def test_an_order_whose_caller_has_gone_is_told_to_the_till_all_the_same(tmp_path: Path) -> None:
    orders = opened(tmp_path)
    told: list[LoggedOrder | None] = []
    waiting = asyncio.create_task(orders.write(held(1), told.append))
    await asyncio.sleep(0)
    waiting.cancel()
    await orders.close()
    assert [one and one.order_id for one in told] == ["ord_1"]
    assert count(tmp_path) == 1


async def test_when_the_disk_fails_what_was_under_way_is_unknown_and_nothing_more_is_taken(tmp_path: Path) -> None:
    orders = opened(tmp_path)
    await orders.write(held(1), nobody)
    orders._db.execute("PRAGMA query_only = 1")
    told: list[LoggedOrder | None] = []
    with pytest.raises(SatboxError, match="internal") as caught:
        await orders.write(held(2), told.append)
    assert caught.value.funds_moved == "unknown"
    with pytest.raises(SatboxError, match="overloaded") as refused:
        await orders.write(held(3), told.append)
    assert refused.value.funds_moved is False
    assert told == [None, None]

    await orders.reopen()
    assert [one.order_id for one in orders.unposted()["SP1"]] == ["ord_1"]
    await orders.write(held(2), nobody)
    await orders.close()
    assert count(tmp_path) == 2


async def test_a_log_has_one_holder_and_what_is_left_behind_is_found(tmp_path: Path) -> None:
    clock = Clock()
    logs = [OrderFolder(tmp_path, clock).free_slot() for _ in range(SLOTS_MAX)]
    assert len({one.gate_id for one in logs}) == SLOTS_MAX
    with pytest.raises(SatboxError, match="overloaded"):
        OrderFolder(tmp_path, clock).free_slot()
    await logs[1].opens("SP1")
    await logs[2].write(held(1), nobody)
    await died(logs[2])
    found = list(OrderFolder(tmp_path, clock).left_behind())
    assert [one.gate_id for one in found] == [logs[2].gate_id]
    for one in (*found, *logs[:2], *logs[3:]):
        await one.close()


async def test_what_wallets_have_posted_is_forgotten_when_it_can_not_be_shown_again_and_nothing_else(
    tmp_path: Path,
) -> None:
    clock = Clock()
    orders = opened(tmp_path, clock)
    posted = [await orders.write(held(n, expires_ms=NOW_MS + 1_000), nobody) for n in range(4)]
    later = await orders.write(held(5, expires_ms=NOW_MS + 10_000), nobody)
    orders.posted([*posted[:3], later])
    clock.now_ms += 2_000
    for n in range(TRIMMED_EVERY):
        await orders.write(held(100 + n), nobody)
    await orders.close()
    assert count(tmp_path, "order_id IN ('ord_0', 'ord_1', 'ord_2')") == 0
    assert count(tmp_path, "order_id IN ('ord_3', 'ord_5')") == 2


async def test_numbers_only_rise_even_when_the_log_is_lost(tmp_path: Path) -> None:
    clock = Clock()
    first = opened(tmp_path, clock)
    seq = (await first.write(held(1), nobody)).seq
    await first.close()
    await asyncio.to_thread(shutil.rmtree, tmp_path)
    clock.now_ms += 1
    second = opened(tmp_path, clock)
    assert (await second.write(held(1), nobody)).seq > seq
    second.goes_on_after(seq + 10**12)  # what a wallet remembers, of a time when the clock was ahead
    assert (await second.write(held(2), nobody)).seq == seq + 10**12 + 1
    await second.close()


async def test_a_log_that_is_written_in_great_crowds_is_trimmed_as_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.charging.order_table.TRIMMED_AT_ONCE", 1)
    clock = Clock()
    orders = opened(tmp_path, clock)
    for batch in range(2 * TRIMMED_EVERY):
        made = await asyncio.gather(
            *(orders.write(held(10 * batch + n, expires_ms=clock.now_ms + 1), nobody) for n in range(10))
        )
        orders.posted(made)
        clock.now_ms += 2
    await orders.close()
    assert count(tmp_path) < 10 * TRIMMED_EVERY


async def test_what_one_slot_owes_no_other_posts_or_gives_back(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path, number=2)
    await first.opens("SP1")
    await first.write(held(1), nobody)
    assert (second.unposted(), second.payers()) == ({}, [])
    assert (list(first.unposted()), first.payers()) == (["SP1"], ["SP1"])
    assert second.used(10) == first.used(10) == [("ord_1", NOW_MS + 60_000)]
    for one in (first, second):
        await one.close()


async def test_what_is_paid_survives_a_power_cut(tmp_path: Path) -> None:
    orders = opened(tmp_path)
    assert orders._db.execute("PRAGMA synchronous").fetchone() == (2,)  # a flush for every commit
    await orders.close()
