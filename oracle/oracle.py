"""The oracle: asks each source by its own heartbeat, keeps the anchors, and says at any moment what can be believed.

What is published never runs ahead of the disk: anchors are stored before they count, so that a restart finds them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from oracle.aggregate import ASSETS, Candidate, Rate, Rules, Withheld, aggregate, shares
from oracle.anchor import Anchor, AnchorRules, follow, is_jump
from oracle.candidates import Table, WordRules
from oracle.freeze import FreezeWatch
from oracle.pairs import PPM, USAT_PER_SAT, Pair, Word
from oracle.parsing import SourceFailed
from oracle.snapshot import Reason, Snapshot, SourceHealth, Standing
from oracle.sources import PriceSource, SourceKind
from storage.errors import StorageError

_log = structlog.get_logger(__name__)


class AnchorStore(Protocol):
    """Where anchors outlive the process."""

    async def load(self) -> dict[str, Anchor]:
        """The anchors as stored last, by asset."""

    async def save(self, anchors: Mapping[str, Anchor]) -> None:
        """Store them; raises StorageError or OSError. Returns once they are on disk."""


@dataclass(frozen=True, slots=True)
class OracleSettings:
    """The rules of every step. A price that stood for `frozen_ms` while the others moved `frozen_ppm` is frozen."""

    rules: Rules = field(default_factory=Rules)
    words: WordRules = field(default_factory=WordRules)
    anchor: AnchorRules = field(default_factory=AnchorRules)
    frozen_ms: int = 600_000
    frozen_ppm: int = 3_000


@dataclass(slots=True)
class _Record:
    """What became of asking one source."""

    asked_at_ms: int | None = None
    last_ok_at_ms: int | None = None
    failures: int = 0
    error: str | None = None


class Oracle:
    """Prices from `sources`. `now_ms` is wall time."""

    def __init__(
        self,
        sources: Sequence[PriceSource],
        anchors: AnchorStore,
        settings: OracleSettings,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._sources = tuple(sources)
        self._store = anchors
        self._settings = settings
        self._now_ms = now_ms
        self._told: dict[tuple[str, Pair], Word] = {}
        self._records = {source.kind.name: _Record() for source in self._sources}
        groups = {source.kind.name: source.kind.group for source in self._sources}
        weights = {source.kind.group: source.kind.weight for source in self._sources}
        self._watch = FreezeWatch(groups, weights, settings.frozen_ms, settings.frozen_ppm)
        self._anchors: dict[str, Anchor] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def refresh(self, *, everything: bool = False) -> None:
        """Ask the sources whose heartbeat is due, or all. Callers at the same time share one round; a source that fails
        is no error.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._round(everything), name="oracle round")
        await asyncio.shield(self._refreshing)

    async def first_round(self) -> None:
        """Have asked every source once."""
        if any(record.asked_at_ms is None for record in self._records.values()):
            await self.refresh()

    async def _round(self, everything: bool) -> None:
        if self._anchors is None:
            self._anchors = await self._store.load()
        now_ms = self._now_ms()
        due = [source for source in self._sources if everything or self._is_due(source.kind, now_ms)]
        if not due:
            return
        async with asyncio.TaskGroup() as group:
            for source in due:
                group.create_task(self._ask(source))
        await self._follow()

    def _is_due(self, kind: SourceKind, now_ms: int) -> bool:
        asked = self._records[kind.name].asked_at_ms
        return asked is None or not 0 <= now_ms - asked < kind.heartbeat_ms

    async def _ask(self, source: PriceSource) -> None:
        record = self._records[source.kind.name]
        record.asked_at_ms = self._now_ms()
        try:
            fetched = await source.fetch(self._now_ms)
        except SourceFailed as error:
            record.failures += 1
            record.error = str(error)[:200]
            _log.info("price source failed", source=source.kind.name, error=record.error)
            return
        record.last_ok_at_ms, record.failures = self._now_ms(), 0
        record.error = "; ".join(sorted(set(fetched.errors)))[:200] or None
        for word in fetched.words:
            self._told[word.source, word.pair] = word

    async def _follow(self) -> None:
        """After a round: note who stands still, and let the anchors walk. Those on disk count, nothing else."""
        now_ms = self._now_ms()
        assert self._anchors is not None
        table = self._table(set(), now_ms)
        self._watch.look([word for pair in Pair for word in table.good(pair).values()], now_ms)
        table, moved = self._judged(now_ms), {}
        for asset in ASSETS:
            rate, _ = self._rate(table, asset)
            if isinstance(rate, Rate):
                moved[asset] = follow(self._anchors.get(asset), rate.usat_per_coin, now_ms, self._settings.anchor)
        if moved:
            anchors = {**self._anchors, **moved}
            try:
                await self._store.save(anchors)
            except (StorageError, OSError) as error:
                _log.warning("anchors were not stored", error=str(error))
                return
            self._anchors = anchors

    def _table(self, frozen: set[tuple[str, Pair]], now_ms: int) -> Table:
        return Table((source.kind for source in self._sources), self._told, frozen, now_ms, self._settings.words)

    def _judged(self, now_ms: int) -> Table:
        fresh = self._table(set(), now_ms)
        words = [word for pair in Pair for word in fresh.good(pair).values()]
        return self._table(self._watch.frozen(words, now_ms), now_ms)

    def _rate(self, table: Table, asset: str) -> tuple[Rate | Reason, dict[str, Standing]]:
        told = {kind.name: table.candidate(kind, asset) for kind in table.kinds}
        candidates = [found for found in told.values() if isinstance(found, Candidate)]
        rate: Rate | Reason
        try:
            rate = aggregate(asset, candidates, self._settings.rules)
            if asset == "USDCx":
                table.check_peg()
        except Withheld as error:
            rate = Reason(error.code, error.message)
        weights = shares(candidates)
        total = sum(weights.values())
        standings = {}
        for name, found in told.items():
            if not isinstance(found, Candidate):
                standings[name] = Standing(found, None, 0)
                continue
            state = "used" if isinstance(rate, Rate) and name in rate.used else "rejected"
            if isinstance(rate, Reason):
                state = "fresh"
            standings[name] = Standing(state, found.usat_per_coin, weights[name] * PPM // total)
        return rate, standings

    def snapshot(self) -> Snapshot:
        """What is known now, without asking anybody."""
        now_ms = self._now_ms()
        table, anchors = self._judged(now_ms), self._anchors or {}
        rates: dict[str, Rate] = {}
        withheld: dict[str, Reason] = {}
        standings: dict[str, dict[str, Standing]] = {}
        for asset in ASSETS:
            rate, standings[asset] = self._rate(table, asset)
            anchor = anchors.get(asset)
            if isinstance(rate, Reason):
                withheld[asset] = rate
            elif anchor is None:
                withheld[asset] = Reason("audit_unavailable", "the price could not be written down")
            elif is_jump(anchor, rate.usat_per_coin, self._settings.anchor):
                words = f"{_sats(rate.usat_per_coin)} sats are too far from {_sats(anchor.usat_per_coin)} minutes ago"
                withheld[asset] = Reason("price_jump", words)
            else:
                rates[asset] = rate
        sources = tuple(
            self._health(source.kind, {asset: standings[asset][source.kind.name] for asset in ASSETS})
            for source in self._sources
        )
        return Snapshot(rates, withheld, {a: k.usat_per_coin for a, k in anchors.items()}, sources, now_ms)

    def _health(self, kind: SourceKind, standings: dict[str, Standing]) -> SourceHealth:
        record = self._records[kind.name]
        words = [word for (source, _), word in self._told.items() if source == kind.name]
        return SourceHealth(
            name=kind.name,
            group=kind.group,
            weight=kind.weight,
            timeout_seconds=kind.timeout_seconds,
            heartbeat_ms=kind.heartbeat_ms,
            stale_ms=kind.stale_ms,
            asked_at_ms=record.asked_at_ms,
            last_ok_at_ms=record.last_ok_at_ms,
            failures_in_a_row=record.failures,
            error=record.error,
            pico={word.pair.value: word.pico for word in words},
            told_at_ms=min((word.at_ms for word in words), default=None),
            standings=standings,
        )

    async def aclose(self) -> None:
        """End a round under way."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)


def _sats(usat: int) -> str:
    return f"{usat // USAT_PER_SAT}.{usat % USAT_PER_SAT:06d}"
