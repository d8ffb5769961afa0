"""Where a wallet's two chains stand, as a checkpoint commits to it."""

import hashlib
from dataclasses import asdict, dataclass

import rfc8785

from actors.books.merkle import leaf_hash
from actors.wallet.journal import GENESIS


@dataclass(frozen=True, slots=True)
class Head:
    """The ends of a wallet's journal and spans."""

    address: str
    seq: int = 0
    head: str = GENESIS
    spans_seq: int = 0
    spans_head: str = GENESIS

    @property
    def leaf(self) -> bytes:
        """Its leaf: the RFC 8785 form of these five fields, hashed as RFC 6962 says."""
        return leaf_hash(rfc8785.dumps(asdict(self)))


class RewrittenError(Exception):
    """A wallet's books do not continue from what a checkpoint has seen."""


def hash_of(statement: dict[str, object]) -> str:
    """What the next checkpoint names its predecessor by: SHA-256 over the RFC 8785 form of its statement."""
    return hashlib.sha256(rfc8785.dumps(statement)).hexdigest()  # type: ignore[arg-type]
