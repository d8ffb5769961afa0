"""How each source writes its prices (protocols 10): from one answer to (pair, pico-units, wall milliseconds). Pure.

Kraken, Binance, Gate, Tenero and Coinbase's retail prices carry no time: they hold for the moment they were fetched, and a
source that stands still is found by what the others do meanwhile (`freeze`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from oracle.pairs import PICO, Pair
from oracle.parsing import (
    SourceFailed,
    echo,
    first,
    pico,
    record,
    time_of_ms,
    time_of_seconds,
    time_of_text,
    whole,
)

Told = list[tuple[Pair, int, int]]
Read = Callable[[Any, int], Told]
"""(answer, wall milliseconds when it came) to what it tells; raises SourceFailed."""

PYTH_DOUBT_MAX = 100
"""A Pyth price is no use once its `conf` is more than a hundredth of it."""


def coinbase(pair: Pair) -> Read:
    """Coinbase Exchange ticker: `price` and `time` of the last trade."""

    def read(body: Any, _now_ms: int) -> Told:
        ticker = record(body, "a ticker")
        return [(pair, pico(ticker.get("price")), time_of_text(ticker.get("time")))]

    return read


def coinbase_retail(pair: Pair) -> Read:
    """Coinbase spot price: `data.amount`."""
    base, _, currency = pair.partition("/")

    def read(body: Any, now_ms: int) -> Told:
        data = record(record(body).get("data"))
        echo(data.get("base"), base)
        echo(data.get("currency"), currency)
        return [(pair, pico(data.get("amount")), now_ms)]

    return read


def kraken(pair: Pair) -> Read:
    """Kraken ticker: `result.<first key>.c[0]`, and `error` is empty."""

    def read(body: Any, now_ms: int) -> Told:
        answer = record(body, "a ticker")
        if answer.get("error") != []:
            raise SourceFailed("the answer is an error")
        result = record(answer.get("result"), "a ticker")
        ticker = record(next(iter(result.values()), None), "a ticker")
        return [(pair, pico(first(ticker.get("c"), "a ticker")), now_ms)]

    return read


def binance(pair: Pair, symbol: str) -> Read:
    """Binance ticker: `price`."""

    def read(body: Any, now_ms: int) -> Told:
        ticker = record(body, "a ticker")
        echo(ticker.get("symbol"), symbol)
        return [(pair, pico(ticker.get("price")), now_ms)]

    return read


def gate(pair: Pair, symbol: str) -> Read:
    """Gate ticker: `[0].last`."""

    def read(body: Any, now_ms: int) -> Told:
        ticker = record(first(body, "a ticker"), "a ticker")
        echo(ticker.get("currency_pair"), symbol)
        return [(pair, pico(ticker.get("last")), now_ms)]

    return read


def okx(pair: Pair, symbol: str) -> Read:
    """OKX ticker: `data[0].last` and `data[0].ts`, and `code` is "0"."""

    def read(body: Any, _now_ms: int) -> Told:
        answer = record(body, "a ticker")
        if answer.get("code") != "0":
            raise SourceFailed("the answer is an error")
        ticker = record(first(answer.get("data"), "a ticker"), "a ticker")
        echo(ticker.get("instId"), symbol)
        return [(pair, pico(ticker.get("last")), time_of_ms(ticker.get("ts")))]

    return read


def bybit(pair: Pair, symbol: str) -> Read:
    """Bybit ticker: `result.list[0].lastPrice` and `time`, and `retCode` is 0."""

    def read(body: Any, _now_ms: int) -> Told:
        answer = record(body, "a ticker")
        if answer.get("retCode") != 0:
            raise SourceFailed("the answer is an error")
        ticker = record(first(record(answer.get("result")).get("list"), "a ticker"), "a ticker")
        echo(ticker.get("symbol"), symbol)
        return [(pair, pico(ticker.get("lastPrice")), time_of_ms(answer.get("time")))]

    return read


COINGECKO_IDS = {"bitcoin": Pair.BTC_USD, "blockstack": Pair.STX_USD, "usd-coin": Pair.USDC_USD}


def coingecko(body: Any, _now_ms: int) -> Told:
    """CoinGecko simple price: `<id>.usd`, `<id>.last_updated_at`; `blockstack.btc` is STX/BTC. Ids may be missing."""
    told: Told = []
    for name, pair in COINGECKO_IDS.items():
        entry = record(body).get(name)
        if entry is None:
            continue
        at_ms = time_of_seconds(record(entry).get("last_updated_at"))
        told.append((pair, pico(entry.get("usd")), at_ms))
        if name == "blockstack" and entry.get("btc") is not None:
            told.append((Pair.STX_BTC, pico(entry["btc"]), at_ms))
    if not told:
        raise SourceFailed("no price in the answer")
    return told


PYTH_IDS = {
    "e62df6c8b4a85fe1a67db44dc12de5db330f7ac66b72dc658afedf0f4a415b43": Pair.BTC_USD,
    "ec7a775f46379b5e943c3526b1c8d54cd49749176b0b98e02dde68d1bd335c17": Pair.STX_USD,
    "eaa020c61cc479712813461ce153894a96a6c00b21ed0cfc2798d1f9a9e9c94a": Pair.USDC_USD,
}


def _pyth_pico(price: dict[str, Any]) -> int:
    mantissa = whole(price.get("price"), 1, 2**63 - 1)
    exponent = whole(price.get("expo"), -18, 6)
    if whole(price.get("conf"), 0, 2**64 - 1) * PYTH_DOUBT_MAX > mantissa:
        raise SourceFailed("its own confidence is too wide")
    scale = int(10 ** abs(exponent))
    value = mantissa * PICO * scale if exponent >= 0 else mantissa * PICO // scale
    if not 0 < value <= PICO * PICO:
        raise SourceFailed("no sensible price in the answer")
    return value


def pyth(body: Any, _now_ms: int) -> Told:
    """Pyth Hermes: `parsed[].price.{price, expo, conf, publish_time}`; value = price x 10^expo. Unknown ids are skipped."""
    parsed = record(body).get("parsed")
    if not isinstance(parsed, list):
        raise SourceFailed("the answer is not a list of prices")
    told: Told = []
    for entry in parsed[:10]:
        pair = PYTH_IDS.get(str(record(entry).get("id")).removeprefix("0x"))
        if pair is not None:
            price = record(entry.get("price"))
            told.append((pair, _pyth_pico(price), time_of_seconds(price.get("publish_time"))))
    if not told:
        raise SourceFailed("no price in the answer")
    return told


def tenero(pair: Pair) -> Read:
    """Tenero token: `data.price_usd`, number or text; 0, which it says of some stable tokens, is no price."""

    def read(body: Any, now_ms: int) -> Told:
        return [(pair, pico(record(record(body).get("data")).get("price_usd")), now_ms)]

    return read


def aibtc(tokens: Mapping[str, Pair]) -> Read:
    """aibtc.com: `prices[id].priceUsd` and `.fetchedAt` (text, or a number of seconds or milliseconds)."""

    def read(body: Any, _now_ms: int) -> Told:
        prices = record(record(body).get("prices"))
        told: Told = []
        for token, pair in tokens.items():
            if token in prices:
                entry = record(prices[token])
                told.append((pair, pico(entry.get("priceUsd")), _fetched_at(entry.get("fetchedAt"))))
        if not told:
            raise SourceFailed("no price in the answer")
        return told

    return read


def _fetched_at(value: Any) -> int:
    if isinstance(value, str) and not value.isdigit():
        return time_of_text(value)
    return time_of_seconds(value) if len(str(value).partition(".")[0]) <= 10 else time_of_ms(value)
