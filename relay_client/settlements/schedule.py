"""When to look at what again: one heap of keys, a bounded number of them at work, never one key twice at once."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)
RETRY_AFTER_BUG_MS = 5_000


class SettlementClock(Protocol):
    """Wall time for records, monotonic time for waiting."""

    def now_ms(self) -> int:
        """Wall time, milliseconds since 1970."""

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment; never goes back."""


class Schedule:
    """Runs `work(key)` when a key is due. `work` returns the pause in ms until the key is due again, or None."""

    def __init__(
        self, clock: SettlementClock, work: Callable[[str], Awaitable[int | None]], *, concurrency: int, name: str
    ) -> None:
        self._clock = clock
        self._work = work
        self._concurrency = concurrency
        self._name = name
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due.keys() | self._running.keys())

    def after(self, key: str, pause_ms: int) -> None:
        """Have `key` worked on in `pause_ms`, or sooner if it already was to be."""
        due = self._clock.monotonic_ms() + pause_ms
        if key not in self._due or due < self._due[key]:
            self._due[key] = due
            if key not in self._running:
                self._push(key)

    def _push(self, key: str) -> None:
        heapq.heappush(self._heap, (self._due[key], key))
        self._changed.set()

    def _start_due(self) -> None:
        now = self._clock.monotonic_ms()
        while self._heap and self._heap[0][0] <= now and len(self._running) < self._concurrency:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) != due:
                continue  # an earlier time took its place
            del self._due[key]
            self._running[key] = asyncio.create_task(self._run_one(key), name=f"{self._name} {key}")

    async def _run_one(self, key: str) -> None:
        try:
            pause_ms = await self._work(key)
        except Exception:  # noqa: BLE001
            # A bug in one payment's handling must neither stop the others nor lose this one.
            _log.exception("settlement step failed", schedule=self._name, key=key)
            pause_ms = RETRY_AFTER_BUG_MS
        finally:
            self._running.pop(key, None)
            self._changed.set()
            if key in self._due:
                self._push(key)  # asked for while it was at work
        if pause_ms is not None:
            self.after(key, pause_ms)

    async def tick(self) -> int:
        """Work on everything due at this moment, and wait for it; returns how many keys were."""
        count = 0
        while True:
            self._start_due()
            if not self._running:
                return count
            tasks = list(self._running.values())
            await asyncio.gather(*tasks)
            count += len(tasks)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._changed.clear()
            self._start_due()
            wait = None
            if self._heap and len(self._running) < self._concurrency:
                wait = max(1, self._heap[0][0] - self._clock.monotonic_ms()) / 1000
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def aclose(self) -> None:
        """Cancel what is at work; everything can be taken up again from the store."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._due.clear()
        self._heap.clear()
