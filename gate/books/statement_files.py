"""What a statement file is: a wallet's journal and spans with what the operator signed, as SQLite, JSON or CSV."""

import contextlib
import csv
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Literal

from actors.view import iso
from actors.wallet.commands import SpanRecord
from actors.wallet.journal import Entry
from operations import ledger as b

FILE_FORMAT = "satbox-statement/1"
COLUMNS = ("seq", "at", "at_ms", "kind", "reference", "postings", "balance_after_usat", "previous", "hash")


def shown(entry: Entry) -> b.LedgerEntry:
    """An entry as callers see it."""
    return b.LedgerEntry(
        seq=entry.seq, at=iso(entry.at_ms), at_ms=entry.at_ms, kind=entry.kind, reference=entry.reference,
        postings=dict(entry.amounts), balance_after_usat=entry.balance_after_usat, previous=entry.previous,
        hash=entry.hash,
    )  # fmt: skip


Format = Literal["sqlite", "json", "csv"]


class Writer:
    """Writes one file; each call is short work for a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, entries: list[Entry]) -> None:
        """Some entries, in order."""
        raise NotImplementedError

    def spans(self, spans: list[SpanRecord]) -> None:
        """Some spans, in order, after all entries."""

    def close(self, documents: dict[str, Any]) -> None:
        """What is signed, and the end."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Let go of the file, whether it is whole or not."""
        raise NotImplementedError


SQLITE_SCHEMA = """
CREATE TABLE journal (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, reference TEXT,
    amounts TEXT NOT NULL, balance_after_usat INTEGER NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE TABLE spans (seq INTEGER PRIMARY KEY, runtime_id TEXT NOT NULL, boot_id TEXT NOT NULL,
    from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, rate_usat_per_second INTEGER NOT NULL,
    remainder_before INTEGER NOT NULL, remainder_after INTEGER NOT NULL, charge_usat INTEGER NOT NULL) STRICT;
CREATE TABLE documents (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
"""
"""A reader holds a file against it: one that has anything else was not written here."""


class SqliteWriter(Writer):
    """The wallet's own two tables, and a third for what is signed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {SQLITE_SCHEMA} BEGIN;")

    def entries(self, entries: list[Entry]) -> None:
        """Some entries, in order."""
        self._db.executemany(
            "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    e.seq,
                    e.at_ms,
                    e.kind,
                    e.reference,
                    json.dumps(dict(e.amounts)),
                    e.balance_after_usat,
                    e.previous,
                    e.hash,
                )
                for e in entries
            ),
        )

    def spans(self, spans: list[SpanRecord]) -> None:
        """Some spans, in order."""
        self._db.executemany(
            "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (tuple(asdict(span).values()) for span in spans)
        )

    def close(self, documents: dict[str, Any]) -> None:
        """What is signed, and the end."""
        rows = {"format": FILE_FORMAT, **{name: json.dumps(body) for name, body in documents.items()}}
        self._db.executemany("INSERT INTO documents VALUES (?, ?)", rows.items())
        self._db.execute("COMMIT")

    def abandon(self) -> None:
        """Let go of the file."""
        self._db.close()


class _TextWriter(Writer):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file: IO[str] = path.open("w", encoding="utf-8", newline="")

    def abandon(self) -> None:
        """Let go of the file; on a full disk what is still in memory has nowhere to go."""
        with contextlib.suppress(OSError):
            self._file.close()


class JsonWriter(_TextWriter):
    """One JSON object: format, items, spans, and what is signed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file.write(f'{{"format": "{FILE_FORMAT}", "items": [')
        self._part, self._is_first = "items", True

    def _rows(self, rows: Iterable[str]) -> None:
        for row in rows:
            self._file.write(("" if self._is_first else ",\n") + row)
            self._is_first = False

    def entries(self, entries: list[Entry]) -> None:
        """Some entries, in order."""
        self._rows(shown(entry).model_dump_json() for entry in entries)

    def _begin_spans(self) -> None:
        if self._part == "items":
            self._file.write('],\n"spans": [')
            self._part, self._is_first = "spans", True

    def spans(self, spans: list[SpanRecord]) -> None:
        """Some spans, in order."""
        self._begin_spans()
        self._rows(json.dumps(asdict(span)) for span in spans)

    def close(self, documents: dict[str, Any]) -> None:
        """What is signed, and the end."""
        self._begin_spans()
        self._file.write("]")
        for name, body in documents.items():
            self._file.write(f',\n"{name}": {json.dumps(body)}')
        self._file.write("}\n")
        self._file.flush()


class CsvWriter(_TextWriter):
    """The entries as rows for a spreadsheet (RFC 4180); what is signed follows in lines that begin with `#`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._csv = csv.writer(self._file)
        self._csv.writerow(COLUMNS)

    def entries(self, entries: list[Entry]) -> None:
        """Some entries, in order."""
        for entry in entries:
            row = shown(entry).model_dump()
            row["postings"] = json.dumps(row["postings"])
            self._csv.writerow(row[name] for name in COLUMNS)

    def close(self, documents: dict[str, Any]) -> None:
        """What is signed, and the end."""
        for name, body in documents.items():
            self._file.write(f"# {name} {json.dumps(body)}\r\n")
        self._file.flush()


WRITERS: dict[str, type[Writer]] = {"sqlite": SqliteWriter, "json": JsonWriter, "csv": CsvWriter}
