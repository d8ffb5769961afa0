"""Where a gate gets its quotes: made from the last snapshot, signed, and written down before they are told. No call to the
oracle, so that its silence delays nobody.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from operations.errors import SatboxError
from oracle.aggregate import ASSETS, Rate, atomic_amount
from oracle.quotes import Quote, sign_quote
from oracle.snapshot import REASONS, Reason, Snapshot
from storage.errors import StorageError

_log = structlog.get_logger(__name__)
SAME_QUOTES_MAX = 1_024
SATS_MAX = 10**11


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """`quote_ms`: how long a quote is honoured. `same_quote_ms`: how long the same question gets the same quote.

    `keep_seconds_max`: how long writing one down may take before the asset is not offered.
    """

    network: str
    pay_to: str
    quote_ms: int = 300_000
    same_quote_ms: int = 5_000
    keep_seconds_max: float = 2.0


class AssetWithheld(SatboxError):  # noqa: N818
    """An asset is not offered now: `asset_not_offered`, with the reason's code as `details.reason`."""

    def __init__(self, asset: str, reason: Reason) -> None:
        self.reason = reason
        super().__init__(
            "asset_not_offered",
            f"{asset} is not offered now: {reason}.",
            details={"asset": asset, "reason": reason.code, "words": reason.message},
        )


class QuoteStore(Protocol):
    """Where quotes are kept, for audit and for those who come with one."""

    async def keep(self, quote: Quote) -> None:
        """Write a quote down; raises StorageError. Returns once it is durable."""
        ...

    async def find(self, quote_id: str) -> Quote | None:
        """A quote by its id, as it was given."""
        ...


class QuoteDesk:
    """Quotes under `key` from what `latest` holds; it is None while the oracle is silent."""

    def __init__(
        self,
        latest: Callable[[], Snapshot | None],
        key: Ed25519PrivateKey,
        book: QuoteStore,
        settings: DeskSettings,
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._latest = latest
        self._key = key
        self._book = book
        self._settings = settings
        self._now_ms = now_ms
        self._new_id = new_id
        self._same: OrderedDict[tuple[str, int], Quote] = OrderedDict()

    def snapshot(self) -> Snapshot | None:
        """The last snapshot; None while the oracle is silent."""
        return self._latest()

    def why_not(self, asset: str) -> Reason | None:
        """Why an asset is not offered now; None when it is."""
        snapshot = self._latest()
        if snapshot is None:
            return _reason("oracle_silent")
        return None if asset in snapshot.rates else snapshot.withheld.get(asset, _reason("no_quorum"))

    async def quote(self, asset: str, sats: int) -> Quote:
        """A signed quote for `sats` in STX or USDCx; raises AssetWithheld when there is none.

        sBTC is one to one and never asks here: ValueError.
        """
        if asset == "sBTC":
            raise ValueError("sBTC is 1 sat per unit and is never quoted")
        if asset not in ASSETS or not 0 < sats <= SATS_MAX:
            raise SatboxError("asset_not_offered", details={"asset": asset[:40]})
        snapshot, reason = self._latest(), self.why_not(asset)
        if snapshot is None or reason is not None:
            raise AssetWithheld(asset, reason or _reason("oracle_silent"))
        rate, same = snapshot.rates[asset], self._same.get((asset, sats))
        if same is not None and 0 <= self._now_ms() - same.issued_at_ms <= self._settings.same_quote_ms:
            return same
        quote = self._signed(asset, sats, rate)
        try:
            async with asyncio.timeout(self._settings.keep_seconds_max):
                await self._book.keep(quote)
        except (TimeoutError, StorageError) as error:
            _log.warning("a quote was not written down", error=str(error))
            raise AssetWithheld(asset, _reason("audit_unavailable")) from error
        self._same[asset, sats] = quote
        self._same.move_to_end((asset, sats))
        while len(self._same) > SAME_QUOTES_MAX:
            self._same.popitem(last=False)
        return quote

    def _signed(self, asset: str, sats: int, rate: Rate) -> Quote:
        settings, now_ms = self._settings, self._now_ms()
        quote = Quote(
            quote_id=self._new_id(),
            asset=asset,
            atomic_amount=atomic_amount(asset, sats, rate.usat_per_coin, rate.haircut_ppm),
            sats=sats,
            usat_per_coin=rate.usat_per_coin,
            haircut_ppm=rate.haircut_ppm,
            low_usat_per_coin=rate.low_usat_per_coin,
            high_usat_per_coin=rate.high_usat_per_coin,
            sources=rate.used,
            issued_at_ms=now_ms,
            expires_at_ms=now_ms + settings.quote_ms,
        )
        return sign_quote(self._key, quote, network=settings.network, pay_to=settings.pay_to)


def _reason(code: str) -> Reason:
    words = REASONS[code]
    return Reason(code, words[0].lower() + words[1:].rstrip("."))
