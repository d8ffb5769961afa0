"""Deadlines of many wallets on one heap: one entry each, one task for all."""

import heapq
import itertools


class Timers:
    """The next alarm of each wallet, in node milliseconds. Re-arming replaces; stale heap entries are skipped."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._armed: dict[str, tuple[int, int]] = {}
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, address: str, at_ms: int | None) -> None:
        """Set, move or clear a wallet's alarm."""
        if at_ms is None:
            self._armed.pop(address, None)
            return
        if self._armed.get(address, (None,))[0] == at_ms:
            return
        order = next(self._order)
        self._armed[address] = (at_ms, order)
        heapq.heappush(self._heap, (at_ms, order, address))
        if len(self._heap) > 64 + 4 * len(self._armed):
            self._heap = [(at, order, name) for name, (at, order) in self._armed.items()]
            heapq.heapify(self._heap)

    def next_ms(self) -> int | None:
        """The earliest alarm."""
        while self._heap:
            at_ms, order, address = self._heap[0]
            if self._armed.get(address) == (at_ms, order):
                return at_ms
            heapq.heappop(self._heap)
        return None

    def due(self, now_ms: int) -> list[str]:
        """Take out the wallets whose alarm has come."""
        taken: list[str] = []
        while (at_ms := self.next_ms()) is not None and at_ms <= now_ms:
            address = heapq.heappop(self._heap)[2]
            del self._armed[address]
            taken.append(address)
        return taken
