"""Quotes: signed, on disk before they are told, honoured whatever restarts, and none when there should be none."""

import asyncio
import base64
import itertools
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from operations.errors import SatboxError
from oracle import (
    REASONS,
    Anchor,
    AnchorBook,
    AssetWithheld,
    DeskSettings,
    Quote,
    QuoteBook,
    QuoteDesk,
    Snapshot,
    SnapshotFollower,
    is_signed_by,
    quote_reader,
    sign_quote,
)
from oracle import book as book_module
from oracle.book import DAY_MS, KEPT_DAYS
from tests.oracle.market import Market

NETWORK, PAY_TO = "stacks:2147483648", "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM"
HERE = {"network": NETWORK, "pay_to": PAY_TO}
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
READ = quote_reader(KEY.public_key(), **HERE)
FIELDS = {
    "quote_id", "amount", "asset", "sats", "rate", "sources", "confidence", "issued_at", "expires_at", "signature",
}  # fmt: skip


@dataclass
class Shop:
    """A desk over a market, and the file behind it."""

    path: Path
    market: Market
    book: QuoteBook
    desk: QuoteDesk
    is_silent: bool = False

    def latest(self) -> Snapshot | None:
        return None if self.is_silent else self.market.oracle.snapshot()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    market, ids = Market(), itertools.count()
    path = tmp_path / "oracle.sqlite"
    book = QuoteBook(path, now_ms=lambda: market.ms)
    made = Shop(path, market, book, None)  # type: ignore[arg-type]
    made.desk = QuoteDesk(
        lambda: made.latest(), KEY, book, DeskSettings(**HERE, keep_seconds_max=60), now_ms=lambda: market.ms,
        new_id=lambda: f"quo_{next(ids)}",
    )  # fmt: skip
    asyncio.run(market.round())
    yield made
    book.close()


async def test_a_quote_is_signed_kept_and_read_back(shop: Shop) -> None:
    quote = await shop.desk.quote("STX", 500)
    assert quote.atomic_amount == 1_010_000  # 1 STX is 500 sats, and one percent more is asked
    assert set(quote.document) == FIELDS
    assert quote.document["rate"] == {"sats_per_coin": "500.000000", "haircut_ppm": 10_000}
    assert quote.document["sources"] == ["s0", "s1", "s2", "s3", "s4"]
    assert quote.expires_at_ms - quote.issued_at_ms == 300_000
    assert READ(quote.token) == quote
    with sqlite3.connect(shop.path) as other:  # another connection sees it at once
        assert other.execute("SELECT count(*) FROM signed_quotes").fetchone() == (1,)
    assert await shop.book.find(quote.quote_id) == quote
    assert await shop.book.find("quo_none") is None


async def test_usdcx_is_quoted_at_what_it_is_worth(shop: Shop) -> None:
    assert (await shop.desk.quote("USDCx", 1_000)).atomic_amount == 1_010_000


async def test_the_same_question_gets_the_same_quote_for_a_while(shop: Shop) -> None:
    first = await shop.desk.quote("STX", 500)
    assert await shop.desk.quote("STX", 500) is first
    assert (await shop.desk.quote("STX", 501)).quote_id != first.quote_id
    shop.market.ms += 5_001
    assert (await shop.desk.quote("STX", 500)).quote_id != first.quote_id


async def test_the_same_question_gets_nothing_once_the_price_is_gone(shop: Shop) -> None:
    await shop.desk.quote("STX", 500)
    shop.is_silent = True
    with pytest.raises(AssetWithheld) as caught:
        await shop.desk.quote("STX", 500)
    assert caught.value.reason.code == "oracle_silent"
    assert caught.value.details["reason"] == "oracle_silent"


async def test_sbtc_is_never_quoted(shop: Shop) -> None:
    with pytest.raises(ValueError, match="sBTC"):
        await shop.desk.quote("sBTC", 1)
    for asset, sats in (("DOGE", 1), ("STX", 0), ("STX", 10**12)):
        with pytest.raises(SatboxError) as caught:
            await shop.desk.quote(asset, sats)
        assert caught.value.code == "asset_not_offered"


