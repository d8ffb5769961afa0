"""Which wallets have disputes: where an operator's list begins. The wallets' journals say how they stand.

A row is written before its dispute is opened, so none is missed; one whose dispute never came to be is passed over.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path


class DisputeIndex:
    """A small file that every gate of a home shares."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None, timeout=10.0)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(
                """CREATE TABLE IF NOT EXISTS disputes (dispute_id TEXT PRIMARY KEY, address TEXT NOT NULL,
                   at_ms INTEGER NOT NULL, is_over INTEGER NOT NULL) STRICT"""
            )
            yield db

    def add(self, dispute_id: str, address: str, at_ms: int) -> None:
        """A dispute is about to be opened."""
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO disputes VALUES (?, ?, ?, 0)", (dispute_id, address, at_ms))

    def close(self, dispute_id: str) -> None:
        """Its verdict stands."""
        with self._open() as db:
            db.execute("UPDATE disputes SET is_over = 1 WHERE dispute_id = ?", (dispute_id,))

    def address_of(self, dispute_id: str) -> str | None:
        """Whose dispute it is."""
        with self._open() as db:
            row = db.execute("SELECT address FROM disputes WHERE dispute_id = ?", (dispute_id,)).fetchone()
        return None if row is None else str(row[0])

    def waiting(self, limit: int) -> list[tuple[str, str]]:
        """(dispute_id, address) of those without a verdict, oldest first."""
        with self._open() as db:
            query = "SELECT dispute_id, address FROM disputes WHERE is_over = 0 ORDER BY at_ms, dispute_id LIMIT ?"
            return [(str(row[0]), str(row[1])) for row in db.execute(query, (limit,))]
