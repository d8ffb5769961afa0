"""Sources that stand still while the market moves: fresh timestamps on an old price. Pure.

A price that does not change proves nothing by itself. It is frozen once it has stood for `frozen_ms` and others with three fifths
of the other groups' weight have moved by more than `frozen_ppm` the same way since it was first told. Groups that said
nothing then or say nothing now count as not moved.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from oracle.pairs import PPM, Pair, Word

GROUPS_MIN = 2


@dataclass(frozen=True, slots=True)
class _Stand:
    """A price, since when it is told, and what the others told then."""

    pico: int
    since_ms: int
    others: Mapping[str, int]


class FreezeWatch:
    """Remembers since when each source has told the same price of a pair. `groups` names each source's group, `weights` says
    what each group counts for.
    """

    def __init__(self, groups: Mapping[str, str], weights: Mapping[str, int], frozen_ms: int, frozen_ppm: int) -> None:
        self._groups = groups
        self._weights = weights
        self._frozen_ms = frozen_ms
        self._frozen_ppm = frozen_ppm
        self._stands: dict[tuple[str, Pair], _Stand] = {}

    def look(self, words: Iterable[Word], now_ms: int) -> None:
        """Take note of what is told now: one word per source and pair."""
        told = list(words)
        for word in told:
            stand = self._stands.get((word.source, word.pair))
            if stand is None or stand.pico != word.pico or stand.since_ms > now_ms:
                self._stands[word.source, word.pair] = _Stand(word.pico, now_ms, self._others(word, told))

    def frozen(self, words: Iterable[Word], now_ms: int) -> set[tuple[str, Pair]]:
        """(source, pair) of the words that stand still."""
        told = list(words)
        return {(word.source, word.pair) for word in told if self._is_frozen(word, told, now_ms)}

    def _others(self, word: Word, told: list[Word]) -> dict[str, int]:
        """What sources of other groups say of the pair."""
        own = self._groups[word.source]
        return {w.source: w.pico for w in told if w.pair is word.pair and self._groups[w.source] != own}

    def _is_frozen(self, word: Word, told: list[Word], now_ms: int) -> bool:
        stand = self._stands.get((word.source, word.pair))
        if stand is None or stand.pico != word.pico or now_ms - stand.since_ms < self._frozen_ms:
            return False
        risen, fallen = set[str](), set[str]()
        for source, now_pico in self._others(word, told).items():
            then_pico, group = stand.others.get(source), self._groups[source]
            if then_pico is not None and abs(now_pico - then_pico) * PPM > then_pico * self._frozen_ppm:
                (risen if now_pico > then_pico else fallen).add(group)
        own = self._groups[word.source]
        whole = sum(weight for group, weight in self._weights.items() if group != own)
        return any(
            len(moved) >= GROUPS_MIN and 5 * sum(self._weights[group] for group in moved) >= 3 * whole
            for moved in (risen - fallen, fallen - risen)
        )
