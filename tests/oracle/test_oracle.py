"""The oracle: staleness, freezing, quorum lost and found, the peg; and all adapters against the devnet's feeds over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fractions import Fraction

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from devnet.app import create_app
from devnet.settings import DevnetSettings
from oracle import Oracle, OracleSettings, devnet_bases, http_sources
from oracle.sources import NAMES
from tests.oracle.market import BTC, USAT, Market, Memory


async def test_stale_prices_give_no_rate() -> None:
    market = Market()
    await market.round()
    assert market.rate() == 500 * USAT
    market.ms += 61_000
    assert (market.rate(), market.why()) == (None, "no_quorum")
    for source in market.sources:
        source.lag_ms = 60_001
    await market.round()
    assert market.why() == "no_quorum"
    standing = market.oracle.snapshot().sources[0].standings["STX"]
    assert (standing.state, standing.weight_ppm) == ("stale", 0)


async def test_two_stale_sources_are_left_out_and_three_carry_on() -> None:
    market = Market()
    market.sources[0].lag_ms = market.sources[1].lag_ms = 60_001
    await market.round()
    snapshot = market.oracle.snapshot()
    assert snapshot.rates["STX"].used == ("s2", "s3", "s4")


async def test_quorum_is_lost_and_found_again() -> None:
    market = Market()
    await market.round()
    for source in market.sources[:3]:
        source.prices = None
    await market.round(61)
    assert market.why() == "no_quorum"
    assert market.oracle.snapshot().withheld["STX"].message == "2 of 3 independent price sources are fresh"
    health = market.oracle.snapshot().sources[0]
    assert (health.error, health.failures_in_a_row) == ("silent", 1)
    market.tell()
    await market.round()
    assert market.rate() == 500 * USAT
    assert market.oracle.snapshot().sources[0].failures_in_a_row == 0


async def test_a_frozen_source_is_found_out_when_the_others_move() -> None:
    market = Market()
    frozen = market.sources[0].prices
    for minute in range(12):
        market.tell(stx=Fraction(500 + minute // 6 * 2, 1000))  # 0.4 % up after six minutes
        market.sources[0].prices = frozen
        await market.round(60)
        if minute == 7:
            assert market.oracle.snapshot().sources[0].standings["STX"].state == "used", "0.4 % is no outlier"
    snapshot = market.oracle.snapshot()
    assert snapshot.sources[0].standings["STX"].state == "frozen"
    assert snapshot.rates["STX"].used == ("s1", "s2", "s3", "s4")
    market.tell(stx=Fraction(502, 1000))
    await market.round()
    assert market.oracle.snapshot().sources[0].standings["STX"].state == "used"


async def test_liars_cannot_make_the_honest_look_frozen() -> None:
    """Two of five move, the honest stand: nobody honest is left out."""
    market = Market()
    for minute in range(15):
        market.tell()
        for liar in market.sources[:2]:
            liar.prices = {pair: value * (1000 + minute) / 1000 for pair, value in (liar.prices or {}).items()}
        await market.round(60)
    states = {source.name: source.standings["STX"].state for source in market.oracle.snapshot().sources}
    assert {states[name] for name in ("s2", "s3", "s4")} == {"used"}
    assert market.rate() == 500 * USAT


async def test_a_market_that_stands_still_is_not_frozen() -> None:
    market = Market()
    for _ in range(30):
        await market.round(60)
    assert market.rate() == 500 * USAT


async def test_a_few_frozen_on_one_leg_do_not_hide_behind_the_other() -> None:
    market = Market()
    for minute in range(13):
        market.tell(stx=Fraction(1, 2), btc=BTC * (1000 + minute) / 1000)
        market.sources[4].prices = market.sources[4].prices and {**market.sources[4].prices}
        for pair in market.sources[4].prices or {}:
            if pair.value == "BTC/USD":
                market.sources[4].prices[pair] = BTC  # type: ignore[index]
        await market.round(60)
    assert market.oracle.snapshot().sources[4].standings["STX"].state == "frozen"


@pytest.mark.parametrize("usdc", [Fraction(984, 1000), Fraction(1016, 1000), Fraction(87, 100)])
async def test_usdcx_is_withheld_while_usdc_is_off_its_peg(usdc: Fraction) -> None:
    market = Market()
    await market.round()
    market.tell(usdc=usdc)
    await market.round()
    assert (market.rate("USDCx"), market.why("USDCx")) == (None, "depegged")
    assert f"{float(usdc):.4f} dollars" in market.oracle.snapshot().withheld["USDCx"].message
    assert market.rate("STX") == 500 * USAT
    market.tell(usdc=Fraction(990, 1000))
    await market.round()
    assert market.rate("USDCx") == 990 * USAT, "what it is worth, not a dollar"


async def test_without_anybody_who_counts_dollars_a_peg_is_not_believed() -> None:
    from dataclasses import replace

    market = Market()
    for source in market.sources[1:]:
        source.kind = replace(source.kind, counts_dollars=False)
    await market.round()
    assert market.why("USDCx") == "no_quorum"
    assert market.rate("STX") == 500 * USAT


async def test_each_source_is_asked_by_its_own_heartbeat() -> None:
    market = Market()
    await market.oracle.refresh()
    for _ in range(9):
        market.ms += 1_000
        await market.oracle.refresh()
    assert {source.asked for source in market.sources} == {1}
    market.ms += 1_000
    await asyncio.gather(*(market.oracle.refresh() for _ in range(5)))
    assert {source.asked for source in market.sources} == {2}, "callers at once share a round"
    market.ms -= 3_600_000
    await market.oracle.refresh()
    assert {source.asked for source in market.sources} == {3}, "a clock that was set back stops nobody"


async def test_a_clock_set_back_leaves_words_of_the_future_out() -> None:
    market = Market()
    await market.round()
    market.ms -= 3_600_000
    assert market.why() == "no_quorum"
    await market.oracle.refresh()
    assert market.rate() == 500 * USAT


# Against the devnet


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@dataclass
class Bench:
    oracle: Oracle
    clock: Clock
    client: TestClient

    async def source(self, name: str, **behaviour: object) -> None:
        async with self.client.post(f"/devnet/prices/{name}", json=behaviour) as reply:
            assert reply.status == 200, await reply.text()

    async def prices(self, **usd: object) -> None:
        async with self.client.post("/devnet/prices", json=usd) as reply:
            assert reply.status == 200, await reply.text()

    async def round(self, seconds: float = 10) -> None:
        self.clock.seconds += seconds
        await self.oracle.refresh(everything=True)

    def states(self, asset: str = "STX") -> dict[str, str]:
        return {source.name: source.standings[asset].state for source in self.oracle.snapshot().sources}


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = Clock()
    async with (
        TestClient(TestServer(create_app(DevnetSettings(block_seconds=0), clock))) as client,
        aiohttp.ClientSession() as session,
    ):
        bases = devnet_bases(str(client.make_url("/prices")))
        oracle = Oracle(
            http_sources(bases, session), Memory(), OracleSettings(), now_ms=lambda: int(clock.seconds * 1000)
        )
        made = Bench(oracle, clock, client)
        await made.round()
        yield made
        await oracle.aclose()


async def test_every_adapter_reads_the_devnets_feeds(bench: Bench) -> None:
    assert bench.states() == dict.fromkeys(NAMES, "used")
    assert set(bench.states("USDCx").values()) == {"used", "silent"}
    snapshot = bench.oracle.snapshot()
    assert [source.name for source in snapshot.sources if source.error] == []
    assert snapshot.rates["STX"].usat_per_coin == 500 * USAT
    assert snapshot.rates["USDCx"].usat_per_coin == 1_000 * USAT


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        ({"mode": "lie", "factor": 2}, "rejected"),
        ({"mode": "lie", "factor": "0.97"}, "rejected"),
        ({"mode": "lie", "factor": 1.2, "symbols": ["BTC"]}, "rejected"),
        ({"mode": "vanish"}, "stale"),
        ({"mode": "hang"}, "stale"),
        ({"mode": "garble", "body": "huge"}, "stale"),
        ({"mode": "garble", "body": "nested"}, "stale"),
        ({"mode": "garble", "body": "nan"}, "stale"),
    ],
    ids=["lie", "lie a little", "lie about BTC", "vanish", "hang", "huge", "nested", "nan"],
)
async def test_any_one_source_may_misbehave(bench: Bench, name: str, behaviour: dict[str, object], state: str) -> None:
    await bench.source(name, **behaviour)
    if state == "rejected" and name in ("binance", "coingecko"):
        state = "rejected"  # they lie about STX/BTC alike
    await bench.round(450 if state == "stale" else 10)
    assert bench.states()[name] == state
    rate = bench.oracle.snapshot().rates["STX"]
    assert rate.usat_per_coin == 500 * USAT
    assert name not in rate.used
    await bench.source(name, mode="ok")
    await bench.round()
    assert bench.states()[name] == "used"


@pytest.mark.parametrize("name", ["coinbase", "pyth", "okx", "bybit", "coingecko", "aibtc"])
async def test_a_source_that_tells_its_time_is_stale_when_it_lags(bench: Bench, name: str) -> None:
    await bench.source(name, mode="lag", seconds=500)
    await bench.round()
    assert bench.states()[name] == "stale"


async def test_a_source_that_jumps_is_in_and_out(bench: Bench) -> None:
    await bench.source("bybit", mode="jump", factor=2)
    seen = set()
    for _ in range(6):
        await bench.round()
        seen.add(bench.states()["bybit"])
        assert bench.oracle.snapshot().rates["STX"].usat_per_coin == 500 * USAT
    assert "rejected" in seen


async def test_feeds_that_freeze_are_found_out(bench: Bench) -> None:
    for name in ("kraken", "gate"):
        await bench.source(name, mode="freeze")
    for step in range(1, 5):
        await bench.prices(STX=str(Fraction(500 + step, 1000).__float__()))
        await bench.round(250)
    assert {name for name, state in bench.states().items() if state == "frozen"} == {"kraken", "gate"}
    assert bench.oracle.snapshot().rates["STX"].usat_per_coin == 504 * USAT


async def test_all_feeds_vanish_and_come_back(bench: Bench) -> None:
    for name in NAMES:
        await bench.source(name, mode="vanish")
    await bench.round(450)
    assert {reason.code for reason in bench.oracle.snapshot().withheld.values()} == {"no_quorum"}
    for name in NAMES:
        await bench.source(name, mode="ok")
    await bench.round()
    assert set(bench.oracle.snapshot().rates) == {"STX", "USDCx"}


async def test_a_market_that_jumps_is_withheld(bench: Bench) -> None:
    await bench.prices(STX="0.8")
    await bench.round()
    assert bench.oracle.snapshot().withheld["STX"].code == "price_jump"
    assert "USDCx" in bench.oracle.snapshot().rates
