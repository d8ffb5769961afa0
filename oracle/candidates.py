"""From words to each source's own rate, and why a source has none. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from oracle.aggregate import Candidate, Withheld, shares, weighted_median
from oracle.pairs import PICO, PPM, SANE_PICO, USAT_PER_BTC, Pair, Word
from oracle.sources import SourceKind

DOLLARS: Final[Mapping[str, Pair]] = {"STX": Pair.STX_USD, "USDCx": Pair.USDC_USD}


@dataclass(frozen=True, slots=True)
class WordRules:
    """When a word counts. `depeg_ppm`: how far USDC may be from a dollar, by `depeg_groups_min` groups that count dollars."""

    ahead_ms: int = 30_000
    self_ppm: int = 20_000
    """How far a source's STX/BTC may be from its own STX/USD over BTC/USD."""
    depeg_ppm: int = 15_000
    depeg_groups_min: int = 2


def fault_of(word: Word | None, stale_ms: int, now_ms: int, frozen: set[tuple[str, Pair]], rules: WordRules) -> str:
    """Why a word does not count: silent, stale, early, insane, frozen; empty when it does."""
    if word is None:
        return "silent"
    if now_ms - word.at_ms > stale_ms:
        return "stale"
    if word.at_ms - now_ms > rules.ahead_ms:
        return "early"
    low, high = SANE_PICO[word.pair]
    if not low <= word.pico <= high:
        return "insane"
    return "frozen" if (word.source, word.pair) in frozen else ""


class Table:
    """Every source's newest words, judged at one moment."""

    def __init__(
        self,
        kinds: Iterable[SourceKind],
        told: Mapping[tuple[str, Pair], Word],
        frozen: set[tuple[str, Pair]],
        now_ms: int,
        rules: WordRules,
    ) -> None:
        self.kinds = tuple(kinds)
        self._rules = rules
        self._words: dict[tuple[str, Pair], Word] = {}
        self._faults: dict[tuple[str, Pair], str] = {}
        for kind in self.kinds:
            for pair in Pair:
                word = told.get((kind.name, pair))
                fault = fault_of(word, kind.stale_ms, now_ms, frozen, rules)
                if word is not None and not fault:
                    self._words[kind.name, pair] = word
                else:
                    self._faults[kind.name, pair] = fault

    def good(self, pair: Pair) -> dict[str, Word]:
        """The words on a pair that count, by source."""
        return {source: word for (source, told), word in self._words.items() if told is pair}

    def candidate(self, kind: SourceKind, asset: str) -> Candidate | str:
        """A source's own rate of an asset, or why it has none."""
        coin, btc = self._words.get((kind.name, DOLLARS[asset])), self._words.get((kind.name, Pair.BTC_USD))
        direct = self._words.get((kind.name, Pair.STX_BTC)) if asset == "STX" else None
        direct_usat = 0 if direct is None else direct.pico * USAT_PER_BTC // PICO
        if coin is not None and btc is not None:
            crossed = coin.pico * USAT_PER_BTC // btc.pico
            if direct is not None and abs(direct_usat - crossed) * PPM > crossed * self._rules.self_ppm:
                return "contradicts itself"
            return Candidate(kind.name, kind.group, kind.weight, crossed, min(coin.at_ms, btc.at_ms))
        if direct is not None:
            return Candidate(kind.name, kind.group, kind.weight, direct_usat, direct.at_ms)
        return self._faults.get((kind.name, DOLLARS[asset])) or self._faults[kind.name, Pair.BTC_USD]

    def check_peg(self) -> None:
        """Raises Withheld depegged unless USDC is near a dollar, or no_quorum when too few can tell."""
        words = self.good(Pair.USDC_USD)
        told = [
            Candidate(kind.name, kind.group, kind.weight, words[kind.name].pico, words[kind.name].at_ms)
            for kind in self.kinds
            if kind.counts_dollars and kind.name in words
        ]
        groups, least = len({one.group for one in told}), self._rules.depeg_groups_min
        if groups < least:
            raise Withheld("no_quorum", f"{groups} of {least} sources that count dollars know USDC's price")
        weights = shares(told)
        dollar = weighted_median((one.usat_per_coin, weights[one.source]) for one in told)
        if abs(dollar - PICO) * PPM > PICO * self._rules.depeg_ppm:
            raise Withheld("depegged", f"USDC is at {dollar // PICO}.{dollar % PICO // 10**8:04d} dollars")
