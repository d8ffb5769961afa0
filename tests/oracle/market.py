"""An oracle over sources that say what a test tells them to, on a clock of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from oracle.anchor import Anchor
from oracle.oracle import Oracle, OracleSettings
from oracle.pairs import PICO, Pair, Word
from oracle.parsing import SourceFailed
from oracle.sources import Fetched, SourceKind

BTC = Fraction(100_000)
STX = Fraction(1, 2)
USAT = 1_000_000


@dataclass
class ScriptedSource:
    """Tells `prices`; None is silence. `lag_ms` makes its words old."""

    kind: SourceKind
    prices: dict[Pair, Fraction] | None
    lag_ms: int = 0
    asked: int = 0

    async def fetch(self, now_ms: Callable[[], int]) -> Fetched:
        self.asked += 1
        if self.prices is None:
            raise SourceFailed("silent")
        at_ms = now_ms() - self.lag_ms
        return Fetched(tuple(Word(self.kind.name, p, int(v * PICO), at_ms) for p, v in self.prices.items()))


class Memory:
    """Anchors that outlive an oracle, as the file does."""

    def __init__(self) -> None:
        self.anchors: dict[str, Anchor] = {}
        self.fails: Exception | None = None

    async def load(self) -> dict[str, Anchor]:
        return dict(self.anchors)

    async def save(self, anchors: Mapping[str, Anchor]) -> None:
        if self.fails is not None:
            raise self.fails
        self.anchors = dict(anchors)


@dataclass
class Market:
    """`count` independent sources, a clock, and an oracle over them."""

    count: int = 5
    settings: OracleSettings = field(default_factory=OracleSettings)
    ms: int = 1_800_000_000_000
    store: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.sources = [
            ScriptedSource(
                SourceKind(f"s{n}", f"g{n}", 2, "", (), heartbeat_ms=10_000, stale_ms=60_000, counts_dollars=True), None
            )
            for n in range(self.count)
        ]
        self.tell()
        self.restart()

    def restart(self) -> None:
        """A new oracle that knows only what was stored."""
        self.oracle = Oracle(self.sources, self.store, self.settings, now_ms=lambda: self.ms)

    def tell(self, stx: Fraction = STX, btc: Fraction = BTC, usdc: Fraction = Fraction(1)) -> None:
        """Every source tells the same truth."""
        for source in self.sources:
            source.prices = {Pair.STX_USD: stx, Pair.BTC_USD: btc, Pair.USDC_USD: usdc}

    async def round(self, seconds: float = 10) -> None:
        """Time passes, and every source is asked."""
        self.ms += round(seconds * 1000)
        await self.oracle.refresh(everything=True)

    def rate(self, asset: str = "STX") -> int | None:
        """The rate that is offered, in micro-sats per coin."""
        found = self.oracle.snapshot().rates.get(asset)
        return None if found is None else found.usat_per_coin

    def why(self, asset: str = "STX") -> str:
        """The code for which it is withheld."""
        return self.oracle.snapshot().withheld[asset].code
