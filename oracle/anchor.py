"""The jump breaker: a slow anchor that a price may not leave by more than a band. Pure.

The anchor follows the market by at most `follow_ppm_per_minute`, and only over time in which prices were seen, so that
neither a silence nor a stepped clock buys a large move. A price outside the band is not offered; while the sources keep
agreeing on it the anchor walks towards it, and offers come back by themselves.
"""

from dataclasses import dataclass

from oracle.pairs import PPM

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class AnchorRules:
    """`band_ppm`: how far from the anchor is still offered. `follow_ppm_per_minute`: how fast the anchor may move."""

    band_ppm: int = 100_000
    follow_ppm_per_minute: int = 10_000


@dataclass(frozen=True, slots=True)
class Anchor:
    """Micro-sats per whole coin, as of a wall time in milliseconds."""

    usat_per_coin: int
    at_ms: int


def is_jump(anchor: Anchor | None, usat_per_coin: int, rules: AnchorRules) -> bool:
    """Whether a rate is too far from the anchor. Without one, at a deployment's first price, nothing is."""
    if anchor is None:
        return False
    return abs(usat_per_coin - anchor.usat_per_coin) * PPM > anchor.usat_per_coin * rules.band_ppm


def follow(anchor: Anchor | None, usat_per_coin: int, now_ms: int, rules: AnchorRules) -> Anchor:
    """The anchor after a rate was seen at `now_ms`. At most a minute counts, whatever passed since it last moved."""
    if anchor is None:
        return Anchor(usat_per_coin, now_ms)
    elapsed_ms = min(max(0, now_ms - anchor.at_ms), MINUTE_MS)
    reach = anchor.usat_per_coin * rules.follow_ppm_per_minute * elapsed_ms // (PPM * MINUTE_MS)
    step = max(-reach, min(reach, usat_per_coin - anchor.usat_per_coin))
    return Anchor(anchor.usat_per_coin + step, now_ms)
