"""From what sources say to a price that can be believed, and from a price to what must be paid. Pure, integers only.

A price is nano-dollars of one whole coin. Rounding is always towards the operator: whoever pays, pays the next unit up.
sBTC has no place here: it is sats.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

PPM = 1_000_000
NANO = 1_000_000_000
USAT_PER_BTC = 100_000_000 * 1_000_000
UNITS_PER_COIN: Final[Mapping[str, int]] = {"STX": 1_000_000, "USDCx": 1_000_000}
COIN_OF: Final[Mapping[str, str]] = {"STX": "STX", "USDCx": "USDC"}
COINS: Final = ("BTC", "STX", "USDC")


class NoPrice(Exception):  # noqa: N818
    """No price can be believed now; `reason` says why in a few words for a caller."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class SourcePrice:
    """One source's word: nano-dollars of one `coin` at a wall time in milliseconds."""

    source: str
    coin: str
    usd_nano: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What is believed: age, agreement (parts per million from the median), number, and what a coin can cost at all."""

    stale_ms: int = 90_000
    ahead_ms: int = 30_000
    sources_min: int = 2
    deviation_ppm: int = 30_000
    haircut_ppm: int = 10_000
    """What is asked on top of the market's price, since a payment confirms later than it is quoted."""
    sane_usd_nano: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: {
            "BTC": (1_000 * NANO, 10_000_000 * NANO),
            "STX": (NANO // 1_000, 1_000 * NANO),
            "USDC": (NANO * 95 // 100, NANO * 105 // 100),
        }
    )


@dataclass(frozen=True, slots=True)
class Price:
    """A price that enough sources agree on, and which they were."""

    coin: str
    usd_nano: int
    sources: tuple[str, ...]
    oldest_at_ms: int


def _median(values: list[int]) -> int:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def aggregate(coin: str, told: Iterable[SourcePrice], now_ms: int, limits: Limits) -> Price:
    """The median of what fresh, sane and agreeing sources say; raises NoPrice when too few are left.

    Each source counts once, by its newest word. Those far from the median are dropped before the second median.
    """
    newest: dict[str, SourcePrice] = {}
    for word in told:
        if word.coin == coin and (word.source not in newest or word.at_ms > newest[word.source].at_ms):
            newest[word.source] = word
    low, high = limits.sane_usd_nano[coin]
    fresh = [
        word
        for word in newest.values()
        if now_ms - limits.stale_ms <= word.at_ms <= now_ms + limits.ahead_ms and low <= word.usd_nano <= high
    ]
    if len(fresh) < limits.sources_min:
        raise NoPrice(f"{len(fresh)} of {limits.sources_min} price sources for {coin} are fresh")
    middle = _median([word.usd_nano for word in fresh])
    agreeing = [word for word in fresh if abs(word.usd_nano - middle) * PPM <= middle * limits.deviation_ppm]
    if len(agreeing) < limits.sources_min:
        raise NoPrice(f"price sources for {coin} disagree")
    return Price(
        coin,
        _median([word.usd_nano for word in agreeing]),
        tuple(sorted(word.source for word in agreeing)),
        min(word.at_ms for word in agreeing),
    )


def atomic_amount(asset: str, usat: int, coin: Price, btc: Price, limits: Limits) -> int:
    """Atomic units of `asset` that buy `usat`, haircut included, rounded up.

    usat / USAT_PER_BTC bitcoin cost that many times btc; as many dollars of the coin are asked, plus the haircut.
    """
    if usat <= 0:
        raise ValueError("usat is positive")
    numerator = usat * btc.usd_nano * UNITS_PER_COIN[asset] * (PPM + limits.haircut_ppm)
    return -(-numerator // (USAT_PER_BTC * coin.usd_nano * PPM))
