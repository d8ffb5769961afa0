"""What the dashboard is told: every wallet, those at rest too, in agreement with its status; looked at once for all."""

import asyncio
from pathlib import Path

from actors.hosting.overview import AtRest, wallet_row
from actors.stores.wallet_folder import WalletFolder
from actors.wallet import commands as c
from actors.wallet.state import Plan, WalletState
from gate.pages.overview import Overview, news
from gate.wire.metrics import Metrics
from tests.gate.gatehouse import SATS, House


async def test_a_look_agrees_with_status(house: House) -> None:
    awake, asleep = await house.agent(), await house.agent()
    await house.created(awake, 300)
    await house.created(asleep, 100)
    await house.ask("POST", "/sandbox/reap", who=asleep, json={})
    await house.advance(10)

    rows = {row.address: row for row in (await house.services.system.overview())["local"].rows}
    shown = (await house.ask("GET", "/sandbox/status?fresh=true", who=awake)).body

    row = rows[awake.address]
    assert (row.state, rows[asleep.address].state) == ("alive", "reaped")
    assert abs(row.balance_usat - shown["balance_usat"]) <= row.burn_usat_per_second
    assert row.deposited_usat == 300 * SATS
    assert row.balance_usat + row.burnt_usat == 300 * SATS
    assert row.seconds_left is not None
    assert abs(row.seconds_left - shown["seconds_left"]) < 2
    assert rows[asleep.address].burn_usat_per_second == 0


async def test_a_wallet_at_rest_is_read_once_and_again_when_written(house: House, tmp_path: Path) -> None:
    who = await house.agent()
    await house.created(who, 300)
    folder = house.transport.host._settings.folder
    now_ms = 0
    rest = AtRest(WalletFolder(folder), None, lambda: now_ms)

    (first,), unread = await asyncio.to_thread(rest.rows, frozenset())
    (again,), _ = await asyncio.to_thread(rest.rows, frozenset())
    nobody, _ = await asyncio.to_thread(rest.rows, frozenset({who.address}))

    assert unread == 0
    assert again is first
    assert first.address == who.address
    assert nobody == []


async def test_viewers_are_sent_what_changed_and_nothing_else(house: House) -> None:
    one, other = await house.agent(), await house.agent()
    await house.created(one, 300)
    await house.created(other, 300)
    overview = Overview(house.services, Metrics())

    first = await overview.sight()
    told = first.serial
    everything, _ = news(first, 0)
    assert {row[0] for row in everything} == {one.address, other.address}
    await house.advance(5)
    assert news(await overview.sight(), told) == ([], [])  # only time has passed
    await house.services.system.ask(one.address, c.Deposit("pay_more", "SPpayer", SATS, "tx_more", "sBTC"))
    house.clock.ahead_ms += 2_000
    changed, gone = news(await overview.sight(), told)

    assert [row[0] for row in changed] == [one.address]
    assert gone == []


async def test_calls_a_minute_are_those_of_the_last_minute(house: House) -> None:
    metrics = Metrics()
    overview = Overview(house.services, metrics)

    async def told(later_ms: int, calls: int) -> int | None:
        house.clock.ahead_ms += later_ms
        metrics.calls_paid.inc(calls)
        found: int | None = (await overview.beside())["calls_per_minute"]
        return found

    assert await told(0, 1_000) is None
    assert await told(25_000, 25) in (59, 60)
    assert await told(25_000, 100) in (149, 150)
    assert await told(25_000, 0) in (119, 120)  # the first 25 are too long ago
    assert await told(90_000, 500) is None  # nobody looked: when these were is not known
    assert await told(10_000, 5) in (29, 30)


async def test_what_calls_earned_is_told_with_the_operators_share(house: House) -> None:
    who = await house.agent()
    await house.created(who, 300)
    await house.services.system.ask(who.address, c.Earn("ord_1", "ST_payer", 100 * SATS))

    totals = (await Overview(house.services, Metrics()).sight()).totals()

    assert (totals["earned_usat"], totals["call_fees_usat"]) == (100 * SATS, 2 * SATS)


async def test_many_viewers_cost_one_look(house: House) -> None:
    overview = Overview(house.services, Metrics())

    sights = await asyncio.gather(*(overview.sight() for _ in range(50)))

    assert len({sight.at_ms for sight in sights}) == 1


def test_a_wallet_without_a_runtime_burns_nothing() -> None:
    row = wallet_row(WalletState("ST1", plan=Plan("nano"), rate_usat_per_second=7_000, is_planned=True), None)

    assert (row.burn_usat_per_second, row.seconds_left, row.size_class) == (0, None, "nano")
