"""Read a service's files as they stand at one moment, without changing them and without stopping the service."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from actors.stores.looking import looked_at
from satbox.audit.findings import Findings
from storage.connection import Connection
from storage.errors import StorageError

BUSY_SECONDS = 10.0
UNREADABLE = (
    StorageError, ValueError, TypeError, KeyError, AttributeError, OverflowError, UnicodeError, RecursionError,
)  # fmt: skip
"""What reading rows that somebody has tampered with can raise."""


def snapshot(path: Path, *, in_use: bool = True) -> contextlib.AbstractContextManager[Connection]:
    """One file at one moment: what is committed meanwhile is not seen."""
    return looked_at(path, in_use=in_use, busy_seconds=BUSY_SECONDS)


@contextlib.contextmanager
def readable(where: str, found: Findings) -> Iterator[None]:
    """Whatever keeps a file from being read is a finding about it."""
    try:
        yield
    except UNREADABLE as error:
        found.add(where, "readable", f"{type(error).__name__}: {error}")


def check_pages(db: Connection, where: str, found: Findings) -> None:
    """SQLite's own check of its pages, indexes, types and constraints."""
    for (problem,) in db.execute("PRAGMA integrity_check(20)"):
        if problem != "ok":
            found.add(where, "pages", str(problem))
    for row in db.execute("PRAGMA foreign_key_check"):
        found.add(where, "pages", f"row {row[1]} of {row[0]} refers to nothing in {row[2]}")
