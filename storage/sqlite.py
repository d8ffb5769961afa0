"""A connection to SQLite whose errors have our names, so that nobody else has to know SQLite's."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from storage.errors import ConflictError, StorageError, UnavailableError


def named(error: sqlite3.Error) -> StorageError:
    """An error of SQLite by our name. Its cause is to be the error itself (`is_full` looks there)."""
    match error:
        case sqlite3.IntegrityError():
            return ConflictError(str(error))
        case sqlite3.OperationalError():
            return UnavailableError(str(error))
        case _:
            return StorageError(str(error))


class SqliteRows(sqlite3.Cursor):
    """Rows are read as they are asked for, so that too can fail."""

    def fetchone(self) -> Any:
        """See `Rows`."""
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise named(error) from error

    def fetchall(self) -> list[Any]:
        """See `Rows`."""
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            raise named(error) from error

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        following = super().__next__
        try:
            while True:
                yield following()
        except StopIteration:
            return
        except sqlite3.Error as error:
            raise named(error) from error


class Database(sqlite3.Connection):
    """One file. A `Connection`, and what its holder needs besides: the end of it."""

    def execute(self, sql: str, parameters: Any = (), /) -> SqliteRows:
        """See `Connection`."""
        try:
            return self.cursor(SqliteRows).execute(sql, parameters)
        except sqlite3.Error as error:
            raise named(error) from error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> SqliteRows:
        """See `Connection`."""
        try:
            return self.cursor(SqliteRows).executemany(sql, parameters)
        except sqlite3.Error as error:
            raise named(error) from error
