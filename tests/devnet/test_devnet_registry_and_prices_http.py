import pytest
from devnet_twin import ALICE, BOB, Twin

from devnet.bech32 import to_mainnet
from stacks.network import Network

BTC = "bc1qzhp3hrquz8z3tcjykavqdwky35fen3m4pf3zxk"
BTC_TESTNET = "tb1qzhp3hrquz8z3tcjykavqdwky35fen3m4t023a9"
TAPROOT = "bc1peu5hfyr64leyde2aqjvq73zq9gzyfxdmdnwfn743xw8dkc5hhr3sq8csud"
PYTH_STX = "ec7a775f46379b5e943c3526b1c8d54cd49749176b0b98e02dde68d1bd335c17"


async def register(twin: Twin, level: int = 2, status: int = 201, btc: str = BTC) -> dict:
    body = {"btcAddress": btc, "stxAddress": str(ALICE.address), "displayName": "Swift Raven", "level": level}
    return await twin.post("/devnet/agents", body, status)


def test_bitcoin_addresses_change_network() -> None:
    assert to_mainnet(BTC_TESTNET) == to_mainnet(BTC) == BTC
    assert to_mainnet(TAPROOT) == TAPROOT
    for text in (BTC[:-1] + "q", "bc1", "", "x" * 200, "lnbc1" + BTC[4:]):
        with pytest.raises(ValueError, match=r"bech32|Bitcoin"):
            to_mainnet(text)


@pytest.mark.parametrize("btc", [BTC, BTC_TESTNET])
async def test_a_registered_pair_is_found_in_every_form(twin: Twin, btc: str) -> None:
    await register(twin, btc=btc)
    mainnet = str(ALICE.address.to_network(Network.MAINNET))
    for text, kind in ((mainnet, "stx"), (str(ALICE.address), "stx"), (BTC, "bc1q"), (BTC_TESTNET, "bc1q")):
        found = await twin.get(f"/aibtc/api/verify/{text}")
        assert (found["registered"], found["address"], found["addressType"]) == (True, text, kind)
        assert (found["agent"]["stxAddress"], found["agent"]["btcAddress"]) == (mainnet, BTC)
        assert (found["level"], found["levelName"], found["nextLevel"]) == (2, "Genesis", None)


async def test_level_1_names_the_next_level(twin: Twin) -> None:
    await register(twin, 1)
    found = await twin.get(f"/aibtc/api/verify/{BTC}")

    assert (found["level"], found["levelName"]) == (1, "Verified Agent")
    assert found["nextLevel"]["level"] == 2
    await register(twin, 2)
    assert (await twin.get(f"/aibtc/api/verify/{BTC}"))["level"] == 2


async def test_unknown_and_unreadable_addresses(twin: Twin) -> None:
    missing = await twin.get(f"/aibtc/api/verify/{BOB.address}", 404)
    assert (missing["registered"], missing["addressType"]) == (False, "stx")
    assert (await twin.get("/aibtc/api/verify/nobody", 400))["registered"] is False
    assert (await twin.get(f"/aibtc/api/agents/{BOB.address}", 404))["found"] is False
    assert (await twin.get("/aibtc/api/resolve/Lost%20Agent", 404))["identifierType"] == "display-name"


async def test_an_address_belongs_to_one_pair(twin: Twin) -> None:
    await register(twin)
    stolen = {"btcAddress": BTC, "stxAddress": str(BOB.address)}
    assert "another pair" in (await twin.post("/devnet/agents", stolen, 400))["error"]
    await register(twin, status=400, btc=TAPROOT)
    for body in ({}, {"btcAddress": BTC, "stxAddress": "x"}, {"btcAddress": "1x", "stxAddress": str(BOB.address)}):
        await twin.post("/devnet/agents", body, 400)
    await twin.post("/devnet/agents", {**stolen, "level": 3}, 400)


async def test_agents_resolve_and_lists(twin: Twin) -> None:
    await register(twin)
    agent = await twin.get(f"/aibtc/api/agents/{BTC}")
    resolved = await twin.get("/aibtc/api/resolve/swift%20raven")
    listed = await twin.get("/aibtc/api/agents?limit=1")

    assert (agent["found"], agent["addressType"], agent["trust"]["level"]) == (True, "btc", 2)
    assert resolved["identity"]["btcAddress"] == BTC
    assert (resolved["identifierType"], resolved["trust"]["levelName"]) == ("display-name", "Genesis")
    assert listed["pagination"] == {"total": 1, "limit": 1, "offset": 0, "hasMore": False}
    assert [one["name"] for one in (await twin.get("/aibtc/api/levels"))["levels"]][2] == "Genesis"
    name = await twin.get(f"/aibtc/api/get-name?address={BTC}")
    assert name["name"] == " ".join(name["parts"])


