"""How every file of ours is opened: WAL with synchronous=FULL, so that what was committed survives a power cut."""

import sqlite3
from pathlib import Path

from storage.sqlite import Database, named

BUSY_SECONDS = 5.0
"""How long a connection waits for another process's transaction."""


def connect(
    path: Path,
    *,
    busy_seconds: float = BUSY_SECONDS,
    statements_kept: int = 128,
    cache_kib: int | None = None,
    has_foreign_keys: bool = False,
) -> Database:
    """A connection to a file, which is made when it is not there. Transactions are begun by hand (`Transaction`); any thread may
    call, one at a time.
    """
    try:
        db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=busy_seconds, cached_statements=statements_kept,
            factory=Database,
        )  # fmt: skip
    except sqlite3.Error as error:
        raise named(error) from error
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if cache_kib is not None:
            db.execute(f"PRAGMA cache_size = -{cache_kib:d}")
        if has_foreign_keys:
            db.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        db.close()
        raise
    return db


def read_only(path: Path, *, is_at_rest: bool = False, busy_seconds: float = BUSY_SECONDS) -> Database:
    """A connection that cannot write. `is_at_rest`: nobody has the file open, so nothing beside it is touched or made."""
    mode = "mode=ro&immutable=1" if is_at_rest else "mode=ro"
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, timeout=busy_seconds, factory=Database
        )
    except sqlite3.Error as error:
        raise named(error) from error
