"""What a wallet's file says of its journal and spans. Nothing here writes."""

import json
from collections.abc import Iterator, Sequence

from actors.books.heads import Head, RewrittenError
from actors.books.ranges import Bounds, Range
from actors.books.span_chain import chained
from actors.wallet.commands import SpanRecord
from actors.wallet.journal import GENESIS, Entry
from storage.connection import Connection

_ENTRY = "seq, at_ms, kind, reference, amounts, balance_after_usat, previous, hash"
_SPAN = """seq, runtime_id, boot_id, from_ms, to_ms, rate_usat_per_second, remainder_before, remainder_after,
    charge_usat"""


def entry_of(row: Sequence[object]) -> Entry:
    """An entry from a row of the journal."""
    seq, at_ms, kind, reference, amounts, balance, previous, digest = row
    return Entry(
        int(str(seq)), int(str(at_ms)), str(kind), None if reference is None else str(reference),
        tuple(json.loads(str(amounts)).items()), int(str(balance)), str(previous), str(digest),
    )  # fmt: skip


def entries(db: Connection, after: int, last: int, limit: int) -> list[Entry]:
    """Entries numbered above `after` up to `last`."""
    query = f"SELECT {_ENTRY} FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"  # noqa: S608 - our own names
    return [entry_of(row) for row in db.execute(query, (after, last, limit))]


def every_entry(db: Connection) -> Iterator[Entry]:
    """The whole journal, as it is read."""
    return map(entry_of, db.execute(f"SELECT {_ENTRY} FROM journal ORDER BY seq"))  # noqa: S608 - our own names


def every_span_after(db: Connection, after: int = 0) -> Iterator[SpanRecord]:
    """All spans numbered above `after`, as they are read."""
    query = f"SELECT {_SPAN} FROM spans WHERE seq > ? ORDER BY seq"  # noqa: S608 - our own names
    return (SpanRecord(*row) for row in db.execute(query, (after,)))


def spans(db: Connection, after: int, limit: int) -> list[SpanRecord]:
    """Spans numbered above `after`."""
    query = f"SELECT {_SPAN} FROM spans WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - our own names
    return [SpanRecord(*row) for row in db.execute(query, (after, limit))]


def newest_spans(db: Connection, limit: int) -> list[SpanRecord]:
    """The newest spans, oldest first."""
    query = f"SELECT {_SPAN} FROM spans ORDER BY seq DESC LIMIT ?"  # noqa: S608 - our own names
    return [SpanRecord(*row) for row in db.execute(query, (limit,))][::-1]


def charged_usat(db: Connection) -> tuple[int, int]:
    """The sum of all spans' charges, and the sum of all charges in the journal."""
    (spans_usat,) = db.execute("SELECT coalesce(sum(charge_usat), 0) FROM spans").fetchone()
    query = "SELECT coalesce(sum(json_extract(amounts, '$.burnt')), 0) FROM journal WHERE kind = 'charge'"
    (journal_usat,) = db.execute(query).fetchone()
    return int(spans_usat), int(journal_usat)


def of_kinds(db: Connection, kinds: Sequence[str]) -> list[Entry]:
    """Every entry of these kinds."""
    marks = ", ".join("?" * len(kinds))
    query = f"SELECT {_ENTRY} FROM journal WHERE kind IN ({marks}) ORDER BY seq"  # noqa: S608 - our own names
    return [entry_of(row) for row in db.execute(query, tuple(kinds))]


def bounds(db: Connection, wanted: Range) -> Bounds:
    """The bounds of a range; an empty one begins and ends at the same entry."""
    (newest,) = db.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
    last = newest if wanted.up_to is None else min(newest, wanted.up_to)
    after = wanted.after
    if wanted.since_ms is not None:
        (first,) = db.execute("SELECT min(seq) FROM journal WHERE at_ms >= ?", (wanted.since_ms,)).fetchone()
        after = max(after, newest if first is None else first - 1)
    if wanted.until_ms is not None:
        (found,) = db.execute("SELECT max(seq) FROM journal WHERE at_ms < ?", (wanted.until_ms,)).fetchone()
        last = min(last, found or 0)
    after = min(after, newest)
    last = max(after, last)
    return Bounds(after, last, *_at(db, after), *_at(db, last))


def _at(db: Connection, seq: int) -> tuple[int, str]:
    """The balance and the head after an entry."""
    row = db.execute("SELECT balance_after_usat, hash FROM journal WHERE seq = ?", (seq,)).fetchone()
    return (0, GENESIS) if row is None else (int(row[0]), str(row[1]))


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
