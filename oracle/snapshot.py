"""What the oracle knows at one moment, as gates hold it: plain data, pickled across processes."""

from dataclasses import dataclass
from typing import Final

from oracle.aggregate import Rate

REASONS: Final = {
    "oracle_silent": "The price oracle has not been heard of for too long.",
    "no_quorum": "Too few independent price sources are fresh.",
    "sources_disagree": "Too few price sources agree with one another.",
    "uncertain": "The sources agree, but not closely enough.",
    "price_jump": "The price is too far from where it was minutes ago.",
    "depegged": "USDC is not near a dollar.",
    "out_of_range": "The price is outside of anything sensible.",
    "audit_unavailable": "Quotes cannot be written down at the moment.",
}
"""Why an asset may be withheld; codes never change their meaning."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an asset is not offered: a code of REASONS, and words with the numbers of the moment."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a source counts for in one asset's price: `used`, `rejected` or why it has no rate of its own.

    `weight_ppm` is its part of all fresh weight.
    """

    state: str
    usat_per_coin: int | None
    weight_ppm: int


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source does. Times are wall milliseconds, None before the first."""

    name: str
    group: str
    weight: int
    timeout_seconds: float
    heartbeat_ms: int
    stale_ms: int
    asked_at_ms: int | None
    last_ok_at_ms: int | None
    failures_in_a_row: int
    error: str | None
    pico: dict[str, int]
    """Its newest word on each pair."""
    told_at_ms: int | None
    """The oldest of them."""
    standings: dict[str, Standing]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rates that are offered, reasons for those that are not, anchors, and every source. Keys are asset symbols."""

    rates: dict[str, Rate]
    withheld: dict[str, Reason]
    anchors: dict[str, int]
    sources: tuple[SourceHealth, ...]
    at_ms: int
