"""The pure half of the oracle: what is believed, and that rounding never favours the payer."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.aggregate import Candidate, Rules, Withheld, aggregate, atomic_amount, shares, weighted_median
from oracle.candidates import Table, WordRules
from oracle.pairs import PICO, Pair, Word
from oracle.sources import SourceKind

RULES = Rules()
SAT = 1_000_000
NOW = 1_800_000_000_000


def candidates(*sats: float, weights: tuple[int, ...] | None = None) -> list[Candidate]:
    sizes = weights or (2,) * len(sats)
    return [Candidate(f"s{n}", f"g{n}", sizes[n], round(value * SAT), NOW - n) for n, value in enumerate(sats)]


def code_of(*sats: float, rules: Rules = RULES, asset: str = "STX") -> str:
    with pytest.raises(Withheld) as caught:
        aggregate(asset, candidates(*sats), rules)
    return caught.value.code


def test_the_weighted_median_of_agreeing_sources_is_the_rate() -> None:
    rate = aggregate("STX", candidates(500, 501, 502, 503, 504), RULES)
    assert rate.usat_per_coin == 502 * SAT
    assert rate.used == ("s0", "s1", "s2", "s3", "s4")
    assert rate.oldest_at_ms == NOW - 4
    heavy = aggregate("STX", candidates(500, 501, 502, 503, 504, weights=(9, 1, 1, 1, 1)), RULES)
    assert heavy.usat_per_coin == 500 * SAT


def test_outliers_are_rejected_but_not_within_the_floor() -> None:
    rate = aggregate("STX", candidates(500, 500, 500, 502.4, 503), RULES)
    assert rate.rejected == ("s4",), "0.48 % is within the floor of half a percent, 0.6 % is not"
    assert aggregate("STX", candidates(500, 500, 500, 900, 1), RULES).rejected == ("s3", "s4")


def test_quorum_is_three_of_five() -> None:
    assert aggregate("STX", candidates(500, 500, 500, 1, 99_999), RULES).usat_per_coin == 500 * SAT
    assert code_of(500, 500, 1, 1_000, 2_000) == "sources_disagree"
    assert code_of(500, 500) == "no_quorum"
    assert code_of() == "no_quorum"
    assert aggregate("STX", candidates(500, 500, 500), RULES).usat_per_coin == 500 * SAT


def test_three_who_agree_are_not_enough_against_more_who_do_not() -> None:
    assert code_of(500, 500, 500, 100, 200, 300, 700) == "sources_disagree"


def test_a_group_counts_once_however_many_faces_it_has() -> None:
    faces = [Candidate(f"f{n}", "one", 2, 900 * SAT, NOW) for n in range(8)]
    honest = candidates(500, 500, 500)
    weights = shares([*faces, *honest])
    assert sum(weights[face.source] for face in faces) == weights["s0"]
    assert aggregate("STX", [*faces, *honest], RULES).usat_per_coin == 500 * SAT
    with pytest.raises(Withheld, match="2 of 3"):
        aggregate("STX", [*faces, honest[0]], RULES)


def test_the_interval_is_that_of_a_median_and_is_added_to_the_haircut() -> None:
    rate = aggregate("STX", candidates(498, 499, 500, 501, 502), RULES)
    half = rate.high_usat_per_coin - rate.usat_per_coin
    # 2 x 1.2533 x 1.4826 x MAD of 1 sat / sqrt(5)
    assert half == pytest.approx(2 * 1.2533 * 1.4826 * SAT / 5**0.5, rel=1e-3)
    assert rate.low_usat_per_coin == rate.usat_per_coin - half
    assert rate.haircut_ppm == 10_000 + -(-half * 1_000_000 // rate.usat_per_coin)
    sure = aggregate("STX", candidates(500, 500, 500), RULES)
    assert (sure.low_usat_per_coin, sure.high_usat_per_coin, sure.haircut_ppm) == (500 * SAT, 500 * SAT, 10_000)


def test_agreement_that_is_too_loose_is_none() -> None:
    assert code_of(480, 490, 500, 510, 520) == "uncertain"


@pytest.mark.parametrize(("asset", "sats"), [("STX", 0.9), ("STX", 100_001), ("USDCx", 9), ("USDCx", 100_001)])
def test_what_cannot_be_is_withheld(asset: str, sats: float) -> None:
    assert code_of(*(sats,) * 5, asset=asset) == "out_of_range"


@given(
    sats=st.integers(1, 10**8),
    rate=st.integers(SAT, 10**5 * SAT),
    haircut=st.integers(0, 100_000),
    asset=st.sampled_from(["STX", "USDCx"]),
)
def test_a_payment_is_never_asked_too_little_and_at_most_one_unit_too_much(
    sats: int, rate: int, haircut: int, asset: str
) -> None:
    amount = atomic_amount(asset, sats, rate, haircut)
    exact = Fraction(sats * SAT, rate) * 10**6 * Fraction(10**6 + haircut, 10**6)
    assert exact <= amount < exact + 1
    assert Fraction(amount, 10**6) * rate >= sats * SAT, "at the market it is worth at least what it buys"


def test_nothing_costs_nothing() -> None:
    with pytest.raises(ValueError, match="positive"):
        atomic_amount("STX", 0, SAT, 0)
    with pytest.raises(ValueError, match="nothing"):
        weighted_median([])


# Candidates


def table(words: dict[Pair, Fraction], at_ms: int = NOW, frozen: set[tuple[str, Pair]] | None = None) -> Table:
    kind = SourceKind("a", "a", 2, "", (), stale_ms=60_000, counts_dollars=True)
    told = {("a", pair): Word("a", pair, int(value * PICO), at_ms) for pair, value in words.items()}
    return Table([kind], told, frozen or set(), NOW, WordRules())


def found(made: Table, asset: str = "STX") -> int | str:
    candidate = made.candidate(made.kinds[0], asset)
    return candidate if isinstance(candidate, str) else candidate.usat_per_coin


def test_the_reference_rate() -> None:
    """sats for STX = uSTX x STXUSD x 100 / BTCUSD (protocols 10): 1 STX at 0.50 with BTC at 100,000 is 500 sats."""
    legs = {Pair.STX_USD: Fraction(1, 2), Pair.BTC_USD: Fraction(100_000)}
    assert found(table(legs)) == 500 * SAT
    assert found(table({Pair.STX_BTC: Fraction(5, 10**6)})) == 500 * SAT
    assert found(table({Pair.USDC_USD: Fraction(1), Pair.BTC_USD: Fraction(100_000)}), "USDCx") == 1_000 * SAT
    assert atomic_amount("STX", 500, 500 * SAT, 0) == 1_000_000
    assert atomic_amount("STX", 500, 500 * SAT, 10_000) == 1_010_000


def test_a_source_needs_both_of_its_own_legs() -> None:
    assert found(table({Pair.STX_USD: Fraction(1, 2)})) == "silent"
    assert found(table({Pair.BTC_USD: Fraction(100_000)})) == "silent"


def test_a_source_that_contradicts_itself_says_nothing() -> None:
    legs = {Pair.STX_USD: Fraction(1, 2), Pair.BTC_USD: Fraction(100_000), Pair.STX_BTC: Fraction(5_09, 10**8)}
    assert found(table(legs)) == 500 * SAT, "1.8 % is a spread"
    assert found(table(legs | {Pair.STX_BTC: Fraction(5_11, 10**8)})) == "contradicts itself"


@pytest.mark.parametrize(
    ("at_ms", "stx", "frozen", "fault"),
    [
        (NOW - 60_001, Fraction(1, 2), set(), "stale"),
        (NOW + 30_001, Fraction(1, 2), set(), "early"),
        (NOW, Fraction(2_000), set(), "insane"),
        (NOW, Fraction(1, 10**5), set(), "insane"),
        (NOW, Fraction(1, 2), {("a", Pair.STX_USD)}, "frozen"),
    ],
)
def test_words_that_do_not_count_say_why(at_ms: int, stx: Fraction, frozen: set[tuple[str, Pair]], fault: str) -> None:
    legs = {Pair.STX_USD: stx, Pair.BTC_USD: Fraction(100_000)}
    assert found(table(legs, at_ms, frozen)) == fault
