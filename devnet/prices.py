"""Price feeds in the shapes of their real sources, with a truth that can be set and sources that can lie.

Modes of a source: ok, lie (the price times `factor`), lag (timestamps `seconds` old), jump (every other answer is times
`factor`), freeze (the price of the moment it was set, fresh timestamps), vanish (503), hang (no answer for a minute), garble
(200 with a body that no reader should swallow, by `body`). Lies and jumps apply to `symbols`, by default all but BTC: a
lie about both legs would cancel out of a cross rate.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from devnet.clock import iso
from devnet.records import JsonObject
from stacks.network import Network
from stacks.tokens import sbtc, usdcx

SYMBOLS = ("STX", "BTC", "USDC")
SOURCES = (
    "coinbase", "coinbase_retail", "kraken", "coingecko", "binance", "pyth", "okx", "bybit", "gate", "tenero", "aibtc",
)  # fmt: skip
MODES = ("ok", "lie", "lag", "jump", "freeze", "vanish", "hang", "garble")
LIED_ABOUT = ("STX", "USDC")
HUGE_BYTES = 2_000_000
GARBAGE = {
    "huge": '{"price": "' + "9" * HUGE_BYTES + '"}',
    "nested": "[" * 100_000,
    "text": "<html>please enable cookies</html>",
    "nan": '{"price": NaN, "time": NaN}',
    "empty": "",
    "null": "null",
    "negative": '{"price": "-1", "time": "2026-01-01T00:00:00Z"}',
}
_DEFAULTS = {"STX": Decimal("0.50"), "BTC": Decimal("100000"), "USDC": Decimal("1.00")}
_PYTH_IDS = {
    "e62df6c8b4a85fe1a67db44dc12de5db330f7ac66b72dc658afedf0f4a415b43": "BTC",
    "ec7a775f46379b5e943c3526b1c8d54cd49749176b0b98e02dde68d1bd335c17": "STX",
    "eaa020c61cc479712813461ce153894a96a6c00b21ed0cfc2798d1f9a9e9c94a": "USDC",
}
_PYTH_EXPONENT = -8


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a source behaves; `frozen` are the prices a frozen one keeps, `answers` counts those of one that jumps."""

    mode: str = "ok"
    factor: Decimal = Decimal(1)
    seconds: float = 0.0
    frozen: dict[str, Decimal] = field(default_factory=dict)
    symbols: tuple[str, ...] = LIED_ABOUT
    body: str = "text"
    answers: Iterator[int] = field(default_factory=itertools.count)


@dataclass(frozen=True, slots=True)
class Tick:
    """One price in US dollars and its timestamp (unix seconds), as one source tells them."""

    usd: Decimal
    at: float

    @property
    def text(self) -> str:
        """The price in plain digits."""
        return f"{self.usd:f}"


