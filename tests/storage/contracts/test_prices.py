"""What the oracle takes for granted of a `QuoteStore` and an `AnchorStore`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from oracle import AnchorBook, QuoteBook
from oracle.anchor import Anchor
from oracle.quotes import Quote
from storage.errors import ConflictError

QUOTES: dict[str, Callable[[Path], QuoteBook]] = {
    "file": lambda folder: QuoteBook(folder / "oracle.sqlite", now_ms=lambda: 0)
}
ANCHORS: dict[str, Callable[[Path], AnchorBook]] = {"file": lambda folder: AnchorBook(folder / "oracle.sqlite")}
QUOTE = Quote("quo_1", "STX", 10**30, 500, 123_456, 5_000, 120_000, 130_000, ("one", "two"), 10, 20, "ab" * 64)


@pytest.fixture(params=QUOTES)
async def quotes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[QuoteBook]:
    made = QUOTES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture(params=ANCHORS)
async def anchors(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnchorBook]:
    made = ANCHORS[request.param](tmp_path)
    yield made
    made.close()


async def test_a_quote_is_found_as_it_was_given(quotes: QuoteBook) -> None:
    others = [replace(QUOTE, quote_id=f"quo_{number}") for number in range(2, 30)]
    await asyncio.gather(quotes.keep(QUOTE), *map(quotes.keep, others))
    assert await quotes.find("quo_1") == QUOTE
    assert await quotes.find("quo_29") == others[-1]
    assert await quotes.find("quo_30") is None


async def test_no_quote_takes_anothers_place(quotes: QuoteBook) -> None:
    await quotes.keep(QUOTE)
    with pytest.raises(ConflictError):
        await quotes.keep(replace(QUOTE, sats=1))
    assert await quotes.find("quo_1") == QUOTE


async def test_anchors_are_those_saved_last(anchors: AnchorBook) -> None:
    assert await anchors.load() == {}
    await anchors.save({"STX": Anchor(5, 1), "USDCx": Anchor(7, 1)})
    await anchors.save({"STX": Anchor(6, 2)})
    assert await anchors.load() == {"STX": Anchor(6, 2), "USDCx": Anchor(7, 1)}
