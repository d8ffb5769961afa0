"""From what sources say to a rate that can be believed, or the reason why there is none. Pure, integers only.

A rate is micro-sats per whole coin, each source's own: its STX/USD over its own BTC/USD, or its STX/BTC. So what a dollar is
on a venue (USDT on some) cancels out, and no source's word is mixed with another's before they are compared.

The bound (`design/oracle.md`): if liars hold at most two fifths of the weight, the rate lies between the lowest and the highest
rate of the honest, or there is none. Rounding is always towards the operator.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import Final

from oracle.pairs import PPM, USAT_PER_SAT

UNITS_PER_COIN: Final[Mapping[str, int]] = {"STX": 1_000_000, "USDCx": 1_000_000}
ASSETS: Final = tuple(UNITS_PER_COIN)
SHARE: Final = 2_520
"""What one unit of a group's weight is cut into, so that up to ten members share it without a remainder."""
_TRIM, _WHOLE = 2, 5
"""Liars may hold two fifths; three fifths must agree."""


class Withheld(Exception):  # noqa: N818
    """No rate can be believed now: a stable `code`, and a few words for a caller."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)

    def __reduce__(self) -> tuple[type["Withheld"], tuple[str, str]]:
        return Withheld, (self.code, self.message)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One source's own rate, for an asset: micro-sats per whole coin, as of its older leg."""

    source: str
    group: str
    weight: int
    usat_per_coin: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What is believed. Distances are parts per million."""

    groups_min: int = 3
    outlier_floor_ppm: int = 5_000
    """A source this near the middle is never an outlier, however closely the others agree."""
    outlier_cap_ppm: int = 30_000
    """A source this far from the middle is always one, however much the others scatter."""
    outlier_mads: int = 3
    uncertain_ppm: int = 20_000
    """Half of the confidence interval, at most."""
    haircut_ppm: int = 10_000
    """Asked on top of the market's price, since a payment confirms later than it is quoted; half the interval is added."""
    sane_usat_per_coin: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: {
            "STX": (USAT_PER_SAT, 100_000 * USAT_PER_SAT),
            "USDCx": (10 * USAT_PER_SAT, 100_000 * USAT_PER_SAT),
        }
    )
    """1 to 100,000 sats per STX; 10 to 100,000 sats per USDCx, which is bitcoin between 1,000 and 10,000,000 dollars."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate that enough independent sources agree on. `low` to `high` is the 95 % interval of a median."""

    asset: str
    usat_per_coin: int
    low_usat_per_coin: int
    high_usat_per_coin: int
    haircut_ppm: int
    used: tuple[str, ...]
    rejected: tuple[str, ...]
    oldest_at_ms: int


def shares(candidates: Sequence[Candidate]) -> dict[str, int]:
    """Each source's weight: its group's, divided among those of the group that spoke."""
    members: dict[str, int] = {}
    for candidate in candidates:
        members[candidate.group] = members.get(candidate.group, 0) + 1
    return {c.source: c.weight * SHARE // members[c.group] for c in candidates}


def weighted_median(points: Iterable[tuple[int, int]]) -> int:
    """The lowest value at or below which at least half of the weight lies; points are (value, weight)."""
    ordered = sorted(points)
    total, reached = sum(weight for _, weight in ordered), 0
    for value, weight in ordered:
        reached += weight
        if 2 * reached >= total:
            return value
    raise ValueError("a median of nothing")


def _trimmed(points: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The lowest and the highest value that two fifths of the weight cannot set alone."""
    total = sum(weight for _, weight in points)

    def edge(ordered: list[tuple[int, int]]) -> int:
        reached = 0
        for value, weight in ordered:
            reached += weight
            if _WHOLE * reached > _TRIM * total:
                return value
        raise ValueError("an edge of nothing")

    return edge(sorted(points)), edge(sorted(points, reverse=True))


def aggregate(asset: str, candidates: Sequence[Candidate], rules: Rules) -> Rate:
    """The rate of an asset; raises Withheld: no_quorum, sources_disagree, uncertain or out_of_range."""
    groups = {candidate.group for candidate in candidates}
    if len(groups) < rules.groups_min:
        raise Withheld("no_quorum", f"{len(groups)} of {rules.groups_min} independent price sources are fresh")
    weights = shares(candidates)
    points = [(c.usat_per_coin, weights[c.source]) for c in candidates]
    middle = weighted_median(points)
    spread = weighted_median((abs(value - middle), weight) for value, weight in points)  # MAD
    limit = rules.outlier_mads * spread * 14_826 // 10_000
    limit = min(max(limit, middle * rules.outlier_floor_ppm // PPM), middle * rules.outlier_cap_ppm // PPM)
    used = [c for c in candidates if abs(c.usat_per_coin - middle) <= limit]
    agreeing = sum(weights[c.source] for c in used)
    if len({c.group for c in used}) < rules.groups_min or _WHOLE * agreeing < (_WHOLE - _TRIM) * sum(weights.values()):
        raise Withheld("sources_disagree", "price sources disagree")
    lowest, highest = _trimmed(points)
    rate = max(lowest, min(highest, weighted_median((c.usat_per_coin, weights[c.source]) for c in used)))
    half = _half_width(spread, len({c.group for c in used}))
    half_ppm = -(-half * PPM // rate)
    if half_ppm > rules.uncertain_ppm:
        raise Withheld("uncertain", f"price sources agree within {half_ppm / 10_000:.1f} % only")
    low, high = rules.sane_usat_per_coin[asset]
    if not low <= rate <= high:
        raise Withheld("out_of_range", "the price is outside of anything sensible")
    names = {c.source for c in used}
    return Rate(
        asset=asset,
        usat_per_coin=rate,
        low_usat_per_coin=rate - half,
        high_usat_per_coin=rate + half,
        haircut_ppm=rules.haircut_ppm + half_ppm,
        used=tuple(sorted(names)),
        rejected=tuple(sorted({c.source for c in candidates} - names)),
        oldest_at_ms=min(c.at_ms for c in used),
    )


def _half_width(spread: int, count: int) -> int:
    """Half of the 95 % interval of a median of `count`: 2 x 1.2533 sigma / sqrt(count), sigma = 1.4826 MAD; rounded up."""
    return isqrt((37_163 * spread) ** 2 // (10_000**2 * count)) + 1 if spread else 0


def atomic_amount(asset: str, sats: int, usat_per_coin: int, haircut_ppm: int) -> int:
    """Atomic units of `asset` that buy `sats`, haircut included, rounded up."""
    if sats <= 0:
        raise ValueError("sats are positive")
    numerator = sats * USAT_PER_SAT * UNITS_PER_COIN[asset] * (PPM + haircut_ppm)
    return -(-numerator // (usat_per_coin * PPM))
