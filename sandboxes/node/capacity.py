"""How many runtimes fit: slots per size class, and room kept for addresses that are about to pay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from sandboxes.protocol import BadRequest, Capacity, ClassCapacity, NoCapacity, Reservation

RESERVATION_SECONDS_MAX = 3600.0
RETRY_SECONDS_MIN = 1.0
HOLDERS_MAX = 64
"""Of one address's room."""


class CapacityBook:
    """Counts of used and reserved slots. Pure but for the clock given (milliseconds)."""

    def __init__(self, totals: Mapping[str, int], clock_ms: Callable[[], int]) -> None:
        self._totals = dict(totals)
        self._clock_ms = clock_ms
        self._used: dict[str, str] = {}
        self._reserved: dict[str, dict[str, tuple[str, int]]] = {}
        """By address and holder: size class, and until when."""

    def _live(self) -> dict[str, dict[str, tuple[str, int]]]:
        now = self._clock_ms()
        live = {
            address: {holder: one for holder, one in kept.items() if one[1] > now}
            for address, kept in self._reserved.items()
        }
        self._reserved = {address: kept for address, kept in live.items() if kept}
        return self._reserved

    def _kept(self) -> Iterator[tuple[str, str, int]]:
        """(address, size class, until): a slot for each, however many hold it."""
        for address, kept in self._live().items():
            for size_class in {name for name, _until in kept.values()}:
                yield address, size_class, max(until for name, until in kept.values() if name == size_class)

    def _require_room(self, size_class: str, address: str) -> None:
        total = self._totals.get(size_class)
        if total is None:
            raise BadRequest(f"no size class {size_class!r}", code="unknown_size_class")
        used = sum(1 for name in self._used.values() if name == size_class)
        others = [until for owner, name, until in self._kept() if name == size_class and owner != address]
        if used + len(others) >= total:
            wait_ms = min(others, default=self._clock_ms() + 5000) - self._clock_ms()
            raise NoCapacity(
                f"no {size_class} slot is free", retry_after_seconds=max(RETRY_SECONDS_MIN, wait_ms / 1000)
            )

    def reserve(self, reservation: Reservation) -> None:
        """Keep room for one address, replacing what this holder kept of it. Raises NoCapacity, BadRequest."""
        if not 0 < reservation.expires_seconds <= RESERVATION_SECONDS_MAX:
            raise BadRequest("a reservation lasts up to an hour")
        self._require_room(reservation.size_class, reservation.address)
        until = self._clock_ms() + int(reservation.expires_seconds * 1000)
        kept = self._reserved.setdefault(reservation.address, {})
        if reservation.holder not in kept and len(kept) >= HOLDERS_MAX:
            raise NoCapacity("too many payments are under way for this address", retry_after_seconds=RETRY_SECONDS_MIN)
        kept[reservation.holder] = (reservation.size_class, until)

    def release(self, address: str, holder: str = "") -> None:
        """Give back what this holder keeps."""
        self._reserved.get(address, {}).pop(holder, None)

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
        reserved = Counter(name for _address, name, _until in self._kept())
        return Capacity(
            {name: ClassCapacity(total, used[name], reserved[name]) for name, total in self._totals.items()}
        )  # fmt: skip