def price(value: object) -> Decimal:
    """A price or factor from a request; raises ValueError unless positive and sensible."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a price is a number")
    try:
        number = Decimal(str(value)[:40])
    except InvalidOperation as error:
        raise ValueError("a price is a number") from error
    if not (number.is_finite() and Decimal("1e-9") <= number <= Decimal("1e9")):
        raise ValueError("a price is above zero and below a thousand million")
    return number


class PriceBoard:
    """The true prices and how each source tells them."""

    def __init__(self) -> None:
        self.usd = dict(_DEFAULTS)
        self.behaviours: dict[str, Behaviour] = {source: Behaviour() for source in SOURCES}

    def set_price(self, symbol: str, value: object) -> None:
        """Sets the true price of STX, BTC or USDC in dollars."""
        if symbol not in SYMBOLS:
            raise ValueError(f"symbol is one of {', '.join(SYMBOLS)}")
        self.usd[symbol] = price(value)

    def set_behaviour(
        self,
        source: str,
        mode: str,
        factor: object = 1,
        seconds: object = 0,
        *,
        symbols: object = LIED_ABOUT,
        body: object = "text",
    ) -> None:
        """Makes a source honest or otherwise; raises ValueError for what cannot be."""
        if source not in SOURCES or mode not in MODES:
            raise ValueError(f"source is one of {', '.join(SOURCES)}, mode one of {', '.join(MODES)}")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 10**7:
            raise ValueError("seconds is a number of at most 10000000")
        frozen = dict(self.usd) if mode == "freeze" else {}
        if not isinstance(symbols, list | tuple) or not set(map(str, symbols)) <= set(SYMBOLS):
            raise ValueError(f"symbols are some of {', '.join(SYMBOLS)}")
        if body not in GARBAGE:
            raise ValueError(f"body is one of {', '.join(GARBAGE)}")
        about = tuple(map(str, symbols))
        self.behaviours[source] = Behaviour(mode, price(factor), float(seconds), frozen, about, str(body))

    def tick(self, source: str, symbol: str, now: float) -> Tick:
        """What a source says of a symbol; the modes vanish and hang are the caller's to act on."""
        behaviour = self.behaviours[source]
        usd = behaviour.frozen.get(symbol, self.usd[symbol])
        is_false = behaviour.mode == "lie" or (behaviour.mode == "jump" and next(behaviour.answers) % 2 == 1)
        if is_false and symbol in behaviour.symbols:
            usd = (usd * behaviour.factor).quantize(Decimal("1e-8"))
        return Tick(usd, now - behaviour.seconds if behaviour.mode == "lag" else now)

    def pair_tick(self, source: str, symbol: str, quote: str, now: float) -> Tick:
        """What a source says of a symbol in dollars, or in BTC with eight decimals."""
        tick = self.tick(source, symbol, now)
        if quote == "USD":
            return tick
        return Tick((tick.usd / self.tick(source, quote, now).usd).quantize(Decimal("1e-8")), tick.at)


def pair_symbols(pair: str) -> tuple[str, str] | None:
    """(symbol, USD or BTC) of a pair in any exchange's spelling (STX-USD, XBTUSD, BTC_USDT, STXBTC), or None."""
    text = pair.upper().replace("-", "").replace("_", "")
    if text.startswith("XBT"):
        text = "BTC" + text.removeprefix("XBT")
    for quote in ("USDT", "USD", "BTC"):
        if text.endswith(quote) and text.removesuffix(quote) in SYMBOLS:
            return text.removesuffix(quote), "BTC" if quote == "BTC" else "USD"
    return None


def coinbase(tick: Tick, _pair: str) -> JsonObject:
    """Coinbase Exchange ticker."""
    return {"price": tick.text, "bid": tick.text, "ask": tick.text, "time": iso(tick.at), "trade_id": 1, "size": "1"}


def coinbase_retail(tick: Tick, pair: str) -> JsonObject:
    """Coinbase spot price."""
    base, _, currency = pair.upper().partition("-")
    return {"data": {"amount": tick.text, "base": base, "currency": currency}}


def kraken(tick: Tick, pair: str) -> JsonObject:
    """Kraken ticker."""
    key = {"XBTUSD": "XXBTZUSD", "BTCUSD": "XXBTZUSD"}.get(pair.upper(), pair.upper())
    return {
        "error": [],
        "result": {key: {"a": [tick.text, "1", "1"], "b": [tick.text, "1", "1"], "c": [tick.text, "1"]}},
    }


def binance(tick: Tick, pair: str) -> JsonObject:
    """Binance ticker."""
    return {"symbol": pair.upper(), "price": tick.text}


def okx(tick: Tick, pair: str) -> JsonObject:
    """OKX ticker."""
    row = {"instType": "SPOT", "instId": pair.upper(), "last": tick.text, "ts": str(int(tick.at * 1000))}
    return {"code": "0", "msg": "", "data": [row]}


