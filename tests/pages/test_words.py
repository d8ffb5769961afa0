"""Amounts and times as pages say them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.pages import words


@given(st.integers(-(10**15), 10**15))
def test_an_amount_is_never_shown_as_more_than_it_is(usat: int) -> None:
    shown = float(words.sats(usat).replace(",", ""))

    assert abs(shown) <= abs(usat) / 1e6 + 1e-6
    assert abs(abs(shown) - abs(usat) / 1e6) < 0.01 + 1e-6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (725, "12 min 5 s"),
        (3_600, "1 h"),
        (93_600, "1 d 2 h"),
        (86_461, "1 d 1 min"),
        (-5, "0 s"),
    ],
)
def test_a_duration_names_its_two_largest_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("symbol", "units", "text"),
    [
        ("sBTC", 1, "1 sat"),
        ("sBTC", 26_000, "26,000 sats"),
        ("STX", 52_520, "0.05252 STX"),
        ("USDCx", 2_000_000, "2 USDCx"),
    ],
)
def test_a_coin_is_shown_in_its_own_way(symbol: str, units: int, text: str) -> None:
    assert words.coins(symbol, units) == text


@pytest.mark.parametrize(
    ("later_ms", "text"),
    [(0, "just now"), (60_000, "1 minute ago"), (7_300_000, "2 hours ago"), (86_400_000, "1 day ago")],
)
def test_ago_is_the_largest_unit(later_ms: int, text: str) -> None:
    assert words.ago(1_000, 1_000 + later_ms) == text
