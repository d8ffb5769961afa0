from hypothesis import given
from hypothesis import strategies as st

from actors.wallet.metering import charge, lasts_ms

rates = st.integers(0, 10**12)


@given(rates, st.lists(st.integers(0, 10**7), max_size=20), st.integers(0, 999))
def test_any_split_of_a_span_charges_the_same_total(rate: int, pieces: list[int], remainder: int) -> None:
    whole, whole_remainder = charge(rate, sum(pieces), remainder)
    total, carried = 0, remainder
    for piece in pieces:
        due, carried = charge(rate, piece, carried)
        total += due

    assert (total, carried) == (whole, whole_remainder)


@given(rates, st.integers(0, 10**15), st.integers(0, 999))
def test_lasts_is_the_first_millisecond_that_empties_the_bucket(rate: int, available: int, remainder: int) -> None:
    lasts = lasts_ms(rate, available, remainder)
    if lasts is None:
        assert rate == 0
        return

    assert charge(rate, lasts, remainder)[0] >= available
    if lasts > 0:
        assert charge(rate, lasts - 1, remainder)[0] < available
