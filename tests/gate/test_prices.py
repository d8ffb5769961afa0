"""Prices at the gate: STX goes when its price cannot be believed, the 402 says why, and it comes back. sBTC never goes."""

import asyncio
import base64
import time

from oracle.follower import EVERY_SECONDS
from oracle.sources import NAMES
from tests.gate.gatehouse import NETWORK, PAY_TO, House

QUOTE_FIELDS = {
    "quote_id", "amount", "asset", "sats", "rate", "sources", "confidence", "issued_at", "expires_at", "signature",
}  # fmt: skip
PAST_EVERY_STALENESS_MS = 430_000


async def offered(house: House) -> list[str]:
    answer = await house.ask("POST", "/sandbox/create", who=await house.agent(), json={})
    assert answer.status == 402, answer.raw
    return [entry["asset"].rpartition(".")[2] for entry in answer.body["accepts"]]


async def test_without_prices_sbtc_is_still_offered(house: House) -> None:
    """Feeds vanish, STX is withdrawn with a code and words; feeds come back, STX is offered again."""
    assert await offered(house) == ["sbtc-token", "STX"]
    for source in NAMES:
        await house.source(source, mode="vanish")
    house.clock.ahead_ms += PAST_EVERY_STALENESS_MS
    await house.refresh_prices()

    answer = await house.ask("POST", "/sandbox/create", who=await house.agent(), json={})
    assert [entry["asset"].rpartition(".")[2] for entry in answer.body["accepts"]] == ["sbtc-token"]
    words = "0 of 3 independent price sources are fresh"
    assert answer.body["error"].endswith(f"Not offered now: STX: {words} (no_quorum)")
    assert answer.body["extensions"]["offers-withheld"] == {"info": {"STX": {"code": "no_quorum", "message": words}}}
    only = await house.ask("POST", "/sandbox/create?tokenType=STX", who=await house.agent(), json={})
    assert (only.status, only.code) == (422, "asset_not_offered")
    assert only.body["error"]["details"]["reason"] == "no_quorum"

    for source in NAMES:
        await house.source(source, mode="ok")
    await house.refresh_prices()
    assert await offered(house) == ["sbtc-token", "STX"]
    again = await house.ask("POST", "/sandbox/create", who=await house.agent(), json={})
    assert "offers-withheld" not in again.body["extensions"]


async def test_a_silent_oracle_delays_nobody(house: House) -> None:
    house.is_oracle_silent = True
    assert await offered(house) == ["sbtc-token", "STX"], "the last snapshot still serves"
    house.clock.ahead_ms += 21_000

    began = time.monotonic()
    assert await offered(house) == ["sbtc-token"]
    prices = (await house.ask("GET", "/oracle/prices")).body
    assert time.monotonic() - began < 1.0
    assert prices["at"] is None
    assert {item["asset"]: item["code"] for item in prices["items"]} == {
        "sBTC": None, "STX": "oracle_silent", "USDCx": "oracle_silent",
    }  # fmt: skip
    assert (await house.ask("GET", "/oracle/sources")).body == {"at": None, "items": []}
    health = (await house.ask("GET", "/health")).body
    assert "oracle_silent" in health["parts"]["oracle"]


async def test_a_quote_given_is_honoured_after_the_price_is_gone(house: House) -> None:
    who = await house.agent()
    entry = (await house.offers("/sandbox/create", who, {"sats": 300}))["STX"]
    for source in NAMES:
        await house.source(source, mode="vanish")
    house.is_oracle_silent = True
    house.clock.ahead_ms += 100_000
    assert await offered(house) == ["sbtc-token"]
    tx = house.stx(who, int(entry["amount"]))
    answer = await house.pay("/sandbox/create", who, tx, {"sats": 300}, accepted=entry)
    assert answer.status == 201, answer.raw
    assert (await house.settled(answer.body["paymentId"])).credited_usat == 300_000_000


