"""Where prices come from: public APIs over HTTP, each with a deadline and a size limit. Numbers are read as text.

Base URLs are settings. A source that fails says nothing this time; the aggregate decides whether enough are left.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import aiohttp

from oracle.prices import NANO, SourcePrice

ANSWER_BYTES_MAX = 262_144
TIMEOUT_SECONDS = 5.0
USER_AGENT = "satbox-oracle/1"


class SourceFailed(Exception):  # noqa: N818
    """A source gave no price that can be read."""


class PriceSource(Protocol):
    """One source of prices."""

    @property
    def name(self) -> str:
        """Names it in quotes."""

    async def fetch(self, coins: Sequence[str], now_ms: int) -> list[SourcePrice]:
        """Its prices of these coins; raises SourceFailed. Coins it does not know are left out."""


async def get_json(session: aiohttp.ClientSession, url: str, *, timeout_seconds: float) -> Any:
    """A JSON answer with exact decimals; raises SourceFailed."""
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            session.get(url, headers={"user-agent": USER_AGENT}, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise SourceFailed(f"HTTP {response.status}")
            raw = await response.content.read(ANSWER_BYTES_MAX + 1)
            while len(raw) <= ANSWER_BYTES_MAX and (more := await response.content.read(ANSWER_BYTES_MAX)):
                raw += more
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise SourceFailed(type(error).__name__) from error
    if len(raw) > ANSWER_BYTES_MAX:
        raise SourceFailed("answer too large")
    try:
        return json.loads(raw, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError) as error:
        raise SourceFailed("answer is no JSON") from error


def usd_nano(value: Any) -> int:
    """Nano-dollars of a number or its text, rounded down; raises SourceFailed unless positive and finite."""
    if not isinstance(value, str | Decimal) or len(str(value)) > 40:
        raise SourceFailed("no price in the answer")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise SourceFailed("no price in the answer") from error
    if not number.is_finite() or not Decimal("1e-9") <= number <= Decimal("1e12"):
        raise SourceFailed("no sensible price in the answer")
    return int(number * NANO)


def _text_time_ms(value: Any) -> int:
    try:
        moment = datetime.fromisoformat(str(value)[:40])
    except ValueError as error:
        raise SourceFailed("no time in the answer") from error
    if moment.tzinfo is None:
        raise SourceFailed("no time zone in the answer")
    return int(moment.timestamp() * 1000)


def read_coinbase(body: Any, now_ms: int) -> tuple[int, int]:
    """(nano-dollars, wall ms) of a Coinbase Exchange ticker."""
    if not isinstance(body, dict):
        raise SourceFailed("not a ticker")
    return usd_nano(body.get("price")), min(_text_time_ms(body.get("time")), now_ms + 10**9)


def read_kraken(body: Any, now_ms: int) -> tuple[int, int]:
    """(nano-dollars, wall ms) of a Kraken ticker, which has no time of its own."""
    if not isinstance(body, dict) or body.get("error"):
        raise SourceFailed("not a ticker")
    result = body.get("result")
    first = next(iter(result.values()), None) if isinstance(result, dict) else None
    last = first.get("c") if isinstance(first, dict) else None
    if not isinstance(last, list) or not last:
        raise SourceFailed("not a ticker")
    return usd_nano(last[0]), now_ms


@dataclass(frozen=True, slots=True)
class TickerSource:
    """A source with one ticker per coin. `paths` names the ticker of each coin it knows."""

    name: str
    base_url: str
    paths: dict[str, str]
    read: Callable[[Any, int], tuple[int, int]]
    session: aiohttp.ClientSession
    timeout_seconds: float = TIMEOUT_SECONDS

    async def fetch(self, coins: Sequence[str], now_ms: int) -> list[SourcePrice]:
        """Ask for each coin; those that fail are left out, SourceFailed when all do."""
        known = [coin for coin in coins if coin in self.paths]
        answers = await asyncio.gather(*(self._one(coin, now_ms) for coin in known), return_exceptions=True)
        prices: list[SourcePrice] = []
        failure: SourceFailed | None = None
        for answer in answers:
            if isinstance(answer, SourceFailed):
                failure = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                prices.append(answer)
        if not prices and failure is not None:
            raise failure
        return prices

    async def _one(self, coin: str, now_ms: int) -> SourcePrice:
        body = await get_json(
            self.session, self.base_url.rstrip("/") + self.paths[coin], timeout_seconds=self.timeout_seconds
        )
        usd, at_ms = self.read(body, now_ms)
        return SourcePrice(self.name, coin, usd, at_ms)


@dataclass(frozen=True, slots=True)
class CoinGecko:
    """CoinGecko's simple price: every coin in one answer."""

    base_url: str
    session: aiohttp.ClientSession
    timeout_seconds: float = TIMEOUT_SECONDS
    name: str = "coingecko"

    async def fetch(self, coins: Sequence[str], now_ms: int) -> list[SourcePrice]:
        """GET /api/v3/simple/price."""
        ids = {"STX": "blockstack", "BTC": "bitcoin", "USDC": "usd-coin"}
        wanted = {coin: ids[coin] for coin in coins if coin in ids}
        path = f"/api/v3/simple/price?ids={','.join(wanted.values())}&vs_currencies=usd&include_last_updated_at=true"
        body = await get_json(self.session, self.base_url.rstrip("/") + path, timeout_seconds=self.timeout_seconds)
        return [self._read(body, coin, key, now_ms) for coin, key in wanted.items()]

    def _read(self, body: Any, coin: str, key: str, now_ms: int) -> SourcePrice:
        entry = body.get(key) if isinstance(body, dict) else None
        if not isinstance(entry, dict):
            raise SourceFailed(f"no {key} in the answer")
        at = entry.get("last_updated_at")
        at_ms = int(at * 1000) if isinstance(at, Decimal) and at.is_finite() and 0 < at < 10**11 else now_ms
        return SourcePrice(self.name, coin, usd_nano(entry.get("usd")), at_ms)


def coinbase(base_url: str, session: aiohttp.ClientSession, **options: Any) -> TickerSource:
    """Coinbase Exchange: GET /products/STX-USD/ticker."""
    paths = {"BTC": "/products/BTC-USD/ticker", "STX": "/products/STX-USD/ticker"}
    return TickerSource("coinbase", base_url, paths, read_coinbase, session, **options)


def kraken(base_url: str, session: aiohttp.ClientSession, **options: Any) -> TickerSource:
    """Kraken: GET /0/public/Ticker?pair=STXUSD."""
    paths = {coin: f"/0/public/Ticker?pair={pair}" for coin, pair in _KRAKEN.items()}
    return TickerSource("kraken", base_url, paths, read_kraken, session, **options)


_KRAKEN = {"BTC": "XBTUSD", "STX": "STXUSD", "USDC": "USDCUSD"}
