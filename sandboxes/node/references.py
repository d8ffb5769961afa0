"""Who needs which snapshot: one row per address and digest, and the digests whose files are still to be deleted.

Snapshots are named by their content, so two addresses may share a file; it goes with the last reference. A file is only
ever deleted when a reference to it was dropped: files this table never knew are not touched, so that a lost or restored
table loses no workspace. Functions over one connection, inside their caller's transaction.
"""

from __future__ import annotations

from storage.connection import Connection

SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshots (
  address TEXT NOT NULL,
  digest TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  name TEXT NOT NULL DEFAULT '',
  created_wall_ms INTEGER NOT NULL DEFAULT 0,
  skipped INTEGER NOT NULL DEFAULT 0,
  skipped_examples TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (address, digest)
) STRICT;
CREATE INDEX IF NOT EXISTS snapshots_by_digest ON snapshots (digest);
CREATE TABLE IF NOT EXISTS doomed (digest TEXT PRIMARY KEY) STRICT;
"""

ADDED_COLUMNS = {
    "name": "TEXT NOT NULL DEFAULT ''",
    "created_wall_ms": "INTEGER NOT NULL DEFAULT 0",
    "skipped": "INTEGER NOT NULL DEFAULT 0",
    "skipped_examples": "TEXT NOT NULL DEFAULT '[]'",
}

ADOPT = """
INSERT OR IGNORE INTO snapshots (address, digest, size_bytes, sequence)
SELECT address, snapshot_digest, snapshot_bytes, max(rowid) FROM runtimes
WHERE snapshot_digest IS NOT NULL GROUP BY address, snapshot_digest
"""


def add(
    database: Connection,
    address: str,
    digest: str,
    size_bytes: int,
    keep: int,
    name: str = "",
    wall_ms: int = 0,
    skipped: int = 0,
    skipped_examples: str = "[]",
) -> None:
    """An address's newest snapshot; of those without a name, which stops leave behind, the newest `keep` stay. One that
    its owner named stays as it is until its owner drops it, also when a stop leaves the same bytes: a workspace that was restored
    from it lacks what it lacks, and packs without a loss.
    """
    database.execute(
        "INSERT INTO snapshots (address, digest, size_bytes, sequence, name, created_wall_ms, skipped, skipped_examples) "
        "VALUES (?, ?, ?, (SELECT coalesce(max(sequence), 0) + 1 FROM snapshots), ?, ?, ?, ?) "
        "ON CONFLICT (address, digest) DO UPDATE SET sequence = excluded.sequence, "
        "created_wall_ms = iif(excluded.name = '' AND name <> '', created_wall_ms, excluded.created_wall_ms), "
        "name = iif(excluded.name = '', name, excluded.name), skipped = max(skipped, excluded.skipped), "
        "skipped_examples = iif(skipped >= excluded.skipped, skipped_examples, excluded.skipped_examples)",
        (address, digest, size_bytes, name, wall_ms, skipped, skipped_examples),
    )
    database.execute("DELETE FROM doomed WHERE digest = ?", (digest,))
    old = database.execute(
        "SELECT digest FROM snapshots WHERE address = ? AND name = '' ORDER BY sequence DESC LIMIT -1 OFFSET ?",
        (address, keep),
    ).fetchall()
    _drop(database, address, [row[0] for row in old])


def of(database: Connection, address: str) -> list[tuple[str, int, str, int, int, str]]:
    """(digest, bytes, name, wall time, how many it lacks, examples as JSON) of an address's snapshots, the newest first."""
    return database.execute(
        "SELECT digest, size_bytes, name, created_wall_ms, skipped, skipped_examples FROM snapshots WHERE address = ? "
        "ORDER BY sequence DESC",
        (address,),
    ).fetchall()


def drop(database: Connection, address: str, digest: str) -> bool:
    """The address needs this snapshot no more. False when it had none of that digest."""
    found = any(row[0] == digest for row in of(database, address))
    _drop(database, address, [digest] if found else [])
    return found


def drop_all(database: Connection, address: str) -> None:
    """The address's lifetime is over: it needs no snapshot any more."""
    rows = database.execute("SELECT digest FROM snapshots WHERE address = ?", (address,)).fetchall()
    _drop(database, address, [row[0] for row in rows])


def _drop(database: Connection, address: str, digests: list[str]) -> None:
    for digest in digests:
        database.execute("DELETE FROM snapshots WHERE address = ? AND digest = ?", (address, digest))
        database.execute(
            "INSERT OR IGNORE INTO doomed SELECT ? WHERE NOT EXISTS (SELECT 1 FROM snapshots WHERE digest = ?)",
            (digest, digest),
        )


def has(database: Connection, digest: str) -> bool:
    """Whether any address needs the snapshot."""
    return database.execute("SELECT 1 FROM snapshots WHERE digest = ?", (digest,)).fetchone() is not None


def doomed(database: Connection) -> list[str]:
    """Digests whose files nobody needs."""
    return [row[0] for row in database.execute("SELECT digest FROM doomed")]


def buried(database: Connection, digests: list[str]) -> None:
    """These files are gone."""
    database.executemany("DELETE FROM doomed WHERE digest = ?", [(digest,) for digest in digests])