def bybit(tick: Tick, pair: str) -> JsonObject:
    """Bybit ticker."""
    rows = [{"symbol": pair.upper(), "lastPrice": tick.text}]
    result = {"category": "spot", "list": rows}
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": int(tick.at * 1000)}


def gate(tick: Tick, pair: str) -> list[JsonObject]:
    """Gate ticker."""
    return [{"currency_pair": pair.upper(), "last": tick.text}]


# source -> (path, name of the query parameter or path part that holds the pair, shape)
PAIR_FEEDS: dict[str, tuple[str, str, Callable[[Tick, str], JsonObject | list[JsonObject]]]] = {
    "coinbase": ("/products/{pair}/ticker", "", coinbase),
    "coinbase_retail": ("/v2/prices/{pair}/spot", "", coinbase_retail),
    "kraken": ("/0/public/Ticker", "pair", kraken),
    "binance": ("/api/v3/ticker/price", "symbol", binance),
    "okx": ("/api/v5/market/ticker", "instId", okx),
    "bybit": ("/v5/market/tickers", "symbol", bybit),
    "gate": ("/api/v4/spot/tickers", "currency_pair", gate),
}


def coingecko(board: PriceBoard, ids: str, currencies: str, now: float) -> JsonObject:
    """CoinGecko simple price; STX is `blockstack` there."""
    names = {"blockstack": "STX", "bitcoin": "BTC", "usd-coin": "USDC"}
    btc = board.tick("coingecko", "BTC", now)
    reply: JsonObject = {}
    for name in ids.split(",")[:10]:
        if name not in names:
            continue
        tick = board.tick("coingecko", names[name], now)
        values = {"usd": tick.usd, "btc": tick.usd / btc.usd, "sats": tick.usd / btc.usd * 100_000_000}
        wanted: JsonObject = {word: float(values[word]) for word in currencies.split(",")[:10] if word in values}
        reply[name] = wanted | {"last_updated_at": int(tick.at)}
    return reply


def pyth(board: PriceBoard, ids: list[str], now: float) -> JsonObject | None:
    """Pyth Hermes latest update, or None for an id that is not known."""
    parsed = []
    for given in ids[:10]:
        feed = given.removeprefix("0x").lower()
        if feed not in _PYTH_IDS:
            return None
        tick = board.tick("pyth", _PYTH_IDS[feed], now)
        scaled = int(tick.usd.scaleb(-_PYTH_EXPONENT))
        body = {
            "price": str(scaled),
            "conf": str(max(1, scaled // 2000)),
            "expo": _PYTH_EXPONENT,
            "publish_time": int(tick.at),
        }
        parsed.append({"id": feed, "price": body, "ema_price": dict(body)})
    return {"binary": {"encoding": "hex", "data": []}, "parsed": parsed}


def tenero(board: PriceBoard, token: str, now: float) -> JsonObject | None:
    """Tenero token, by contract or `stx`, or None when it is not known."""
    name = token.partition("::")[0].partition(".")[2] or token
    symbol = {"stx": "STX", "sbtc-token": "BTC", "usdcx": "USDC"}.get(name)
    if symbol is None:
        return None
    tick = board.tick("tenero", symbol, now)
    return {"statusCode": 200, "message": "Success", "data": {"address": token, "price_usd": float(tick.usd)}}


_AIBTC = {
    "stx": "STX",
    sbtc(Network.MAINNET).asset_id: "BTC",
    usdcx(Network.MAINNET).asset_id: "USDC",
}


def aibtc(board: PriceBoard, tokens: list[str], now: float) -> JsonObject:
    """aibtc.com prices, which re-publish Tenero's; every token unless some are asked for."""
    prices: JsonObject = {}
    for token, symbol in _AIBTC.items():
        if not tokens or token in tokens:
            tick = board.tick("aibtc", symbol, now)
            prices[token] = {"priceUsd": float(tick.usd), "fetchedAt": iso(tick.at)}
    return {"prices": prices, "supportedTokens": list(_AIBTC)}
