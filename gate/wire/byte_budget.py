"""Budgets for what a gate holds in memory: so many bytes for one wallet or peer, so many for all of them together."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator

from operations.errors import SatboxError

TOTAL_BYTES = 512 << 20
OWNER_BYTES = 64 << 20
OVERDRAFT_BYTES = 32 << 20
"""What the oldest holder of an owner may take beyond its share: as many as hold it all and wait for more would wait in vain."""
FREE_BYTES = 65_536
"""Of each request, counted for its owner alone: when others hold the whole, usual requests pass all the same."""
WAIT_SECONDS = 20.0
"""For room. Longer than most that hold it, shorter than most callers wait."""


class ByteBudget:
    """What is held now, by owner. A wallet's budget is a share of the whole, so that some at least can use theirs at once."""

    def __init__(
        self,
        total: int = TOTAL_BYTES,
        per_owner: int = OWNER_BYTES,
        wait_seconds: float = WAIT_SECONDS,
        free_bytes: int = 0,
    ) -> None:
        self._total = total
        self._per_owner = per_owner
        self._free_bytes = free_bytes
        self._wait_seconds = wait_seconds
        self._held: Counter[str] = Counter()
        self._held_by_all = 0
        self._holders: dict[str, dict[Lease, None]] = {}
        self._freed = asyncio.Event()

    @property
    def held_bytes(self) -> int:
        """By all, without what is free."""
        return self._held_by_all

    @contextlib.contextmanager
    def lease(self, owner: str) -> Iterator["Lease"]:
        """A part that grows while it lasts and is given back as a whole."""
        lease = Lease(self, owner)
        try:
            yield lease
        finally:
            lease.close()

    def take(self, lease: "Lease", size: int) -> bool:
        """Whether there was room."""
        owner, holders = lease.owner, self._holders.get(lease.owner, {})
        limit = self._per_owner + (OVERDRAFT_BYTES if next(iter(holders), None) is lease else 0)
        more = self._of_whole(lease.size + size) - self._of_whole(lease.size)
        if self._held[owner] + size > limit or (more and self._held_by_all + more > self._total):
            return False
        self._held[owner] += size
        self._held_by_all += more
        self._holders.setdefault(owner, holders)[lease] = None
        return True

    def give_back(self, lease: "Lease", size: int) -> None:
        """All that it holds."""
        owner = lease.owner
        self._held[owner] -= size
        self._held_by_all -= self._of_whole(size)
        del self._holders[owner][lease]
        if not self._holders[owner]:
            del self._held[owner], self._holders[owner]
        self._freed.set()
        self._freed = asyncio.Event()

    def _of_whole(self, size: int) -> int:
        return max(0, size - self._free_bytes)

    async def take_patiently(self, lease: "Lease", size: int) -> bool:
        """Whether there was room in time."""
        if self.take(lease, size):
            return True
        if size > self._per_owner:
            return False
        try:
            async with asyncio.timeout(self._wait_seconds):
                while True:
                    await self._freed.wait()
                    if self.take(lease, size):
                        return True
        except TimeoutError:
            return False


class Lease:
    """What one request holds."""

    def __init__(self, budget: ByteBudget, owner: str) -> None:
        self._budget = budget
        self.owner = owner
        self.size = 0

    async def grow(self, size: int) -> bool:
        """Hold more, waiting for room; False, and nothing more is held, when there was none in time."""
        if not await self._budget.take_patiently(self, size):
            return False
        self.size += size
        return True

    async def need(self, size: int) -> None:
        """As `grow`. Raises overloaded when there was no room in time."""
        if not await self.grow(size):
            raise SatboxError("overloaded", "Too much is held in memory for this caller.", retry_after=1)

    def close(self) -> None:
        """Give all of it back."""
        if self.size:
            self._budget.give_back(self, self.size)
            self.size = 0