async def test_a_quote_is_what_it_says_and_anybody_can_check_it(house: House) -> None:
    from oracle import is_signed_by

    answer = await house.ask("GET", "/sandbox/quote?sats=500")
    offer = {offer["asset"]: offer for offer in answer.body["offers"]}["STX"]
    quote = offer["quote"]
    assert set(quote) == QUOTE_FIELDS
    assert (quote["amount"], quote["asset"], quote["sats"]) == (offer["amount"], "STX", 500)
    assert quote["rate"] == {"sats_per_coin": "500.000000", "haircut_ppm": 10_000}
    assert quote["amount"] == "1010000"
    key, here = house.services.operator_key.public_key(), {"network": NETWORK.caip2, "pay_to": str(PAY_TO)}
    assert is_signed_by(key, quote, **here)
    assert not is_signed_by(key, quote | {"sats": 501}, **here)
    assert not is_signed_by(key, quote, network="stacks:1", pay_to=str(PAY_TO))


async def test_what_a_402_quotes_reads_back(house: House) -> None:
    entry = (await house.offers("/sandbox/create", await house.agent(), {"sats": 300}))["STX"]
    quote = house.services.read_quote(entry["extra"]["quote"])
    assert set(quote.document) == QUOTE_FIELDS
    assert (str(quote.atomic_amount), quote.sats) == (entry["amount"], 300)
    assert len(base64.urlsafe_b64decode(entry["extra"]["quote"] + "==")) < 1_500, "it travels in a header"


async def test_prices_and_sources_are_told(house: House) -> None:
    await house.source("kraken", mode="lie", factor=3)
    await house.source("okx", mode="vanish")
    await house.refresh_prices()
    prices = {item["asset"]: item for item in (await house.ask("GET", "/oracle/prices")).body["items"]}
    assert prices["sBTC"]["sats_per_coin"] == "100000000.000000"
    assert (prices["STX"]["is_offered"], prices["STX"]["sats_per_coin"]) == (True, "500.000000")
    assert prices["STX"]["rejected"] == ["kraken"]
    assert prices["USDCx"]["sats_per_coin"] == "1000.000000"

    sources = {item["name"]: item for item in (await house.ask("GET", "/oracle/sources")).body["items"]}
    assert set(sources) == set(NAMES)
    assert sources["kraken"]["standings"]["STX"]["state"] == "rejected"
    assert sources["coinbase"]["standings"]["STX"]["state"] == "used"
    assert sources["coinbase"]["standings"]["USDCx"]["state"] == "silent", "it has no such pair"
    assert sources["okx"]["error"] == "HTTP 503"
    assert sources["okx"]["failures_in_a_row"] >= 1
    assert sources["coinbase"]["last_ok_at"] is not None
    weights = [item["standings"]["STX"]["weight_ppm"] for item in sources.values()]
    assert 999_980 <= sum(weights) <= 1_000_000
    twice = sources["coinbase"]["standings"]["STX"], sources["kraken"]["standings"]["STX"]
    assert twice[0]["weight_ppm"] * 2 == twice[1]["weight_ppm"], "two faces of one venue share its weight"


async def test_a_crowd_of_quotes_makes_no_call_per_request(house: House) -> None:
    asked = 0
    heard = house.follower._fetch

    async def counted() -> object:
        nonlocal asked
        asked += 1
        return await heard()

    house.follower._fetch = counted  # type: ignore[assignment]
    house.is_oracle_silent = True
    clock = asyncio.get_running_loop().time
    began = clock()
    answers = await asyncio.gather(*(house.ask("GET", f"/sandbox/quote?sats={n}") for n in range(100, 160)))
    assert {answer.body["offers"][0]["asset"] for answer in answers} == {"sBTC"}, (
        "others only while their prices are fresh"
    )
    assert asked <= 1 + (clock() - began) / EVERY_SECONDS, "as often as ever"
