"""Keeps the oracle's last snapshot beside a gate, so that no request waits for the oracle."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from operations.errors import SatboxError
from oracle.snapshot import Snapshot

_log = structlog.get_logger(__name__)
EVERY_SECONDS = 1.0
ANSWER_SECONDS_MAX = 5.0
AGE_MS_MAX = 20_000


class SnapshotFollower:
    """Asks `fetch` again and again; `latest` never waits. `monotonic_ms` tells how long ago the oracle was heard."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Snapshot]],
        *,
        monotonic_ms: Callable[[], int],
        age_ms_max: int = AGE_MS_MAX,
        every_seconds: float = EVERY_SECONDS,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> None:
        self._fetch = fetch
        self._monotonic_ms = monotonic_ms
        self._age_ms_max = age_ms_max
        self._every_seconds = every_seconds
        self._answer_seconds_max = answer_seconds_max
        self._held: tuple[int, Snapshot] | None = None

    def latest(self) -> Snapshot | None:
        """The last snapshot; None when the oracle was last heard of too long ago."""
        if self._held is None or self._monotonic_ms() - self._held[0] > self._age_ms_max:
            return None
        return self._held[1]

    async def ask(self) -> bool:
        """Ask once, within bounds; whether there was an answer. Its age counts from when it was asked for."""
        asked_at_ms = self._monotonic_ms()
        try:
            async with asyncio.timeout(self._answer_seconds_max):
                snapshot = await self._fetch()
        except (TimeoutError, SatboxError) as error:
            _log.info("the oracle does not answer", error=str(error))
            return False
        self._held = (asked_at_ms, snapshot)
        return True

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(self._every_seconds)
