"""Files that are brought up to date by steps that are only ever added to."""

import sqlite3
from collections.abc import Callable, Sequence

Migration = Callable[[sqlite3.Connection], None]


def migrate_by(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Run what is missing, each step in its own transaction; refuses a file of a newer version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise RuntimeError(f"this file is of a newer version ({version}) than this program ({len(migrations)})")
    for number in range(version, len(migrations)):
        connection.execute("BEGIN IMMEDIATE")
        migrations[number](connection)
        connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
