"""The oracle against the devnet's price feeds over HTTP, and its tokens against forgery."""

import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import jwt
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devnet.app import create_app
from devnet.settings import DevnetSettings
from operations.errors import SatboxError
from oracle import CoinGecko, Oracle, OracleSettings, QuoteBook, coinbase, kraken, quote_reader
from oracle.sources import SourceFailed, read_coinbase, read_kraken, usd_nano

NETWORK, PAY_TO = "stacks:2147483648", "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
READ = quote_reader(KEY.public_key(), network=NETWORK, pay_to=PAY_TO)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Bench:
    oracle: Oracle
    book: QuoteBook
    clock: Clock
    client: TestClient

    async def source(self, name: str, **behaviour: object) -> None:
        async with self.client.post(f"/devnet/prices/{name}", json=behaviour) as reply:
            assert reply.status == 200, await reply.text()


@pytest_asyncio.fixture
async def bench(tmp_path) -> AsyncIterator[Bench]:
    clock = Clock()
    async with (
        TestClient(TestServer(create_app(DevnetSettings(block_seconds=0), clock))) as client,
        aiohttp.ClientSession() as session,
    ):
        base = str(client.make_url("/prices"))
        sources = [
            coinbase(f"{base}/coinbase", session),
            kraken(f"{base}/kraken", session),
            CoinGecko(f"{base}/coingecko", session),
        ]
        book, ids = QuoteBook(tmp_path / "oracle.sqlite"), itertools.count()
        oracle = Oracle(
            sources, KEY, book, OracleSettings(NETWORK, PAY_TO),
            now_ms=lambda: int(clock.seconds * 1000), new_id=lambda: f"quote-{next(ids)}",
        )  # fmt: skip
        yield Bench(oracle, book, clock, client)
        await oracle.aclose()
        book.close()


async def test_a_quote_is_signed_kept_and_read_back(bench):
    quote = await bench.oracle.quote("STX", 500_000_000)
    assert quote.atomic_amount == 1_010_000  # 1 STX is 500 sats, and one percent more is asked
    assert quote.sources == ("coinbase", "coingecko", "kraken")
    assert READ(quote.token) == quote
    kept = await bench.book.find(quote.quote_id)
    assert kept is not None
    assert (kept.atomic_amount, kept.usat, kept.expires_at_ms) == (quote.atomic_amount, quote.usat, quote.expires_at_ms)


async def test_the_same_question_gets_the_same_quote_for_a_while(bench):
    first = await bench.oracle.quote("STX", 500_000_000)
    assert await bench.oracle.quote("STX", 500_000_000) is first
    bench.clock.seconds += 6
    assert (await bench.oracle.quote("STX", 500_000_000)).quote_id != first.quote_id


async def test_one_source_may_lie_or_go_but_not_two(bench):
    await bench.source("kraken", mode="lie", factor=3)
    assert (await bench.oracle.quote("STX", 500_000_000)).sources == ("coinbase", "coingecko")
    await bench.source("coinbase", mode="vanish")
    bench.clock.seconds += 120
    with pytest.raises(SatboxError) as caught:
        await bench.oracle.quote("STX", 500_000_000)
    assert caught.value.code == "asset_not_offered"
    assert "disagree" in caught.value.details["reason"] or "fresh" in caught.value.details["reason"]


async def test_stale_prices_give_no_quote(bench):
    for name in ("coinbase", "coingecko"):
        await bench.source(name, mode="lag", seconds=600)
    with pytest.raises(SatboxError) as caught:
        await bench.oracle.quote("STX", 500_000_000)
    assert caught.value.code == "asset_not_offered"
    assert bench.oracle.snapshot().missing["STX"] == "1 of 2 price sources for STX are fresh"


async def test_sbtc_is_never_quoted(bench):
    with pytest.raises(ValueError, match="sBTC"):
        await bench.oracle.quote("sBTC", 1_000_000)
    with pytest.raises(SatboxError):
        await bench.oracle.quote("DOGE", 1_000_000)


async def test_a_forged_or_foreign_token_is_no_quote(bench):
    token = (await bench.oracle.quote("STX", 500_000_000)).token
    head, body, _ = token.split(".")
    other = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = [
        "", "a.b.c", token[:-4] + "AAAA", ".".join((head, body, "")),
        jwt.encode(claims | {"amount": "1"}, other, algorithm="EdDSA", headers={"typ": "satbox-quote+jws"}),
        jwt.encode(claims, KEY, algorithm="EdDSA"),
        jwt.encode(claims, "secret" * 10, algorithm="HS256", headers={"typ": "satbox-quote+jws"}),
        jwt.encode(claims | {"amount": "-1"}, KEY, algorithm="EdDSA", headers={"typ": "satbox-quote+jws"}),
        jwt.encode(claims | {"until": "soon"}, KEY, algorithm="EdDSA", headers={"typ": "satbox-quote+jws"}),
        token + "A" * 3000,
    ]  # fmt: skip
    for text in forged:
        with pytest.raises(SatboxError) as caught:
            READ(text)
        assert caught.value.code == "quote_invalid"
    for reader in (
        quote_reader(KEY.public_key(), network="stacks:1", pay_to=PAY_TO),
        quote_reader(KEY.public_key(), network=NETWORK, pay_to=PAY_TO + "X"),
        quote_reader(other.public_key(), network=NETWORK, pay_to=PAY_TO),
    ):
        with pytest.raises(SatboxError):
            reader(token)


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"price": 1.5}, {"price": "1", "time": "soon"}, {"price": "-1", "time": "2026-01-01T00:00:00Z"},
     {"price": "NaN", "time": "2026-01-01T00:00:00Z"}, {"price": "1", "time": "2026-01-01T00:00:00"}],
)  # fmt: skip
def test_a_coinbase_answer_that_is_none_is_refused(body):
    with pytest.raises(SourceFailed):
        read_coinbase(body, 0)


@pytest.mark.parametrize("body", [None, {"error": ["E"]}, {"error": [], "result": {}}, {"result": {"X": {"c": []}}}])
def test_a_kraken_answer_that_is_none_is_refused(body):
    with pytest.raises(SourceFailed):
        read_kraken(body, 0)


def test_prices_keep_every_digit():
    assert usd_nano("0.512345678") == 512_345_678
    assert usd_nano(json.loads("0.1", parse_float=__import__("decimal").Decimal)) == 100_000_000
