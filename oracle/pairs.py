"""What sources speak of: pairs, and one word about a pair. Prices are integers: pico-units of the second of one whole first."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PPM: Final = 1_000_000
PICO: Final = 10**12
SAT_PER_BTC: Final = 100_000_000
USAT_PER_SAT: Final = 1_000_000
USAT_PER_BTC: Final = SAT_PER_BTC * USAT_PER_SAT


class Pair(StrEnum):
    """One whole coin of the first, priced in the second. USD stands for USDT where a venue knows no dollars."""

    BTC_USD = "BTC/USD"
    STX_USD = "STX/USD"
    USDC_USD = "USDC/USD"
    STX_BTC = "STX/BTC"


@dataclass(frozen=True, slots=True)
class Word:
    """One source's word about a pair: pico-units, and the wall time in milliseconds for which it holds."""

    source: str
    pair: Pair
    pico: int
    at_ms: int


SANE_PICO: Final[Mapping[Pair, tuple[int, int]]] = {
    Pair.BTC_USD: (1_000 * PICO, 10_000_000 * PICO),
    Pair.STX_USD: (PICO // 1_000, 1_000 * PICO),
    Pair.USDC_USD: (PICO // 2, 2 * PICO),
    Pair.STX_BTC: (PICO // 10**9, PICO // 100),
}
"""What a pair can cost at all; beyond it a source is broken, whatever the others say."""
