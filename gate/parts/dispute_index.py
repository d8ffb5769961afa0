"""Which wallets have disputes: where an operator's list begins. The wallets' journals say how they stand.

A row is written before its dispute is opened, so none is missed; one whose dispute never came to be is removed.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """A dispute, whose it is, and when it was put here."""

    dispute_id: str
    address: str
    at_ms: int


class DisputeIndex(Protocol):
    """What every gate of a service shares. Calls block."""

    def add(self, dispute_id: str, address: str, at_ms: int) -> None:
        """A dispute is about to be opened. Again: nothing changes."""
        ...

    def close(self, dispute_id: str) -> None:
        """Its verdict stands."""
        ...

    def address_of(self, dispute_id: str) -> str | None:
        """Whose dispute it is."""
        ...

    def remove(self, dispute_id: str) -> None:
        """It never came to be."""
        ...

    def waiting(self, limit: int, after: tuple[int, str] = (-1, "")) -> list[DisputeRow]:
        """Those without a verdict, oldest first; `after`: time and id of the last one seen."""
        ...
