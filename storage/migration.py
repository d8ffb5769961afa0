"""Files that are brought up to date by steps that are only ever added to."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from storage.connection import Connection
from storage.sqlite import Database
from storage.transactions import Transaction

Migration = Callable[[Connection], None] | str
"""One step: SQL, or what does it. A step that was released is never edited."""


def migrate_by(db: Database, migrations: Sequence[Migration]) -> None:
    """Run what is missing, each step in its own transaction with the record that it ran; refuses a file of a newer version."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise RuntimeError(f"this file is of a newer version ({version}) than this program ({len(migrations)})")
    for number, step in enumerate(migrations[version:], start=version + 1):
        with Transaction(db):
            (now,) = db.execute("PRAGMA user_version").fetchone()
            if now >= number:  # another process was faster
                continue
            if isinstance(step, str):
                run_script(db, step)
            else:
                step(db)
            db.execute(f"PRAGMA user_version = {number}")


def run_script(db: Connection, script: str) -> None:
    """Run SQL of several statements within the transaction that is open: `executescript` would end that first."""
    for statement in _statements(script):
        db.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """A trigger has semicolons of its own, so a statement ends where SQLite says so."""
    begun = ""
    for piece in script.split(";"):
        begun += piece + ";"
        if sqlite3.complete_statement(begun):
            if begun.strip(" \n;"):
                yield begun
            begun = ""
    if begun.strip(" \n;"):
        raise ValueError("the script ends within a statement")
