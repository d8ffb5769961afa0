"""Where prices come from: eleven public APIs, each with its own timeout, heartbeat and staleness, and what it is worth.

Base URLs are the caller's, so that a devnet can stand in for all of them. Sources of one group copy one another (one venue
twice, or a page that republishes another's numbers) and share that group's weight.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import aiohttp

from oracle import shapes
from oracle.pairs import Pair, Word
from oracle.parsing import SourceFailed, exact_json
from oracle.shapes import Read
from stacks import Network, sbtc, usdcx

ANSWER_BYTES_MAX = 262_144
USER_AGENT = "satbox-oracle/1"


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """One request: a path on the source's host, and how its answer is read."""

    path: str
    read: Read


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A source and its rules. It is asked every `heartbeat_ms`; what it said longer than `stale_ms` ago does not count.

    `weight` is its group's; `counts_dollars` says that its USD are dollars, not USDT, so that it can witness a depeg.
    """

    name: str
    group: str
    weight: int
    host: str
    asks: tuple[SourceRequest, ...]
    timeout_seconds: float = 4.0
    heartbeat_ms: int = 10_000
    stale_ms: int = 60_000
    counts_dollars: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a source told, and what was wrong with the rest of its answers."""

    words: tuple[Word, ...]
    errors: tuple[str, ...] = ()


class PriceSource(Protocol):
    """One source of prices."""

    @property
    def kind(self) -> SourceKind:
        """Its name and rules."""

    async def fetch(self, now_ms: Callable[[], int]) -> Fetched:
        """Its prices; raises SourceFailed when it told none. Never takes much longer than its timeout."""


