"""SQLite transactions that end as a whole, also on a full disk."""

from storage.sqlite import Database


class Transaction:
    """BEGIN IMMEDIATE, then COMMIT, or ROLLBACK when anything is raised.

    On a full disk or a failed write SQLite rolls back by itself, at any statement and at COMMIT: a ROLLBACK then fails, and its
    error would stand in place of the one that says why.
    """

    __slots__ = ("_db",)

    def __init__(self, db: Database) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
