"""The index of disputes in a file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gate.parts.dispute_index import DisputeRow
from storage.files import connect
from storage.sqlite import Database


class DisputeFile:
    """A `DisputeIndex`: a small file that every gate of a home shares."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def _open(self) -> Iterator[Database]:
        with contextlib.closing(connect(self._path, busy_seconds=10.0)) as db:
            db.execute(
                """CREATE TABLE IF NOT EXISTS disputes (dispute_id TEXT PRIMARY KEY, address TEXT NOT NULL,
                   at_ms INTEGER NOT NULL, is_over INTEGER NOT NULL) STRICT"""
            )
            yield db

    def add(self, dispute_id: str, address: str, at_ms: int) -> None:
        """See `DisputeIndex`."""
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO disputes VALUES (?, ?, ?, 0)", (dispute_id, address, at_ms))

    def close(self, dispute_id: str) -> None:
        """See `DisputeIndex`."""
        with self._open() as db:
            db.execute("UPDATE disputes SET is_over = 1 WHERE dispute_id = ?", (dispute_id,))

    def address_of(self, dispute_id: str) -> str | None:
        """See `DisputeIndex`."""
        with self._open() as db:
            row = db.execute("SELECT address FROM disputes WHERE dispute_id = ?", (dispute_id,)).fetchone()
        return None if row is None else str(row[0])

    def remove(self, dispute_id: str) -> None:
        """See `DisputeIndex`."""
        with self._open() as db:
            db.execute("DELETE FROM disputes WHERE dispute_id = ?", (dispute_id,))

    def waiting(self, limit: int, after: tuple[int, str] = (-1, "")) -> list[DisputeRow]:
        """See `DisputeIndex`."""
        with self._open() as db:
            query = """SELECT dispute_id, address, at_ms FROM disputes WHERE is_over = 0 AND (at_ms, dispute_id) > (?, ?)
                ORDER BY at_ms, dispute_id LIMIT ?"""
            return [DisputeRow(str(row[0]), str(row[1]), int(row[2])) for row in db.execute(query, (*after, limit))]
