"""The state file: JSON documents by kind and key in one SQLite table, each save one transaction.

WAL with synchronous=NORMAL: a killed process loses nothing that was saved, which is what a devnet needs; a save costs
about 0.1 ms.
"""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from devnet.records import JsonObject

Kind = str
Changes = Mapping[Kind, Mapping[str, JsonObject | None]]


class Store:
    """One devnet's state file."""

    def __init__(self, path: Path, lock_wait_seconds: float = 5.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=lock_wait_seconds, isolation_level=None)
        try:
            self._open()
        except sqlite3.Error:
            self._db.close()
            raise

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")  # two devnets on one file would overwrite each other
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents (kind TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, key)) "
            "WITHOUT ROWID"
        )

    def load(self, kind: Kind) -> dict[str, JsonObject]:
        """All documents of a kind."""
        rows = self._db.execute("SELECT key, body FROM documents WHERE kind = ?", (kind,))
        return {key: json.loads(body) for key, body in rows}

    def save(self, changes: Changes) -> None:
        """Writes documents, deletes those given as None; all or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for kind, documents in changes.items():
                for key, document in documents.items():
                    self._write(kind, key, document)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _write(self, kind: Kind, key: str, document: JsonObject | None) -> None:
        if document is None:
            self._db.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key))
            return
        body = json.dumps(document, separators=(",", ":"))
        self._db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, key, body))

    def close(self) -> None:
        """Closes the file."""
        self._db.close()
