"""The oracle: keeps prices fresh, gives signed quotes, and gives none rather than an old one."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from operations.errors import SatboxError
from oracle.book import QuoteBook
from oracle.prices import COIN_OF, COINS, Limits, NoPrice, Price, SourcePrice, aggregate, atomic_amount
from oracle.quotes import Quote, sign_quote
from oracle.sources import PriceSource, SourceFailed

_log = structlog.get_logger(__name__)
SAME_QUOTES_MAX = 1_024
USAT_MAX = 10**17


@dataclass(frozen=True, slots=True)
class OracleSettings:
    """`quote_ms`: how long a quote is honoured. `same_quote_ms`: how long the same question gets the same quote."""

    network: str
    pay_to: str
    limits: Limits = field(default_factory=Limits)
    quote_ms: int = 300_000
    same_quote_ms: int = 5_000
    refresh_ms: int = 15_000
    retry_ms: int = 2_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known now: prices that can be believed, why others cannot, and what each source said last."""

    prices: dict[str, Price]
    missing: dict[str, str]
    told: tuple[SourcePrice, ...]
    failures: dict[str, str]
    at_ms: int


class Oracle:
    """Prices from `sources`, quotes under `key`. `now_ms` is wall time, `new_id` makes quote ids."""

    def __init__(
        self,
        sources: Sequence[PriceSource],
        key: Ed25519PrivateKey,
        book: QuoteBook,
        settings: OracleSettings,
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._sources = tuple(sources)
        self._key = key
        self._book = book
        self._settings = settings
        self._now_ms = now_ms
        self._new_id = new_id
        self._told: dict[tuple[str, str], SourcePrice] = {}
        self._failures: dict[str, str] = {}
        self._asked_at_ms: int | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._same: OrderedDict[tuple[str, int], Quote] = OrderedDict()

    async def refresh(self) -> None:
        """Ask every source at once. Callers at the same time share one round; none of its failures is an error."""
        if self._refreshing is None or self._refreshing.done():
            self._asked_at_ms = self._now_ms()
            self._refreshing = asyncio.create_task(self._ask_all(), name="oracle refresh")
        await asyncio.shield(self._refreshing)

    async def _ask_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for source in self._sources:
                group.create_task(self._ask(source))

    async def _ask(self, source: PriceSource) -> None:
        try:
            prices = await source.fetch(COINS, self._now_ms())
        except SourceFailed as error:
            self._failures[source.name] = str(error)
            _log.info("price source failed", source=source.name, error=str(error))
            return
        self._failures.pop(source.name, None)
        for price in prices:
            self._told[source.name, price.coin] = price

    def snapshot(self) -> Snapshot:
        """What is known, without asking anybody."""
        now_ms, prices, missing = self._now_ms(), {}, {}
        for coin in COINS:
            try:
                prices[coin] = aggregate(coin, self._told.values(), now_ms, self._settings.limits)
            except NoPrice as error:
                missing[coin] = error.reason
        return Snapshot(prices, missing, tuple(self._told.values()), dict(self._failures), now_ms)

    async def quote(self, asset: str, usat: int) -> Quote:
        """A signed quote for `usat` in STX or USDCx; raises asset_not_offered with the reason when none can be given.

        sBTC is one to one and never asks here: ValueError.
        """
        if asset == "sBTC":
            raise ValueError("sBTC is 1 sat per unit and is never quoted")
        if asset not in COIN_OF or not 0 < usat <= USAT_MAX:
            raise SatboxError("asset_not_offered", details={"asset": asset[:40]})
        now_ms = self._now_ms()
        same = self._same.get((asset, usat))
        if same is not None and now_ms - same.issued_at_ms <= self._settings.same_quote_ms:
            return same
        coin, btc = await self._prices(COIN_OF[asset])
        quote = self._sign(asset, usat, coin, btc)
        await self._book.keep(quote)
        self._same[asset, usat] = quote
        self._same.move_to_end((asset, usat))
        while len(self._same) > SAME_QUOTES_MAX:
            self._same.popitem(last=False)
        return quote

    async def _prices(self, coin: str) -> tuple[Price, Price]:
        known = self.snapshot()
        asked = self._asked_at_ms
        if {coin, "BTC"} - known.prices.keys() and (asked is None or known.at_ms - asked >= self._settings.retry_ms):
            await self.refresh()
            known = self.snapshot()
        for needed in (coin, "BTC"):
            if needed not in known.prices:
                raise SatboxError(
                    "asset_not_offered",
                    f"There is no price to go by: {known.missing[needed]}.",
                    details={"reason": known.missing[needed]},
                )
        return known.prices[coin], known.prices["BTC"]

    def _sign(self, asset: str, usat: int, coin: Price, btc: Price) -> Quote:
        settings, now_ms = self._settings, self._now_ms()
        quote = Quote(
            quote_id=self._new_id(),
            asset=asset,
            atomic_amount=atomic_amount(asset, usat, coin, btc, settings.limits),
            usat=usat,
            coin_usd_nano=coin.usd_nano,
            btc_usd_nano=btc.usd_nano,
            haircut_ppm=settings.limits.haircut_ppm,
            sources=tuple(sorted({*coin.sources, *btc.sources})),
            issued_at_ms=now_ms,
            expires_at_ms=now_ms + settings.quote_ms,
        )
        token = sign_quote(self._key, quote, network=settings.network, pay_to=settings.pay_to)
        return replace(quote, token=token)

    async def run(self) -> None:
        """Keep prices fresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._settings.refresh_ms / 1000)

    async def aclose(self) -> None:
        """End a round under way."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
