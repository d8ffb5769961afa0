"""The pure half of the oracle: what is believed, and that rounding never favours the payer."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.prices import NANO, Limits, NoPrice, Price, SourcePrice, aggregate, atomic_amount

NOW = 1_800_000_000_000
LIMITS = Limits()


def told(*usd: float, at_ms: int = NOW, coin: str = "STX") -> list[SourcePrice]:
    return [SourcePrice(f"s{number}", coin, int(value * NANO), at_ms) for number, value in enumerate(usd)]


def test_the_median_of_agreeing_sources_is_the_price():
    price = aggregate("STX", told(0.50, 0.51, 0.505), NOW, LIMITS)
    assert price.usd_nano == 505_000_000
    assert price.sources == ("s0", "s1", "s2")


def test_one_liar_among_three_moves_nothing():
    assert aggregate("STX", told(0.50, 0.50, 0.90), NOW, LIMITS).usd_nano == NANO // 2
    assert aggregate("STX", told(0.50, 0.50, 0.0011), NOW, LIMITS).sources == ("s0", "s1")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "fresh"),
        (told(0.5), "fresh"),
        (told(0.5, 0.5, at_ms=NOW - LIMITS.stale_ms - 1), "fresh"),
        (told(0.5, 0.5, at_ms=NOW + LIMITS.ahead_ms + 1), "fresh"),
        (told(2_000, 2_000), "fresh"),
        (told(0.5, 0.9), "disagree"),
        (told(0.5, 0.5, coin="BTC"), "fresh"),
    ],
)
def test_without_enough_good_words_there_is_no_price(words, reason):
    with pytest.raises(NoPrice, match=reason):
        aggregate("STX", words, NOW, LIMITS)


def test_a_source_counts_once_by_its_newest_word():
    words = [SourcePrice("a", "STX", NANO // 2, NOW - at) for at in (0, 1000, 2000)]
    with pytest.raises(NoPrice):
        aggregate("STX", words, NOW, LIMITS)


@given(
    usat=st.integers(1, 10**16),
    coin=st.integers(NANO // 1000, 100 * NANO),
    btc=st.integers(1_000 * NANO, 10**6 * NANO),
    haircut=st.integers(0, 100_000),
)
def test_a_payment_is_never_asked_too_little_and_at_most_one_unit_too_much(usat, coin, btc, haircut):
    limits = Limits(haircut_ppm=haircut)
    amount = atomic_amount("STX", usat, Price("STX", coin, (), NOW), Price("BTC", btc, (), NOW), limits)
    exact = Fraction(usat, 10**14) * Fraction(btc, coin) * 10**6 * Fraction(10**6 + haircut, 10**6)
    assert exact <= amount < exact + 1
    # What that amount is worth at the market is at least what it buys.
    assert Fraction(amount, 10**6) * coin / btc * 10**14 >= usat


def test_the_reference_rate():
    """sats for STX = uSTX x STXUSD x 100 / BTCUSD (protocols 10): 1 STX at 0.50 with BTC at 100,000 is 500 sats."""
    stx, btc = Price("STX", NANO // 2, (), NOW), Price("BTC", 100_000 * NANO, (), NOW)
    assert atomic_amount("STX", 500 * 10**6, stx, btc, Limits(haircut_ppm=0)) == 1_000_000
    assert atomic_amount("STX", 500 * 10**6, stx, btc, Limits(haircut_ppm=10_000)) == 1_010_000
