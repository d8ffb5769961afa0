"""One wallet, one SQLite file: state, journal, orders of bundles, spans, events, credited payments, burnt nonces.

A commit writes everything a turn decided, or nothing. It checks the `epoch` first: activation raises it, so a second
live copy of a wallet can never write. WAL with synchronous=FULL: when `commit` returns, the turn survives power loss.
"""

import json
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from actors.books.ranges import Range
from actors.errors import CorruptWalletError, FencedError
from actors.stores import pages
from actors.stores.wallets import Batch, JournalPage, StoredEvent
from actors.wallet.bucket import check
from actors.wallet.commands import SpanRecord
from actors.wallet.journal import GENESIS, Entry
from actors.wallet.state import WalletState
from storage.errors import UnavailableError
from storage.files import connect, read_only
from storage.migration import migrate_by
from storage.sqlite import Database
from storage.transactions import Transaction

_STATE = TypeAdapter(WalletState)

# Each step is one transaction with the record that it ran; a step is never edited once released.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE wallet (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
    CREATE TABLE journal (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, reference TEXT,
        amounts TEXT NOT NULL, balance_after_usat INTEGER NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
    CREATE TABLE spans (seq INTEGER PRIMARY KEY, runtime_id TEXT NOT NULL, boot_id TEXT NOT NULL,
        from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, rate_usat_per_second INTEGER NOT NULL,
        remainder_before INTEGER NOT NULL, remainder_after INTEGER NOT NULL, charge_usat INTEGER NOT NULL) STRICT;
    CREATE TABLE events (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, type TEXT NOT NULL,
        data TEXT NOT NULL) STRICT;
    CREATE TABLE seen (kind TEXT NOT NULL, id TEXT NOT NULL, expires_ms INTEGER, PRIMARY KEY (kind, id)) STRICT;
    CREATE TRIGGER journal_is_append_only BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'append-only'); END;
    CREATE TRIGGER journal_keeps_all BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'append-only'); END;
    """,
    "CREATE INDEX seen_until ON seen (expires_ms) WHERE expires_ms IS NOT NULL;",
    """
    CREATE TABLE orders (entry_seq INTEGER NOT NULL, seq INTEGER NOT NULL, order_id TEXT NOT NULL, usat INTEGER NOT NULL,
        PRIMARY KEY (entry_seq, seq)) STRICT, WITHOUT ROWID;
    CREATE TRIGGER orders_are_append_only BEFORE UPDATE ON orders BEGIN SELECT RAISE(ABORT, 'append-only'); END;
    CREATE TRIGGER orders_keep_all BEFORE DELETE ON orders BEGIN SELECT RAISE(ABORT, 'append-only'); END;
    """,
    """
    INSERT OR IGNORE INTO seen SELECT 'order', order_id, NULL FROM orders;
    INSERT OR IGNORE INTO seen SELECT 'order', substr(reference, 1, instr(reference, ':') - 1), NULL FROM journal
        WHERE kind = 'order' AND substr(reference, 1, 6) <> 'calls_';
    """,
)

EVENTS_KEPT = 10_000
TRIMMED_EVERY = 32
"""Versions between two looks for marks that have expired."""
MARKS_KEPT = 1_024
"""The newest of those that expire are kept whatever the clock says."""


class WalletFile:
    """A `WalletStore`. Which thread calls does not matter; calls take turns.

    Three descriptors are held while the file is open. A store at `rest` holds none, keeps its epoch, and opens again when
    it is next used: what fences it is the epoch in the file, not the open file.
    """

    def __init__(self, path: Path, address: str) -> None:
        self._address = address
        self._path = path
        self._lock = threading.RLock()
        self._open: Database | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            migrate_by(self._db, MIGRATIONS)
            self.epoch, self.state = self._activate()
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether the file is held open now."""
        return self._open is not None

    @property
    def _db(self) -> Database:
        if self._open is None:
            self._open = connect(self._path, statements_kept=32, cache_kib=128)
        return self._open

    def rest(self) -> None:
        """Let go of the file until it is needed again; not while somebody is using it."""
        if self._lock.acquire(blocking=False):
            try:
                self.close()
            finally:
                self._lock.release()

    def _activate(self) -> tuple[int, WalletState]:
        """Raise the fence and read the state; one transaction, so two activations cannot share an epoch."""
        with self._transaction():
            row = self._db.execute("SELECT epoch, state FROM wallet").fetchone()
            if row is None:
                state = WalletState(self._address)
                self._db.execute("INSERT INTO wallet VALUES (1, 1, ?)", (_STATE.dump_json(state).decode(),))
                return 1, state
            epoch = int(row[0]) + 1
            self._db.execute("UPDATE wallet SET epoch = ?", (epoch,))
        state = _STATE.validate_json(row[1])
        self._verify(state)
        return epoch, state

    def _verify(self, state: WalletState) -> None:
        """The state and the journal's end must agree."""
        check(state.accounts)
        last = self._db.execute(
            "SELECT seq, hash, balance_after_usat FROM journal ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        seq, head, balance = last or (0, GENESIS, 0)
        if state.address != self._address or (seq, head, balance) != (state.seq, state.head, state.accounts.bucket):
            raise CorruptWalletError(f"{self._address}: state and journal disagree at entry {seq}")

    def _transaction(self) -> Transaction:
        return Transaction(self._db)

    def commit(self, batch: Batch) -> None:
        """Write a batch; FencedError when this copy is no longer the newest."""
        with self._lock:
            self._write(batch)
            self.state = batch.state  # under the lock: a reader finds file and state agreed

    def _write(self, batch: Batch) -> None:
        # Each statement lets other threads in, and costs more by that than by itself: none is made for nothing.
        with self._transaction():
            written = self._db.execute(
                "UPDATE wallet SET state = ? WHERE epoch = ?", (_STATE.dump_json(batch.state).decode(), self.epoch)
            )
            if written.rowcount != 1:
                row = self._db.execute("SELECT epoch FROM wallet").fetchone()
                raise FencedError(f"{self._address}: epoch {self.epoch} was superseded by {row and row[0]}")
            for table, rows in (
                ("journal", _journal_rows(batch)),
                ("spans", _span_rows(batch)),
                ("events", [(seq, batch.at_ms, h.type, json.dumps(h.data)) for seq, h in batch.events]),
                ("orders", [(o.entry_seq, o.seq, o.order_id, o.usat) for o in batch.orders]),
                ("seen", [(m.kind, m.id, m.expires_ms) for m in batch.marks]),
            ):
                if rows:
                    places = ", ".join("?" * len(rows[0]))
                    self._db.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - our own names
            self._trim(batch)

    def _trim(self, batch: Batch) -> None:
        """Bound what is not money: old events, and nonces whose challenge can no longer be valid."""
        if any(seq % 1000 == 0 for seq, _ in batch.events):
            self._db.execute("DELETE FROM events WHERE seq <= ?", (batch.state.event_seq - EVENTS_KEPT,))
        if batch.state.version % TRIMMED_EVERY == 0 and any(mark.expires_ms is not None for mark in batch.marks):
            # The clock may be ahead, and be set back: the newest stay even so.
            self._db.execute(
                "DELETE FROM seen WHERE expires_ms < ? AND rowid NOT IN"
                " (SELECT rowid FROM seen WHERE expires_ms IS NOT NULL ORDER BY rowid DESC LIMIT ?)",
                (batch.at_ms, MARKS_KEPT),
            )

    def is_newest(self) -> bool:
        """Whether no other copy of this wallet was activated since."""
        with self._lock:
            row = self._db.execute("SELECT epoch FROM wallet").fetchone()
        return row is not None and int(row[0]) == self.epoch

    def has_seen(self, kind: str, mark_id: str) -> bool:
        """Whether a mark was committed before."""
        with self._lock:
            found = self._db.execute("SELECT 1 FROM seen WHERE kind = ? AND id = ?", (kind, mark_id)).fetchone()
        return found is not None

    def seen_among(self, kind: str, mark_ids: Sequence[str]) -> frozenset[str]:
        """Which of these marks were committed before."""
        query = "SELECT id FROM seen WHERE kind = ? AND id IN (SELECT value FROM json_each(?))"
        with self._lock:
            return frozenset(row[0] for row in self._db.execute(query, (kind, json.dumps(mark_ids))))

    def journal(self, wanted: Range, limit: int) -> JournalPage:
        """See `WalletStore`."""
        with self._lock:  # file and state agree
            found = pages.bounds(self._db, wanted)
            return JournalPage(self.state, found, pages.entries(self._db, found.after, found.last, limit))

    def entries(self, after: int, limit: int) -> list[Entry]:
        """See `WalletStore`."""
        with self._lock:
            return pages.entries(self._db, after, self.state.seq, limit)

    def of_kinds(self, kinds: Sequence[str]) -> list[Entry]:
        """See `WalletStore`."""
        with self._lock:
            return pages.of_kinds(self._db, kinds)

    def spans(self, after: int, limit: int) -> list[SpanRecord]:
        """See `WalletStore`."""
        with self._lock:
            return pages.spans(self._db, after, limit)

    def newest_spans(self, limit: int) -> list[SpanRecord]:
        """See `WalletStore`."""
        with self._lock:
            return pages.newest_spans(self._db, limit)

    def charged_usat(self) -> tuple[int, int]:
        """See `WalletStore`."""
        with self._lock:
            return pages.charged_usat(self._db)

    def events(self, after: int, limit: int) -> list[StoredEvent]:
        """See `WalletStore`."""
        query = "SELECT seq, at_ms, type, data FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
        with self._lock:
            rows = self._db.execute(query, (after, limit)).fetchall()
        return [StoredEvent(seq, at_ms, kind, json.loads(data)) for seq, at_ms, kind, data in rows]

    def close(self) -> None:
        """Let go of the file, once its readers have finished."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None


def _journal_rows(batch: Batch) -> list[tuple[Any, ...]]:
    return [
        (e.seq, e.at_ms, e.kind, e.reference, json.dumps(dict(e.amounts)), e.balance_after_usat, e.previous, e.hash)
        for e in batch.entries
    ]


def _span_rows(batch: Batch) -> list[tuple[Any, ...]]:
    return [
        (
            s.seq, s.runtime_id, s.boot_id, s.from_ms, s.to_ms, s.rate_usat_per_second, s.remainder_before,
            s.remainder_after, s.charge_usat,
        )
        for s in batch.spans
    ]  # fmt: skip


def read_state(path: Path) -> WalletState | None:
    """A wallet's state without activating it; None while its file is being made."""
    with closing(read_only(path)) as db:
        try:
            row = db.execute("SELECT state FROM wallet").fetchone()
        except UnavailableError:  # no table yet, or a first transaction that nobody has finished
            return None
    return None if row is None else _STATE.validate_json(row[0])
