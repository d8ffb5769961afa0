"""One slot's part of the file of orders: numbers, rows, and the lock that says who holds it. One thread at a time calls.

One file for all gates, `orders.sqlite`: an order is in it once, whichever gate it came to.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from actors.wallet.calls import LoggedOrder
from gate.parts.orders import UNSIGNED, Held
from storage.files import connect
from storage.migration import run_script
from storage.sqlite import Database
from storage.transactions import Transaction

TRIMMED_EVERY = 64
TRIMMED_AT_ONCE = 4_096
"""Or twice what was written since, so that the file does not grow for ever."""
TRIMS_KEPT = 64
NUMBERS_AHEAD = 1_000_000
"""So many numbers a life of a slot may use before it writes down how far it has come."""

FILE = "orders.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (gate_id TEXT NOT NULL, seq INTEGER NOT NULL, order_id TEXT NOT NULL UNIQUE,
    payer TEXT NOT NULL, payee TEXT NOT NULL, usat INTEGER NOT NULL, resource TEXT NOT NULL, at_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL, is_posted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (gate_id, seq)) STRICT;
CREATE INDEX IF NOT EXISTS orders_unposted ON orders (gate_id, seq) WHERE is_posted = 0;
CREATE INDEX IF NOT EXISTS orders_expiry ON orders (expires_ms) WHERE is_posted = 1;
CREATE TABLE IF NOT EXISTS payers (gate_id TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (gate_id, address)) STRICT;
CREATE TABLE IF NOT EXISTS numbers (gate_id TEXT PRIMARY KEY, below INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trims (number INTEGER PRIMARY KEY, expires_ms INTEGER NOT NULL) STRICT;
"""


