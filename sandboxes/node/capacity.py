"""How many runtimes fit: slots per size class, and room kept for addresses that are about to pay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from sandboxes.protocol import BadRequest, Capacity, ClassCapacity, NoCapacity, Reservation

RESERVATION_SECONDS_MAX = 3600.0
RETRY_SECONDS_MIN = 1.0


class CapacityBook:
    """Counts of used and reserved slots. Pure but for the clock given (milliseconds)."""

    def __init__(self, totals: Mapping[str, int], clock_ms: Callable[[], int]) -> None:
        self._totals = dict(totals)
        self._clock_ms = clock_ms
        self._used: dict[str, str] = {}
        self._reserved: dict[str, tuple[str, int]] = {}

    def _live(self) -> dict[str, tuple[str, int]]:
        now = self._clock_ms()
        self._reserved = {address: kept for address, kept in self._reserved.items() if kept[1] > now}
        return self._reserved

    def _require_room(self, size_class: str, address: str) -> None:
        total = self._totals.get(size_class)
        if total is None:
            raise BadRequest(f"no size class {size_class!r}", code="unknown_size_class")
        used = sum(1 for name in self._used.values() if name == size_class)
        others = [until for owner, (name, until) in self._live().items() if name == size_class and owner != address]
        if used + len(others) >= total:
            wait_ms = min(others, default=self._clock_ms() + 5000) - self._clock_ms()
            raise NoCapacity(
                f"no {size_class} slot is free", retry_after_seconds=max(RETRY_SECONDS_MIN, wait_ms / 1000)
            )

    def reserve(self, reservation: Reservation) -> None:
        """Keep room for one address, replacing what it had. Raises NoCapacity, BadRequest."""
        if not 0 < reservation.expires_seconds <= RESERVATION_SECONDS_MAX:
            raise BadRequest("a reservation lasts up to an hour")
        self._require_room(reservation.size_class, reservation.address)
        until = self._clock_ms() + int(reservation.expires_seconds * 1000)
        self._reserved[reservation.address] = (reservation.size_class, until)

    def release(self, address: str) -> None:
        """Give a reservation back."""
        self._reserved.pop(address, None)

    def take(self, runtime_id: str, size_class: str, address: str) -> None:
        """Use a slot for a runtime, consuming the address's reservation. Raises NoCapacity, BadRequest."""
        self._require_room(size_class, address)
        self._reserved.pop(address, None)
        self._used[runtime_id] = size_class

    def adopt(self, runtimes: Iterable[tuple[str, str]]) -> None:
        """Count runtimes that hold a slot already: (runtime id, size class)."""
        self._used.update(runtimes)

    def give_back(self, runtime_id: str) -> None:
        """A runtime's slot is free again."""
        self._used.pop(runtime_id, None)

    def capacity(self) -> Capacity:
        """The counts now."""
        used = Counter(self._used.values())
        reserved = Counter(name for name, _until in self._live().values())
        return Capacity(
            {name: ClassCapacity(total, used[name], reserved[name]) for name, total in self._totals.items()}
        )  # fmt: skip
