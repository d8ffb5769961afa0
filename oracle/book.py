"""What the oracle keeps: every quote that was given, for audit, and the anchors. One SQLite file, written off the loop.

The oracle and each gate of a machine have the file open at once. Quotes are pruned after `KEPT_DAYS`, or when there are more
than `QUOTES_MAX`; what a paid one said stays in the settlements' journal for ever.
"""

import asyncio
import fcntl
import json
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from oracle.anchor import Anchor
from oracle.quotes import Quote
from storage import sqlite
from storage.errors import StorageError
from storage.files import connect
from storage.transactions import Transaction

KEPT_DAYS = 90
QUOTES_MAX = 500_000
PRUNE_EVERY = 1_000
BUSY_SECONDS = 2.0
DAY_MS = 86_400_000
MIGRATIONS = Migrations("oracle")


@MIGRATIONS()
def signed_quotes(db: Database) -> None:
    """Amounts are text, because SQLite's integers end where some tokens' units do not. `document` is the quote as given."""
    db.table("signed_quotes").create(
        {
            "quote_id": str,
            "asset": str,
            "amount": str,
            "sats": int,
            "usat_per_coin": int,
            "haircut_ppm": int,
            "low_usat_per_coin": int,
            "high_usat_per_coin": int,
            "sources": str,
            "issued_at_ms": int,
            "expires_at_ms": int,
            "signature": str,
        },
        pk="quote_id",
        strict=True,
    )
    db.table("signed_quotes").create_index(["issued_at_ms"])


@MIGRATIONS()
def anchors(db: Database) -> None:
    """One row per asset."""
    db.table("anchors").create({"asset": str, "usat_per_coin": int, "at_ms": int}, pk="asset", strict=True)


def _opened(path: Path) -> sqlite.Database:
    """The file, made and migrated by whoever comes first; the others wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = connect(path, busy_seconds=BUSY_SECONDS)
        MIGRATIONS.apply(Database(connection))
    return connection


class _File:
    """One connection and the thread that uses it."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="oracle-file")
        self._connection = _opened(path)

    def close(self) -> None:
        """Finish and close."""
        self._thread.shutdown()
        self._connection.close()


@dataclass(slots=True)
class _Ticket:
    """A quote on its way to the disk, and what went wrong."""

    quote: Quote
    error: StorageError | None = None


class QuoteBook(_File):
    """A `QuoteStore`. Quotes that wait together are written together: one flush for a crowd."""

    def __init__(self, path: Path, *, now_ms: Callable[[], int]) -> None:
        super().__init__(path)
        self._now_ms = now_ms
        self._waiting: deque[_Ticket] = deque()
        self._kept = 0

    async def keep(self, quote: Quote) -> None:
        """See `QuoteStore`."""
        ticket = _Ticket(quote)
        self._waiting.append(ticket)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._flush, ticket)

    async def find(self, quote_id: str) -> Quote | None:
        """See `QuoteStore`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._find, quote_id)

    def _flush(self, ticket: _Ticket) -> None:
        batch: list[_Ticket] = []
        while self._waiting:
            batch.append(self._waiting.popleft())
        if batch:
            try:
                self._write([waiting.quote for waiting in batch])
            except StorageError as error:
                for waiting in batch:
                    waiting.error = error
        if ticket.error is not None:
            raise ticket.error

    def _write(self, batch: list[Quote]) -> None:
        db = self._connection
        with Transaction(db):
            db.executemany("INSERT INTO signed_quotes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, batch))
            if self._kept % PRUNE_EVERY < len(batch):
                db.execute("DELETE FROM signed_quotes WHERE issued_at_ms < ?", (self._now_ms() - KEPT_DAYS * DAY_MS,))
                db.execute(
                    "DELETE FROM signed_quotes WHERE rowid <= (SELECT max(rowid) FROM signed_quotes) - ?", (QUOTES_MAX,)
                )
        self._kept += len(batch)

    def _find(self, quote_id: str) -> Quote | None:
        row = self._connection.execute("SELECT * FROM signed_quotes WHERE quote_id = ?", (quote_id,)).fetchone()
        return None if row is None else _quote(row)


def _row(quote: Quote) -> tuple[str | int, ...]:
    return (
        quote.quote_id, quote.asset, str(quote.atomic_amount), quote.sats, quote.usat_per_coin, quote.haircut_ppm,
        quote.low_usat_per_coin, quote.high_usat_per_coin, json.dumps(quote.sources), quote.issued_at_ms,
        quote.expires_at_ms, quote.signature,
    )  # fmt: skip


def _quote(row: tuple[str, str, str, int, int, int, int, int, str, int, int, str]) -> Quote:
    quote_id, asset, amount, sats, rate, haircut, low, high, sources, issued, expires, signature = row
    return Quote(
        quote_id,
        asset,
        int(amount),
        sats,
        rate,
        haircut,
        low,
        high,
        tuple(json.loads(sources)),
        issued,
        expires,
        signature,
    )


class AnchorBook(_File):
    """An `AnchorStore`; the oracle's own."""

    async def load(self) -> dict[str, Anchor]:
        """See `AnchorStore`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def save(self, anchors: Mapping[str, Anchor]) -> None:
        """See `AnchorStore`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._save, dict(anchors))

    def _load(self) -> dict[str, Anchor]:
        rows = self._connection.execute("SELECT asset, usat_per_coin, at_ms FROM anchors")
        return {asset: Anchor(usat, at_ms) for asset, usat, at_ms in rows}

    def _save(self, anchors: Mapping[str, Anchor]) -> None:
        rows = [(asset, anchor.usat_per_coin, anchor.at_ms) for asset, anchor in anchors.items()]
        with Transaction(self._connection):
            self._connection.executemany("INSERT OR REPLACE INTO anchors VALUES (?, ?, ?)", rows)
