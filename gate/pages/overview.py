"""What the dashboard and the front page's counters tell: computed once for all who look, at most once a second.

Nobody looking means nothing is asked. A viewer is sent everything once, then only the wallets that changed: between two
changes a balance is a line that a browser can draw by itself.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from actors.hosting.overview import WalletRow
from actors.view import iso
from gate.parts.room import together
from gate.parts.services import Services
from gate.wire.metrics import Metrics
from operations.errors import SatboxError
from sandboxes.protocol import SandboxError

LOOK_MS = 1_000
SIDE_MS = 2_000
LOOK_SECONDS_MAX = 5.0
RATE_MS = 60_000
RUNWAY_EDGES_SECONDS = (60, 600, 3_600, 6 * 3_600, 86_400, 7 * 86_400)
"""Edges of the runway histogram: a minute, ten, an hour, six, a day, a week, longer."""


@dataclass
class Sight:
    """Everything as of one look. `serial` counts looks that found a change."""

    at_ms: int
    rows: dict[str, WalletRow] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    serial: int = 0
    unread: int = 0
    is_stale: bool = False

    def totals(self) -> dict[str, Any]:
        """Sums over all wallets."""
        rows = self.rows.values()
        states = Counter(row.state for row in rows)
        runway = [0] * (len(RUNWAY_EDGES_SECONDS) + 1)
        for row in rows:
            if row.seconds_left is not None:
                runway[sum(row.seconds_left >= edge for edge in RUNWAY_EDGES_SECONDS)] += 1
        return {
            "wallets": len(self.rows),
            "states": dict(states),
            "runway": runway,
            "balance_usat": sum(row.balance_usat for row in rows),
            "owed_usat": sum(row.owed_usat for row in rows),
            "burnt_usat": sum(row.burnt_usat for row in rows),
            "deposited_usat": sum(row.deposited_usat for row in rows),
            "earned_usat": sum(row.earned_usat for row in rows),
            "call_fees_usat": sum(row.call_fees_usat for row in rows),
            "burn_usat_per_second": sum(row.burn_usat_per_second for row in rows),
            "unread": self.unread,
            "is_stale": self.is_stale,
            "at": iso(self.at_ms),
        }


class Overview:
    """Looks for all viewers of one gate."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._services = services
        self._metrics = metrics
        self._sight = Sight(0)
        self._looked_ms: int | None = None
        self._looking = asyncio.Lock()
        self._side: dict[str, Any] = {}
        self._side_ms: int | None = None
        self._calls: deque[tuple[int, int]] = deque()
        self.viewers = 0

    @contextlib.contextmanager
    def viewing(self, viewers_max: int) -> Iterator[None]:
        """Count a viewer while it looks. Raises overloaded when there are too many."""
        if self.viewers >= viewers_max:
            raise SatboxError("overloaded", retry_after=5)
        self.viewers += 1
        try:
            yield
        finally:
            self.viewers -= 1

    async def sight(self) -> Sight:
        """The newest look, at most a second old; one that is older, marked stale, while hosts are silent."""
        async with self._looking:
            now_ms = self._services.clock.monotonic_ms()
            if self._looked_ms is None or now_ms - self._looked_ms >= LOOK_MS:
                self._looked_ms = now_ms
                await self._look()
        return self._sight

    async def _look(self) -> None:
        sight = self._sight
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                told = await self._services.system.overview()
        except (SatboxError, TimeoutError):
            sight.is_stale = True
            return
        rows = {row.address: row for page in told.values() for row in page.rows}
        serial = sight.serial + 1
        for address, row in rows.items():
            if _differs(sight.rows.get(address), row):
                sight.changed[address] = serial
                sight.gone.pop(address, None)
                sight.serial = serial
        for address in sight.rows.keys() - rows.keys():
            sight.gone[address] = sight.serial = serial
            sight.changed.pop(address, None)
        sight.rows, sight.is_stale = rows, False
        sight.unread = sum(page.unread for page in told.values())
        sight.at_ms = self._services.clock.wall_ms()

    async def beside(self) -> dict[str, Any]:
        """Settlements, oracle, node and errors, at most two seconds old. A part that is silent says so."""
        now_ms = self._services.clock.monotonic_ms()
        if self._side_ms is None or now_ms - self._side_ms >= SIDE_MS:
            self._side_ms = now_ms
            settlements, capacity = await asyncio.gather(self._settlements(), self._capacity())
            self._side = {
                "settlements": settlements,
                "capacity": capacity,
                "sources": self._sources(),
                "errors": self._errors(),
                "calls_per_minute": self._calls_per_minute(now_ms),
                "viewers": self.viewers,
            }
        return self._side

    async def _settlements(self) -> dict[str, int] | None:
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                return await self._services.settlements.states()
        except (SatboxError, TimeoutError):
            return None

    async def _capacity(self) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                told = await asyncio.gather(*(node.capacity() for node in self._services.nodes.all()))
        except (SandboxError, TimeoutError):
            return None
        return {name: asdict(slots) for name, slots in together(told).items()}

    def _sources(self) -> list[dict[str, Any]] | None:
        snapshot = self._services.oracle.snapshot()
        if snapshot is None:
            return None
        return [
            {
                "name": source.name,
                "age_seconds": None if source.told_at_ms is None else (snapshot.at_ms - source.told_at_ms) / 1000,
                "error": source.error,
                "standings": {asset: standing.state for asset, standing in source.standings.items()},
            }
            for source in snapshot.sources
        ]

    def _calls_per_minute(self, now_ms: int) -> int | None:
        """Calls paid at this gate in the last minute, or at that rate since somebody looks; None at a first look."""
        self._calls.append((now_ms, self._metrics.calls_paid_count()))
        while self._calls[0][0] < now_ms - RATE_MS:
            self._calls.popleft()
        (since_ms, before), (_, now) = self._calls[0], self._calls[-1]
        return None if since_ms == now_ms else round((now - before) * RATE_MS / (now_ms - since_ms))

    def _errors(self) -> list[dict[str, Any]]:
        """Answers of this gate that were no success, the most frequent first."""
        counts: Counter[str] = Counter()
        for family in self._metrics.requests.collect():
            for sample in family.samples:
                if sample.name.endswith("_total") and sample.labels["code"] != "ok":
                    counts[sample.labels["code"]] += int(sample.value)
        return [{"code": code, "count": count} for code, count in counts.most_common(12)]


def _differs(before: WalletRow | None, now: WalletRow) -> bool:
    """Whether browsers need an update. They do not when only time has passed."""
    if before is None:
        return True
    return (before.version, before.state, before.burn_usat_per_second, before.pending) != (
        now.version,
        now.state,
        now.burn_usat_per_second,
        now.pending,
    )


def news(sight: Sight, after: int) -> tuple[list[list[Any]], list[str]]:
    """Rows that changed since a serial, in short form, and addresses that are gone."""
    rows = [short_row(sight.rows[address]) for address, serial in sight.changed.items() if serial > after]
    return rows, [address for address, serial in sight.gone.items() if serial > after]


def short_row(row: WalletRow) -> list[Any]:
    """A row as a browser gets it; the order is `dashboard.js`'s."""
    return [
        row.address,
        row.state,
        row.size_class,
        row.is_paused,
        row.balance_usat,
        row.owed_usat,
        row.burnt_usat,
        row.deposited_usat,
        row.burn_usat_per_second,
        row.seconds_left,
        row.pending,
        row.reason,
    ]
