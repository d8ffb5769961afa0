"""Checkpoints: a signed Merkle root over the heads of all wallets that changed since the last one.

An operator who has shown a head in a checkpoint cannot show another history later. A wallet whose past is not what was
checkpointed gets no new leaf, and is named.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from actors.books.heads import Head


@dataclass(frozen=True, slots=True)
class Made:
    """One run: the newest checkpoint (None when there is none yet), whether this run made it, and the wallets whose past
    is not what was checkpointed, each with the reason.
    """

    document: dict[str, Any] | None
    is_new: bool
    rewritten: dict[str, str]


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That a checkpoint holds a wallet's head: the leaf, its place, and the hashes beside its way to the root."""

    head: Head
    position: int
    path: list[str]
    checkpoint: dict[str, Any]


class CheckpointBook(Protocol):
    """All checkpoints of a service, of which none is ever changed. Each call blocks."""

    def make(self, at_ms: int, issued_at: str) -> Made:
        """Commit to every head that changed; blocks for as long as looking takes. Nothing changed: nothing is made."""
        ...

    def page(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Checkpoints numbered above `after`, oldest first."""
        ...

    def newest(self) -> dict[str, Any] | None:
        """The last one."""
        ...

    def inclusion(self, address: str) -> Inclusion | None:
        """Proof of the newest head of a wallet that a checkpoint holds; None when none does."""
        ...
