"""A home with a history: wallets that paid, ran, were paused, reaped, failed to pay and were given to."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gate.charging.till import Till
from gate.parts.orders import Held
from satbox.audit.files import snapshot
from satbox.audit.wallet_books import pages
from tests.gate.gatehouse import OPERATOR_TOKEN, House, Who, gatehouse

OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


@dataclass
class Home:
    """What a finished service left."""

    folder: Path
    wallets: list[str]

    def copy(self, target: Path) -> Path:
        """Another one like it, to be spoilt."""
        shutil.copytree(self.folder, target)
        return target


async def used(house: House, who: Who, *, times: int = 3) -> None:
    """Some uptime at two rates."""
    for _ in range(times):
        await house.advance(7.3)
        await house.ask("POST", "/sandbox/pause", who=who)
        await house.until(lambda: house.state(who).runtime.is_paused)
        await house.advance(3.1)
        await house.ask("POST", "/sandbox/resume", who=who)
        await house.until(lambda: not house.state(who).runtime.is_paused)


async def called(house: House, payer: Who, *payees: Who) -> None:
    """Calls that went alone, in a bundle, to somebody else; and one that its gate died over before it was posted."""
    orders = house.services.order_logs.free_slot()
    till = Till(house.services.system, house.clock, orders)
    until_ms = house.clock.wall_ms() + 60_000
    held = [
        Held(f"ord_{n}", payer.address, payee.address, 1_000_000, until_ms)
        for n, payee in enumerate([payees[0]] * 4 + [payees[-1]])
    ]
    for one in held:
        await till.hold(one)
    await till.pay(held[0])
    await house.until(lambda: house.state(payer).accounts.in_transit)
    await asyncio.gather(*(till.pay(one) for one in held[1:]))
    await till.drain()
    last = Held("ord_9", payer.address, payees[0].address, 1_000_000, house.clock.wall_ms() + 60_000)
    await till.hold(last)
    await orders.write(last, lambda _: None)
    await house.until(lambda: house.state(payer).accounts.spent == 5_000_000)
    await orders.close()


async def history(house: House) -> list[Who]:
    """Three wallets: one in use, one that ran dry and was reaped, one whose second payment never confirmed. The first one calls
    the other two.
    """
    first, second, third = [await house.agent() for _ in range(3)]
    for who in (first, second, third):
        await house.created(who, 500 if who is first else 20)
        await used(house, who)
    gift = await house.pay("/sandbox/extend", second, house.sbtc(second, 40), {"sats": 40, "address": first.address})
    assert (await house.settled(gift.body["paymentId"])).state == "confirmed"
    assert (await house.ask("POST", "/operator/checkpoint", headers=OPERATOR)).body["made"]
    await house.ask("POST", "/sandbox/reap", who=second)
    await house.until(lambda: house.state(second).phase.value == "reaped")
    await house.pay("/sandbox/extend", third, house.sbtc(third, 30), {"sats": 30})
    await house.until(lambda: house.state(first).accounts.deposits == -540_000_000)
    await called(house, first, second, third)
    assert (await house.ask("POST", "/operator/checkpoint", headers=OPERATOR)).body["made"]
    return [first, second, third]


def node_table(folder: Path) -> None:
    """The simulated node's runtimes as the real node keeps them."""
    (folder / "node").mkdir(exist_ok=True)
    db = sqlite3.connect(folder / "node" / "slots.sqlite")
    db.execute(
        """CREATE TABLE runtimes (runtime_id TEXT PRIMARY KEY, address TEXT NOT NULL, boot_id TEXT NOT NULL,
           healthy_at_ms INTEGER, ended_at_ms INTEGER) STRICT"""
    )
    for path in (folder / "wallets").glob("*/*.sqlite"):
        with snapshot(path) as wallet:
            spans = list(pages.every_span_after(wallet))
        for runtime_id in dict.fromkeys(span.runtime_id for span in spans):
            mine = [span for span in spans if span.runtime_id == runtime_id]
            row = (runtime_id, path.stem, mine[0].boot_id, mine[0].from_ms, mine[-1].to_ms)
            db.execute("INSERT INTO runtimes VALUES (?, ?, ?, ?, ?)", row)
    db.commit()
    db.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "service").mkdir()
    async with gatehouse(tmp_path / "service") as built:
        yield built


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")

    async def live() -> list[str]:
        async with gatehouse(folder) as house:
            wallets = [who.address for who in await history(house)]
            (folder / "operator.key").write_text(house.services.receipts.public_key)
        node_table(folder)
        return wallets

    return Home(folder, asyncio.run(live()))
