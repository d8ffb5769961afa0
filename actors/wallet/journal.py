"""The hash chain over a wallet's journal: each entry commits to all before it."""

import hashlib
import json
from dataclasses import dataclass

from actors.wallet.bucket import Posting

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """A posting at its place in the chain."""

    seq: int
    at_ms: int
    kind: str
    reference: str | None
    amounts: tuple[tuple[str, int], ...]
    balance_after_usat: int
    previous: str
    hash: str


def entry_hash(
    address: str,
    seq: int,
    at_ms: int,
    kind: str,
    reference: str | None,
    amounts: tuple[tuple[str, int], ...],
    previous: str,
) -> str:
    """SHA-256 over the entry's canonical JSON (integers and ASCII only, so equal to its RFC 8785 form)."""
    document = {
        "address": address,
        "amounts": dict(amounts),
        "at_ms": at_ms,
        "kind": kind,
        "previous": previous,
        "reference": reference,
        "seq": seq,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def chained(address: str, posting: Posting, *, seq: int, at_ms: int, previous: str, balance_after_usat: int) -> Entry:
    """`posting` as the next entry after `previous`."""
    digest = entry_hash(address, seq, at_ms, posting.kind, posting.reference, posting.amounts, previous)
    return Entry(seq, at_ms, posting.kind, posting.reference, posting.amounts, balance_after_usat, previous, digest)
