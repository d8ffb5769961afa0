"""Whether a journal's chain holds."""

from collections.abc import Iterator

from actors.wallet.journal import GENESIS, Entry, entry_hash


def broken_links(address: str, entries: Iterator[Entry]) -> Iterator[int]:
    """The sequence numbers at which a journal's chain does not hold."""
    previous, seq = GENESIS, 0
    for entry in entries:
        seq += 1
        digest = entry_hash(address, entry.seq, entry.at_ms, entry.kind, entry.reference, entry.amounts, entry.previous)
        if (
            entry.seq != seq
            or entry.previous != previous
            or entry.hash != digest
            or sum(a for _, a in entry.amounts) != 0
        ):
            yield entry.seq
        previous, seq = entry.hash, entry.seq