async def test_a_quote_that_cannot_be_written_down_is_not_told(shop: Shop) -> None:
    with sqlite3.connect(shop.path) as other:
        other.execute("DROP TABLE signed_quotes")
    with pytest.raises(AssetWithheld) as caught:
        await shop.desk.quote("STX", 500)
    assert caught.value.reason.code == "audit_unavailable"
    assert caught.value.reason.code in REASONS


async def test_a_file_that_is_locked_delays_by_its_bound_only(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.desk._settings = replace(shop.desk._settings, keep_seconds_max=0.05)
    with sqlite3.connect(shop.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AssetWithheld) as caught:
            await shop.desk.quote("STX", 500)
        other.execute("ROLLBACK")
    assert caught.value.reason.code == "audit_unavailable"


async def test_a_crowd_of_quotes_is_written_together(shop: Shop) -> None:
    writes = 0
    write = shop.book._write

    def counted(batch: list[Quote]) -> None:
        nonlocal writes
        writes += 1
        write(batch)

    shop.book._write = counted  # type: ignore[method-assign]
    let_go = threading.Event()
    shop.book._thread.submit(let_go.wait, 10)  # a slow disk
    crowd = [asyncio.create_task(shop.desk.quote("STX", sats)) for sats in range(1, 201)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in crowd), "nothing is told before it is on disk"
    let_go.set()
    quotes = await asyncio.gather(*crowd)
    assert {(await shop.book.find(quote.quote_id)) for quote in quotes} == set(quotes)
    assert writes == 1


async def test_quotes_are_pruned_by_age_and_by_number_only(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "PRUNE_EVERY", 1)
    old = await shop.desk.quote("STX", 1)
    shop.market.ms += KEPT_DAYS * DAY_MS
    await shop.market.round()
    assert await shop.book.find(old.quote_id) == old
    for source in shop.market.sources:
        assert source.prices is not None
    newer = await shop.desk.quote("STX", 2)
    assert await shop.book.find(old.quote_id) is None
    assert await shop.book.find(newer.quote_id) == newer
    monkeypatch.setattr(book_module, "QUOTES_MAX", 2)
    last = [await shop.desk.quote("STX", sats) for sats in (3, 4, 5)]
    assert [await shop.book.find(quote.quote_id) for quote in (newer, *last)] == [None, None, *last[1:]]


def forged(quote: Quote, change: Callable[[dict[str, Any]], Any]) -> str:
    document = quote.document
    made = change(document)
    return base64.urlsafe_b64encode(json.dumps(document if made is None else made).encode()).decode().rstrip("=")


def signed_as_told(document: dict[str, Any]) -> str:
    """Our key over nonsense: what is signed is still read strictly."""
    from oracle.quotes import signed_bytes

    document["signature"] = base64.b64encode(KEY.sign(signed_bytes(document, **HERE))).decode()
    return base64.urlsafe_b64encode(rfc8785.dumps(document)).decode().rstrip("=")


async def test_a_forged_or_foreign_token_is_no_quote(shop: Shop) -> None:
    quote = await shop.desk.quote("STX", 500)
    other = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    tokens = [
        "", "a.b.c", "é", "=" * 8, "A" * 3_000, quote.token[:-8] + "AAAAAAAA", "bnVsbA", "W10", "e30",
        base64.urlsafe_b64encode(b"[" * 1_400).decode(),
        forged(quote, lambda q: q.update(amount="1")), forged(quote, lambda q: q.update(sats=10**6)),
        forged(quote, lambda q: q.pop("signature")), forged(quote, lambda q: q.update(signature="x")),
        forged(quote, lambda q: q.update(expires_at="2099-01-01T00:00:00.000Z")),
        forged(quote, lambda q: q["rate"].update(haircut_ppm=0)),
        sign_quote(other, quote, **HERE).token,
        sign_quote(KEY, quote, network="stacks:1", pay_to=PAY_TO).token,
        sign_quote(KEY, quote, network=NETWORK, pay_to=PAY_TO + "X").token,
    ]  # fmt: skip
    for text in tokens:
        with pytest.raises(SatboxError) as caught:
            READ(text)
        assert caught.value.code == "quote_invalid", text[:60]


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "-1"}, {"amount": 5}, {"amount": "0"}, {"sats": "5"}, {"sats": True}, {"sats": 0}, {"more": 1},
        {"issued_at": "soon"}, {"expires_at": 5}, {"rate": None}, {"rate": {}}, {"sources": "s0"}, {"confidence": []},
        {"rate": {"sats_per_coin": "1e9", "haircut_ppm": 0}}, {"rate": {"sats_per_coin": "1.000000", "haircut_ppm": -1}},
    ],
    ids=repr,
)  # fmt: skip
async def test_even_our_own_signature_does_not_make_nonsense_a_quote(shop: Shop, change: dict[str, Any]) -> None:
    document = (await shop.desk.quote("STX", 500)).document | change
    with pytest.raises(SatboxError) as caught:
        READ(signed_as_told(document))
    assert caught.value.code == "quote_invalid"