@dataclass(frozen=True, slots=True)
class HttpSource:
    """A source behind HTTP."""

    kind: SourceKind
    base_url: str
    session: aiohttp.ClientSession
    headers: Mapping[str, str] = field(default_factory=dict)

    async def fetch(self, now_ms: Callable[[], int]) -> Fetched:
        """Ask everything at once; what fails is left out, SourceFailed when all does."""
        answers = await asyncio.gather(*(self._one(ask, now_ms) for ask in self.kind.asks), return_exceptions=True)
        words: list[Word] = []
        errors: list[str] = []
        for answer in answers:
            if isinstance(answer, SourceFailed):
                errors.append(str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                words += answer
        if not words:
            raise SourceFailed("; ".join(sorted(set(errors))))
        return Fetched(tuple(words), tuple(errors))

    async def _one(self, ask: SourceRequest, now_ms: Callable[[], int]) -> list[Word]:
        raw = await self._get(self.base_url.rstrip("/") + ask.path)
        try:
            told = ask.read(exact_json(raw), now_ms())
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise SourceFailed("the answer cannot be read") from error  # one source must not end the others' round
        return [Word(self.kind.name, pair, value, at_ms) for pair, value, at_ms in told]

    async def _get(self, url: str) -> bytes:
        headers = {"user-agent": USER_AGENT, "accept": "application/json", **self.headers}
        try:
            async with (
                asyncio.timeout(self.kind.timeout_seconds),
                self.session.get(url, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise SourceFailed(f"HTTP {response.status}")
                raw = b""
                while part := await response.content.read(ANSWER_BYTES_MAX):
                    raw += part
                    if len(raw) > ANSWER_BYTES_MAX:
                        raise SourceFailed("answer too large")
                return raw
        except TimeoutError as error:
            raise SourceFailed("no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SourceFailed(type(error).__name__) from error


def _tickers(path: str, symbols: Mapping[Pair, str], shape: Callable[[Pair, str], Read]) -> tuple[SourceRequest, ...]:
    return tuple(SourceRequest(path.format(symbol), shape(pair, symbol)) for pair, symbol in symbols.items())


def _named(shape: Callable[[Pair], Read]) -> Callable[[Pair, str], Read]:
    return lambda pair, _symbol: shape(pair)


_DOLLARS = {Pair.BTC_USD: "BTC-USD", Pair.STX_USD: "STX-USD"}
_KRAKEN = {Pair.BTC_USD: "XBTUSD", Pair.STX_USD: "STXUSD", Pair.USDC_USD: "USDCUSD"}
_JOINED = {Pair.BTC_USD: "BTCUSDT", Pair.STX_USD: "STXUSDT", Pair.USDC_USD: "USDCUSDT"}
_DASHED = {Pair.BTC_USD: "BTC-USDT", Pair.STX_USD: "STX-USDT", Pair.USDC_USD: "USDC-USDT"}
_UNDERLINED = {Pair.BTC_USD: "BTC_USDT", Pair.STX_USD: "STX_USDT", Pair.USDC_USD: "USDC_USDT"}
_SBTC, _USDCX = sbtc(Network.MAINNET), usdcx(Network.MAINNET)
_TENERO = {Pair.STX_USD: "stx", Pair.BTC_USD: str(_SBTC.contract), Pair.USDC_USD: str(_USDCX.contract)}
_AIBTC = {"stx": Pair.STX_USD, _SBTC.asset_id: Pair.BTC_USD, _USDCX.asset_id: Pair.USDC_USD}

KINDS: Final = (
    SourceKind(
        "coinbase", "coinbase", 2, "https://api.exchange.coinbase.com",
        _tickers("/products/{}/ticker", _DOLLARS, _named(shapes.coinbase)), stale_ms=120_000, counts_dollars=True,
    ),
    SourceKind(
        "coinbase_retail", "coinbase", 2, "https://api.coinbase.com",
        _tickers("/v2/prices/{}/spot", _DOLLARS, _named(shapes.coinbase_retail)), heartbeat_ms=20_000,
        counts_dollars=True,
    ),
    SourceKind(
        "kraken", "kraken", 2, "https://api.kraken.com",
        _tickers("/0/public/Ticker?pair={}", _KRAKEN, _named(shapes.kraken)), counts_dollars=True,
    ),
    SourceKind(
        "binance", "binance", 2, "https://api.binance.com",
        _tickers("/api/v3/ticker/price?symbol={}", {**_JOINED, Pair.STX_BTC: "STXBTC"}, shapes.binance),
    ),
    SourceKind("okx", "okx", 2, "https://www.okx.com", _tickers("/api/v5/market/ticker?instId={}", _DASHED, shapes.okx)),
    SourceKind(
        "bybit", "bybit", 2, "https://api.bybit.com",
        _tickers("/v5/market/tickers?category=spot&symbol={}", _JOINED, shapes.bybit),
    ),
    SourceKind(
        "gate", "gate", 2, "https://api.gateio.ws",
        _tickers("/api/v4/spot/tickers?currency_pair={}", _UNDERLINED, shapes.gate),
    ),
    SourceKind(
        "pyth", "pyth", 2, "https://hermes.pyth.network",
        (
            SourceRequest(
                "/v2/updates/price/latest?" + "&".join(f"ids[]={i}" for i in shapes.PYTH_IDS) + "&parsed=true", shapes.pyth
            ),
        ),
        counts_dollars=True,
    ),
    SourceKind(
        "coingecko", "coingecko", 1, "https://api.coingecko.com",
        (SourceRequest(f"/api/v3/simple/price?ids={','.join(shapes.COINGECKO_IDS)}&vs_currencies=usd,btc"
             "&include_last_updated_at=true&precision=full", shapes.coingecko),),
        heartbeat_ms=60_000, stale_ms=240_000, counts_dollars=True,
    ),
    SourceKind(  # 50,000 requests a month without a key: three each 180 s are 43,200
        "tenero", "tenero", 1, "https://api.tenero.io",
        tuple(SourceRequest(f"/v1/stacks/tokens/{token}", shapes.tenero(pair)) for pair, token in _TENERO.items()),
        timeout_seconds=6.0, heartbeat_ms=180_000, stale_ms=420_000, counts_dollars=True,
    ),
    SourceKind(
        "aibtc", "tenero", 1, "https://aibtc.com",
        (SourceRequest("/api/prices", shapes.aibtc(_AIBTC)),),
        timeout_seconds=6.0, heartbeat_ms=180_000, stale_ms=420_000, counts_dollars=True,
    ),
)  # fmt: skip
NAMES: Final = tuple(kind.name for kind in KINDS)
GROUPS_MIN: Final = 5


def public_bases(changes: Mapping[str, str] | None = None, without: Sequence[str] = ()) -> dict[str, str]:
    """Each source's base URL: its public host, or what `changes` names instead. Raises ValueError for unknown names, or
    when fewer than five independent groups are left: three of five is the least that makes a price.
    """
    unknown = {*(changes or {}), *without} - set(NAMES)
    if unknown:
        raise ValueError(f"no such price source: {', '.join(sorted(unknown))}; known: {', '.join(NAMES)}")
    kept = [kind for kind in KINDS if kind.name not in without]
    if len({kind.group for kind in kept}) < GROUPS_MIN:
        raise ValueError(f"at least {GROUPS_MIN} independent price sources are needed")
    return {kind.name: (changes or {}).get(kind.name, kind.host) for kind in kept}


def devnet_bases(base: str) -> dict[str, str]:
    """The devnet serves every source under one base, by its name."""
    return {name: f"{base.rstrip('/')}/{name}" for name in NAMES}


def http_sources(
    bases: Mapping[str, str], session: aiohttp.ClientSession, headers: Mapping[str, Mapping[str, str]] | None = None
) -> list[HttpSource]:
    """A source for each of `bases`; `headers` go to the named source alone (an API key)."""
    return [
        HttpSource(kind, bases[kind.name], session, (headers or {}).get(kind.name, {}))
        for kind in KINDS
        if kind.name in bases
    ]
