"""Sources that stand still while the market moves: fresh timestamps on an old price. Pure.

A price that does not change proves nothing by itself. It is frozen once it has stood for `frozen_ms` and the median of the
others has moved by more than `frozen_ppm` since it was first told.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from oracle.pairs import PPM, Pair, Word, median


@dataclass(frozen=True, slots=True)
class _Stand:
    pico: int
    since_ms: int
    others_pico: int


class FreezeWatch:
    """Remembers since when each source has told the same price of a pair, and where the others stood then."""

    def __init__(self, frozen_ms: int, frozen_ppm: int) -> None:
        self._frozen_ms = frozen_ms
        self._frozen_ppm = frozen_ppm
        self._stands: dict[tuple[str, Pair], _Stand] = {}

    def look(self, words: Iterable[Word], now_ms: int) -> None:
        """Take note of what is told now: one word per source and pair."""
        told = list(words)
        for word in told:
            others = _others(word, told)
            stand = self._stands.get((word.source, word.pair))
            if others is not None and (stand is None or stand.pico != word.pico or stand.since_ms > now_ms):
                self._stands[word.source, word.pair] = _Stand(word.pico, now_ms, others)

    def frozen(self, words: Iterable[Word], now_ms: int) -> set[tuple[str, Pair]]:
        """(source, pair) of the words that stand still."""
        told = list(words)
        return {(word.source, word.pair) for word in told if self._is_frozen(word, told, now_ms)}

    def _is_frozen(self, word: Word, told: list[Word], now_ms: int) -> bool:
        stand, others = self._stands.get((word.source, word.pair)), _others(word, told)
        if stand is None or others is None or stand.pico != word.pico or now_ms - stand.since_ms < self._frozen_ms:
            return False
        return abs(others - stand.others_pico) * PPM > stand.others_pico * self._frozen_ppm


def _others(word: Word, told: list[Word]) -> int | None:
    """The median of what at least two others say of the pair."""
    values = [other.pico for other in told if other.pair is word.pair and other.source != word.source]
    return median(values) if len(values) >= 2 else None
