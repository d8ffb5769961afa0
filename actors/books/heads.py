"""Where a wallet's two chains stand, as a checkpoint commits to it."""

import hashlib
from dataclasses import asdict, dataclass

import rfc8785

from actors.books.merkle import leaf_hash
from actors.books.pages import every_span_after
from actors.books.span_chain import chained
from actors.wallet.journal import GENESIS
from storage.connection import Connection


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
    """A wallet's file does not go on from where a checkpoint has seen it."""


def head_after(db: Connection, known: Head) -> Head:
    """Where a wallet stands now, given where it stood. Raises RewrittenError when its past has changed."""
    row = db.execute("SELECT hash FROM journal WHERE seq = ?", (known.seq,)).fetchone()
    if known.seq and (row is None or row[0] != known.head):
        raise RewrittenError(f"entry {known.seq} is not the one that was checkpointed")
    (spans,) = db.execute("SELECT coalesce(max(seq), 0) FROM spans").fetchone()
    if spans < known.spans_seq:
        raise RewrittenError(f"span {known.spans_seq} was checkpointed and is gone")
    seq, head = db.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone() or (0, GENESIS)
    spans_head = chained(every_span_after(db, known.spans_seq), known.spans_head)
    return Head(known.address, int(seq), str(head), int(spans), spans_head)


def hash_of(statement: dict[str, object]) -> str:
    """What the next checkpoint names its predecessor by: SHA-256 over the RFC 8785 form of its statement."""
    return hashlib.sha256(rfc8785.dumps(statement)).hexdigest()  # type: ignore[arg-type]