FEEDS = {
    "coinbase": ("/products/STX-USD/ticker", lambda body: body["price"]),
    "coinbase_retail": ("/v2/prices/STX-USD/spot", lambda body: body["data"]["amount"]),
    "aibtc": ("/api/prices?token=stx", lambda body: body["prices"]["stx"]["priceUsd"]),
    "kraken": ("/0/public/Ticker?pair=STXUSD", lambda body: next(iter(body["result"].values()))["c"][0]),
    "coingecko": ("/api/v3/simple/price?ids=blockstack,bitcoin&vs_currencies=usd", lambda b: b["blockstack"]["usd"]),
    "binance": ("/api/v3/ticker/price?symbol=STXUSDT", lambda body: body["price"]),
    "pyth": (
        f"/v2/updates/price/latest?ids[]={PYTH_STX}&parsed=true",
        lambda b: int(b["parsed"][0]["price"]["price"]) * 10.0 ** b["parsed"][0]["price"]["expo"],
    ),
    "okx": ("/api/v5/market/ticker?instId=STX-USDT", lambda body: body["data"][0]["last"]),
    "bybit": ("/v5/market/tickers?category=spot&symbol=STXUSDT", lambda body: body["result"]["list"][0]["lastPrice"]),
    "gate": ("/api/v4/spot/tickers?currency_pair=STX_USDT", lambda body: body[0]["last"]),
    "tenero": ("/v1/stacks/tokens/stx", lambda body: body["data"]["price_usd"]),
}


@pytest.mark.parametrize("source", FEEDS)
async def test_a_source_tells_the_price_and_misbehaves_on_request(twin: Twin, source: str) -> None:
    path, read = FEEDS[source]

    async def seen() -> float:
        return float(read(await twin.get(f"/prices/{source}{path}")))

    await twin.post("/devnet/prices", {"STX": "0.75", "BTC": 120_000})
    assert await seen() == pytest.approx(0.75)
    await twin.post(f"/devnet/prices/{source}", {"mode": "lie", "factor": "1.5"})
    assert await seen() == pytest.approx(1.125)
    await twin.post(f"/devnet/prices/{source}", {"mode": "freeze"})
    await twin.post("/devnet/prices", {"STX": "0.80"})
    assert await seen() == pytest.approx(0.75)
    await twin.post(f"/devnet/prices/{source}", {"mode": "vanish"})
    await twin.get(f"/prices/{source}{path}", 503)
    await twin.post(f"/devnet/prices/{source}", {"mode": "hang"})
    await twin.get(f"/prices/{source}{path}", 503)
    assert twin.clock.slept == [60]
    await twin.post(f"/devnet/prices/{source}", {"mode": "jump", "factor": 2})
    assert sorted([await seen(), await seen()]) == pytest.approx([0.80, 1.60])
    await twin.post(f"/devnet/prices/{source}", {"mode": "garble", "body": "text"})
    async with twin.client.get(f"/prices/{source}{path}") as reply:
        assert (reply.status, (await reply.text())[:6]) == (200, "<html>")
    await twin.post(f"/devnet/prices/{source}", {"mode": "ok"})
    assert await seen() == pytest.approx(0.80)


async def test_a_pair_against_bitcoin_and_lies_about_one_leg(twin: Twin) -> None:
    direct = "/prices/binance/api/v3/ticker/price?symbol=STXBTC"
    assert (await twin.get(direct))["price"] == "0.00000500"
    await twin.post("/devnet/prices/binance", {"mode": "lie", "factor": 2})
    assert (await twin.get(direct))["price"] == "0.00001000"
    assert (await twin.get("/prices/binance/api/v3/ticker/price?symbol=BTCUSDT"))["price"] == "100000"
    await twin.post("/devnet/prices/binance", {"mode": "lie", "factor": 2, "symbols": ["BTC"]})
    assert (await twin.get(direct))["price"] == "0.00000250"
    assert (await twin.get("/prices/kraken/0/public/Ticker?pair=XBTUSD"))["result"]["XXBTZUSD"]["c"][0] == "100000"


async def test_lagging_sources_tell_an_old_time(twin: Twin) -> None:
    path = f"/prices/pyth/v2/updates/price/latest?ids[]={PYTH_STX}"
    fresh = (await twin.get(path))["parsed"][0]["price"]["publish_time"]
    await twin.post("/devnet/prices/pyth", {"mode": "lag", "seconds": 300})

    assert (await twin.get(path))["parsed"][0]["price"]["publish_time"] == fresh - 300


async def test_prices_that_cannot_be(twin: Twin) -> None:
    for body in ({"STX": 0}, {"STX": "x"}, {"STX": True}, {"BTC": -1}, {"BTC": "1e99"}, {"STX": "NaN"}):
        await twin.post("/devnet/prices", body, 400)
    await twin.post("/devnet/prices/pyth", {"mode": "sing"}, 400)
    await twin.post("/devnet/prices/pyth", {"mode": "lie", "symbols": ["DOGE"]}, 400)
    await twin.post("/devnet/prices/pyth", {"mode": "garble", "body": "odd"}, 400)
    await twin.post("/devnet/prices/moon", {"mode": "ok"}, 400)
    await twin.get("/prices/coinbase/products/DOGE-USD/ticker", 404)
    await twin.get("/prices/tenero/v1/stacks/tokens/SP1.dog", 404)
    async with twin.client.get("/prices/pyth/v2/updates/price/latest?ids[]=00") as reply:
        assert reply.status == 404
