"""Which still prices count as frozen, by the weight of those that moved."""

import pytest

from oracle.freeze import FreezeWatch
from oracle.pairs import Pair, Word

GROUPS = {name: name for name in ("coinbase", "kraken", "coingecko", "tenero")}
WEIGHTS = {"coinbase": 2, "kraken": 2, "coingecko": 1, "tenero": 1}
LATER_MS = 600_001


def words(prices: dict[str, int], at_ms: int) -> list[Word]:
    return [Word(source, Pair.STX_BTC, pico, at_ms) for source, pico in prices.items()]


def frozen(before: dict[str, int], after: dict[str, int]) -> set[str]:
    watch = FreezeWatch(GROUPS, WEIGHTS, 600_000, 3_000)
    watch.look(words(before, 0), 0)
    return {source for source, _ in watch.frozen(words(after, LATER_MS), LATER_MS)}


STILL = dict.fromkeys(GROUPS, 1_000_000)


@pytest.mark.parametrize("lie", [995_900, 1_004_100])
def test_light_liars_do_not_make_an_honest_price_look_frozen(lie: int) -> None:
    """Two groups of four, and a third of the weight: fewer than can move the rate."""
    after = {"kraken": 1_000_000, "coinbase": 1_000_400, "coingecko": lie, "tenero": lie}
    assert frozen(STILL, after) == set()


def test_a_price_is_frozen_when_most_of_the_weight_has_moved() -> None:
    after = {"kraken": 1_000_000, "coinbase": 1_004_000, "coingecko": 1_004_000, "tenero": 1_000_000}
    assert "kraken" in frozen(STILL, after)


def test_who_was_never_heard_counts_as_not_moved() -> None:
    before = {"kraken": 1_000_000, "coingecko": 1_000_000, "tenero": 1_000_000}
    after = {**before, "coingecko": 1_004_000, "tenero": 1_004_000}
    assert frozen(before, after) == set()