async def test_anybody_can_check_a_quote_with_the_public_key(shop: Shop) -> None:
    document = json.loads(json.dumps((await shop.desk.quote("STX", 500)).document))
    assert is_signed_by(KEY.public_key(), document, **HERE)
    for name in FIELDS - {"signature"}:
        assert not is_signed_by(KEY.public_key(), document | {name: "x"}, **HERE), name
    assert not is_signed_by(KEY.public_key(), {}, **HERE)


async def test_restarts_neither_forget_quotes_nor_the_anchor(shop: Shop, tmp_path: Path) -> None:
    quote = await shop.desk.quote("STX", 500)
    anchors = AnchorBook(shop.path)
    await anchors.save({"STX": Anchor(500_000_000, 5), "USDCx": Anchor(10**9, 6)})
    anchors.close()
    shop.book.close()
    book, again = QuoteBook(shop.path, now_ms=lambda: shop.market.ms), AnchorBook(shop.path)
    assert await book.find(quote.quote_id) == quote
    assert await again.load() == {"STX": Anchor(500_000_000, 5), "USDCx": Anchor(10**9, 6)}
    assert READ(quote.token) == quote, "and whoever holds it needs neither"
    book.close()
    again.close()


async def test_many_open_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "oracle.sqlite"
    books = await asyncio.gather(
        *(asyncio.to_thread(QuoteBook, path, now_ms=lambda: 0) for _ in range(4)),
        *(asyncio.to_thread(AnchorBook, path) for _ in range(4)),
    )
    for book in books:
        book.close()


# The follower


class Ticks:
    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        return self.ms


async def test_the_last_snapshot_serves_until_it_is_too_old(shop: Shop) -> None:
    ticks, fails = Ticks(), False

    async def fetch() -> Snapshot:
        if fails:
            raise SatboxError("timeout")
        return shop.market.oracle.snapshot()

    follower = SnapshotFollower(fetch, monotonic_ms=ticks)
    assert follower.latest() is None
    assert await follower.ask()
    fails = True
    assert not await follower.ask()
    ticks.ms = 20_000
    assert follower.latest() is not None
    ticks.ms = 20_001
    assert follower.latest() is None
    fails = False
    assert await follower.ask()
    assert follower.latest() is not None


async def test_an_oracle_that_hangs_is_given_up_on_and_followed_again(shop: Shop) -> None:
    answers = itertools.count()
    heard = asyncio.Event()

    async def fetch() -> Snapshot:
        if next(answers) < 2:
            await asyncio.Event().wait()
        heard.set()
        return shop.market.oracle.snapshot()

    follower = SnapshotFollower(fetch, monotonic_ms=Ticks(), every_seconds=0.001, answer_seconds_max=0.01)
    following = asyncio.create_task(follower.run())
    async with asyncio.timeout(120):
        await heard.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert follower.latest() is not None