class OrderTable:
    """A lock says who holds a slot; a dead process keeps none."""

    trimmed_every = TRIMMED_EVERY

    def __init__(self, folder: Path, gate_id: str, wall_ms: Callable[[], int]) -> None:
        """Raises BlockingIOError when another gate has this slot."""
        folder.mkdir(parents=True, exist_ok=True)
        self.gate_id = gate_id
        self._path = folder / FILE
        self._wall_ms = wall_ms
        self._lock = os.open(folder / f"{gate_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._db = self._opened()
        except BaseException:
            os.close(self._lock)
            raise
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM orders WHERE gate_id = ?", (gate_id,)).fetchone()
        self.mark_ms, _ = self._mark()
        before = self._db.execute("SELECT below FROM numbers WHERE gate_id = ?", (gate_id,)).fetchone()
        # A log that was lost must not give out numbers again that wallets know as posted. And what the last life asked of a
        # wallet, and is late, must not come with a later number than what this one asks: the clock may have been set back.
        self._seq: int = max(last, wall_ms() * 1_000, before[0] if before else 0)
        self._below = 0
        self._note_numbers()
        self._commits = self._written = 0

    def _mark(self) -> tuple[int, int]:
        """The highest expiry of all orders that were ever trimmed, and the number of the last trim."""
        top_ms, number = self._db.execute(
            "SELECT coalesce(max(expires_ms), 0), coalesce(max(number), 0) FROM trims"
        ).fetchone()
        return top_ms, number

    def _opened(self) -> Database:
        db = connect(self._path, statements_kept=16)
        run_script(db, SCHEMA)
        return db

    def _note_numbers(self) -> None:
        if self._seq > self._below - NUMBERS_AHEAD // 2:
            below = self._seq + NUMBERS_AHEAD
            self._db.execute("INSERT OR REPLACE INTO numbers VALUES (?, ?)", (self.gate_id, below))
            self._below = below

    def next_number(self) -> int:
        """See `OrderLog`."""
        self._seq += 1
        return self._seq

    def goes_on_after(self, seq: int) -> None:
        """See `OrderLog`."""
        self._seq = max(self._seq, seq)

    def unposted(self) -> dict[str, list[LoggedOrder]]:
        """See `OrderLog`."""
        found: dict[str, list[LoggedOrder]] = {}
        rows = self._db.execute(
            "SELECT seq, order_id, payee, usat, payer FROM orders WHERE is_posted = 0 AND gate_id = ? ORDER BY seq",
            (self.gate_id,),
        )
        for seq, order_id, payee, usat, payer in rows:
            found.setdefault(payer, []).append(LoggedOrder(seq, order_id, payee, usat))
        return found

    def payers(self) -> list[str]:
        """See `OrderLog`."""
        return [row[0] for row in self._db.execute("SELECT address FROM payers WHERE gate_id = ?", (self.gate_id,))]

    def used(self, most: int) -> list[tuple[str, int]]:
        """See `OrderLog`."""
        rows = self._db.execute(
            "SELECT order_id, expires_ms FROM orders WHERE order_id NOT GLOB ? ORDER BY expires_ms DESC LIMIT ?",
            (f"{UNSIGNED}*", most),
        ).fetchall()
        return rows[::-1]

    def _look(self, order_id: str) -> tuple[bool, int]:
        found = self._db.execute("SELECT 1 FROM orders WHERE order_id = ?", (order_id,)).fetchone()
        self.mark_ms, number = self._mark()
        return found is not None, number

    def _commit(
        self,
        orders: list[tuple[LoggedOrder, Held]],
        posted: list[int],
        opens: list[tuple[str, str]],
        closed: list[str],
    ) -> set[int]:
        """In the thread: one transaction; the numbers of orders that were in the log before."""
        me, at_ms, db = self.gate_id, self._wall_ms(), self._db
        refused: set[int] = set()
        with Transaction(db):
            if orders:
                trimmed = self._trimmed([held for _, held in orders])
                rows = [
                    (me, one.seq, one.order_id, held.payer, one.payee, one.usat, held.resource, at_ms, held.expires_ms, 0)
                    for one, held in orders if held.order_id not in trimmed
                ]  # fmt: skip
                written = db.executemany(
                    "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
                ).rowcount
                if written != len(orders):
                    refused = {one.seq for one, _ in orders if not self._holds(one)}
            if posted:
                db.executemany(
                    "UPDATE orders SET is_posted = 1 WHERE gate_id = ? AND seq = ?", [(me, seq) for seq in posted]
                )
            if closed:
                db.executemany(
                    "DELETE FROM payers WHERE gate_id = ? AND address = ?", [(me, payer) for payer in closed]
                )
            if opens:
                db.executemany("INSERT OR IGNORE INTO payers VALUES (?, ?)", opens)
            self._note_numbers()
            self._commits += 1
            self._written += len(orders)
            if self._commits % self.trimmed_every == 0:
                most, self._written = max(TRIMMED_AT_ONCE, 2 * self._written), 0
                self._trim(at_ms, most)
        return refused

    def _trimmed(self, orders: list[Held]) -> set[str]:
        """Ids of those that may be orders that were paid and trimmed. The clock that said that nobody could show them any more
        may have been ahead: what expires no later than something trimmed is taken only when it was looked for since.
        """
        self.mark_ms, _ = self._mark()
        since = "SELECT coalesce(max(expires_ms), 0) FROM trims WHERE number > ?"
        return {
            one.order_id
            for one in orders
            if one.expires_ms <= self.mark_ms and one.expires_ms <= self._db.execute(since, (one.looked,)).fetchone()[0]
        }

    def _trim(self, at_ms: int, most: int) -> None:
        """Forget what wallets have posted and nobody can show again by the clock as it is, but not until when that was."""
        trimmed = self._db.execute(
            "DELETE FROM orders WHERE rowid IN (SELECT rowid FROM orders WHERE is_posted = 1 AND expires_ms < ? LIMIT ?)"
            " RETURNING expires_ms",
            (at_ms, most),
        ).fetchall()
        if not trimmed:
            return
        _, number = self._mark()
        self._db.execute("INSERT INTO trims VALUES (?, ?)", (number + 1, max(row[0] for row in trimmed)))
        first = number + 2 - TRIMS_KEPT  # the oldest that is kept stands for all before it
        self._db.execute(
            "UPDATE trims SET expires_ms = (SELECT max(expires_ms) FROM trims WHERE number <= ?) WHERE number = ?",
            (first, first),
        )
        self._db.execute("DELETE FROM trims WHERE number < ?", (first,))

    def _holds(self, order: LoggedOrder) -> bool:
        named = (self.gate_id, order.seq, order.order_id)
        mine = self._db.execute("SELECT 1 FROM orders WHERE gate_id = ? AND seq = ? AND order_id = ?", named)
        return mine.fetchone() is not None

    def _reopened(self) -> None:
        """Open the file again, and find out whether it can be written."""
        self._db.close()
        self._db = self._opened()
        self._commit([], [], [], [])

    def _let_go(self) -> None:
        """Of the file and of the slot."""
        self._db.close()
        os.close(self._lock)
