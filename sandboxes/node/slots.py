"""The slot table: which runtime sits in which slot, durable before the slot's first use.

One row per runtime id, for ever used up. States: `starting` (nothing was promised yet), `running`, `stopping` (killed;
its end is known), `lost` (ended unasked; kept until `stop`), `stopped`. A slot is taken while a row in any other state
than `stopped` names it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from sandboxes.node import references
from sandboxes.protocol import SnapshotInfo
from storage.connection import Connection
from storage.files import connect
from storage.migration import run_script
from storage.sqlite import Database
from storage.transactions import Transaction

_T = TypeVar("_T")
_ALL = 1 << 30

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runtimes (
  runtime_id TEXT PRIMARY KEY,
  address TEXT NOT NULL,
  size_class TEXT NOT NULL,
  image TEXT NOT NULL,
  slot INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('starting', 'running', 'stopping', 'lost', 'stopped')),
  boot_id TEXT NOT NULL,
  healthy_at_ms INTEGER,
  ended_at_ms INTEGER,
  reason TEXT NOT NULL DEFAULT '',
  snapshot_digest TEXT,
  snapshot_bytes INTEGER NOT NULL DEFAULT 0,
  known INTEGER NOT NULL DEFAULT 1,
  skipped INTEGER NOT NULL DEFAULT 0,
  skipped_examples TEXT NOT NULL DEFAULT '[]',
  counts TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_runtime_per_slot ON runtimes (slot) WHERE state <> 'stopped';
"""
_ADDED_COLUMNS = {
    "skipped": "INTEGER NOT NULL DEFAULT 0",
    "skipped_examples": "TEXT NOT NULL DEFAULT '[]'",
    "counts": "TEXT NOT NULL DEFAULT '{}'",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One runtime as recorded. `ended_at_ms` is the end of what may be billed, under `boot_id`; `skipped_examples` is a
    JSON list, `counts` what its meters read at the end.
    """

    runtime_id: str
    address: str
    size_class: str
    image: str
    slot: int
    state: str
    boot_id: str
    healthy_at_ms: int | None = None
    ended_at_ms: int | None = None
    reason: str = ""
    snapshot_digest: str | None = None
    snapshot_bytes: int = 0
    known: int = 1
    skipped: int = 0
    skipped_examples: str = "[]"
    counts: str = "{}"


_COLUMNS = [field.name for field in fields(Row)]
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM runtimes"  # noqa: S608 - names of our own dataclass


class SlotTable:
    """SQLite behind one thread. Every change is on disk when its call returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slots")
        self._database: Database | None = None

    async def _run(self, work: Callable[[Database], _T]) -> _T:
        def call() -> _T:
            assert self._database is not None
            return work(self._database)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def open(self) -> None:
        """Open or create the file."""

        def open_file() -> None:
            database = connect(self._path)
            run_script(database, _SCHEMA)
            is_new = not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'snapshots'").fetchone()
            run_script(database, references.SCHEMA)
            if is_new:
                database.execute(references.ADOPT)
            for table, columns in (("runtimes", _ADDED_COLUMNS), ("snapshots", references.ADDED_COLUMNS)):
                there = {column[1] for column in database.execute(f"PRAGMA table_info({table})")}
                for name, kind in columns.items():
                    if name not in there:
                        database.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
            self._database = database

        await asyncio.get_running_loop().run_in_executor(self._thread, open_file)

    async def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._database.close)
        self._thread.shutdown()

    async def rows(self) -> list[Row]:
        """Every runtime that is not stopped."""
        query = _SELECT + " WHERE state <> 'stopped' ORDER BY runtime_id"
        return await self._run(lambda database: [Row(*values) for values in database.execute(query)])

    async def get(self, runtime_id: str) -> Row | None:
        """One runtime, whatever its state."""

        def work(database: Connection) -> Row | None:
            values = database.execute(_SELECT + " WHERE runtime_id = ?", (runtime_id,)).fetchone()
            return None if values is None else Row(*values)

        return await self._run(work)

    async def insert(self, row: Row) -> None:
        """Record a runtime before its slot is used. Raises ConflictError when id or slot is taken."""
        marks = ", ".join("?" * len(_COLUMNS))
        query = f"INSERT INTO runtimes ({', '.join(_COLUMNS)}) VALUES ({marks})"  # noqa: S608 - our own names
        values = [getattr(row, name) for name in _COLUMNS]
        await self._run(lambda database: database.execute(query, values))

    async def put(self, row: Row) -> None:
        """Record a runtime, whether or not it was recorded before."""
        marks = ", ".join("?" * len(_COLUMNS))
        query = (
            f"INSERT INTO runtimes ({', '.join(_COLUMNS)}) VALUES ({marks}) ON CONFLICT (runtime_id) "  # noqa: S608
            "DO UPDATE SET state = excluded.state, healthy_at_ms = excluded.healthy_at_ms"
        )
        values = [getattr(row, name) for name in _COLUMNS]
        await self._run(lambda database: database.execute(query, values))

    async def update(self, runtime_id: str, **changes: Any) -> None:
        """Change columns of one runtime."""
        assert set(changes) <= set(_COLUMNS)
        query = f"UPDATE runtimes SET {', '.join(f'{name} = ?' for name in changes)} WHERE runtime_id = ?"  # noqa: S608
        await self._run(lambda database: database.execute(query, [*changes.values(), runtime_id]))

    async def forget(self, runtime_id: str) -> None:
        """Remove a start that came to nothing: the same id may be tried again."""
        await self._run(
            lambda database: database.execute(
                "DELETE FROM runtimes WHERE runtime_id = ? AND state = 'starting'", (runtime_id,)
            )
        )

    async def stopped(self, row: Row, changes: dict[str, Any], keep: int, wall_ms: int) -> list[str]:
        """Record the end of a runtime together with what it means for its address's snapshots: one more of which the
        newest `keep` stay, or, for the address's last runtime ended without one, none. The digests nobody needs now.
        """
        assert set(changes) <= set(_COLUMNS)
        query = f"UPDATE runtimes SET {', '.join(f'{name} = ?' for name in changes)} WHERE runtime_id = ?"  # noqa: S608
        digest, size_bytes = changes.get("snapshot_digest"), changes.get("snapshot_bytes", 0)
        lacks = (changes.get("skipped", 0), changes.get("skipped_examples", "[]"))

        def work(database: Database) -> list[str]:
            with Transaction(database):
                database.execute(query, [*changes.values(), row.runtime_id])
                if digest is not None:
                    references.add(database, row.address, digest, size_bytes, keep, "", wall_ms, *lacks)
                elif _is_last(database, row):
                    references.drop_all(database, row.address)
            return references.doomed(database)

        return await self._run(work)

    async def is_last(self, row: Row) -> bool:
        """Whether the address has had no other runtime since."""
        return await self._run(lambda database: _is_last(database, row))

    async def forget_snapshots(self, address: str) -> list[str]:
        """Drop every reference of an address. The digests nobody needs now."""

        def work(database: Database) -> list[str]:
            with Transaction(database):
                references.drop_all(database, address)
            return references.doomed(database)

        return await self._run(work)

    async def snapshots(self, address: str) -> list[tuple[str, int, str, int, int, str]]:
        """An address's snapshots, as `references.of` tells them, the newest first."""
        return await self._run(lambda database: references.of(database, address))

    async def kept_bytes(self) -> dict[str, int]:
        """What every address's snapshots take, by address."""
        query = "SELECT address, sum(size_bytes) FROM snapshots GROUP BY address"
        return await self._run(lambda database: dict(database.execute(query).fetchall()))

    async def keep_snapshot(self, address: str, info: SnapshotInfo) -> None:
        """Record a snapshot that its owner named."""

        def work(database: Database) -> None:
            with Transaction(database):
                examples = json.dumps(info.skipped_examples)
                what = (info.digest, info.size_bytes, _ALL, info.name, info.created_wall_ms, info.skipped, examples)
                references.add(database, address, *what)

        await self._run(work)

    async def drop_snapshot(self, address: str, digest: str) -> tuple[bool, list[str]]:
        """Drop one reference of an address; whether there was one, and the digests nobody needs now."""

        def work(database: Database) -> tuple[bool, list[str]]:
            with Transaction(database):
                found = references.drop(database, address, digest)
            return found, references.doomed(database)

        return await self._run(work)

    async def doomed(self) -> list[str]:
        """Digests whose files are still to be deleted."""
        return await self._run(references.doomed)

    async def buried(self, digests: list[str]) -> None:
        """The files of these digests are deleted."""

        def work(database: Database) -> None:
            with Transaction(database):
                references.buried(database, digests)

        await self._run(work)

    async def is_referenced(self, digest: str) -> bool:
        """Whether any address needs this snapshot."""
        return await self._run(lambda database: references.has(database, digest))

    async def undo(self, runtime_id: str) -> None:
        """Remove a start that failed before anyone was told: the same id may be tried again."""
        query = "DELETE FROM runtimes WHERE runtime_id = ? AND state IN ('starting', 'running')"
        await self._run(lambda database: database.execute(query, (runtime_id,)))

    async def prune(self, rows_max: int) -> None:
        """Forget the oldest stopped runtimes past `rows_max`."""
        query = (
            "DELETE FROM runtimes WHERE state = 'stopped' AND rowid <= "
            "(SELECT max(rowid) FROM runtimes) - ?"
        )  # fmt: skip
        await self._run(lambda database: database.execute(query, (rows_max,)))


def _is_last(database: Connection, row: Row) -> bool:
    """Whether the address has had no other runtime since. One that never ran says nothing about its address."""
    newest = database.execute(
        "SELECT runtime_id FROM runtimes WHERE address = ? AND known = 1 ORDER BY rowid DESC LIMIT 1", (row.address,)
    ).fetchone()
    return newest is not None and newest[0] == row.runtime_id and row.address != ""
