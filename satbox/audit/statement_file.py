"""Read a statement file of any kind: SQLite, JSON (also a page of the ledger), CSV. Everything in it is somebody's word."""

import contextlib
import csv
import io
import itertools
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.stores import pages
from actors.view import iso
from actors.wallet.commands import SpanRecord
from actors.wallet.journal import Entry
from gate.books.statement_files import COLUMNS, SQLITE_SCHEMA
from operations.ledger import LedgerEntry
from satbox.audit.exact_json import exact_json
from satbox.audit.files import UNREADABLE, snapshot
from storage.connection import Connection

BYTES_MAX = 1 << 30
_NAMES = frozenset({"format", "statement", "checkpoint"})
_BESIDE = frozenset({"accounts", "chain_head", "next_cursor", "has_more"})
_JSON_NAMES = _NAMES | _BESIDE | {"items", "spans"}
_ITEM_NAMES = frozenset(LedgerEntry.model_fields)
_SQLITE = b"SQLite format 3\0"
_DOCUMENTS_MAX = 10


class NotAStatement(ValueError):  # noqa: N818 - reads as what happened
    """The file cannot be read as a statement."""


@dataclass
class StatementFile:
    """What a file says. `spans` is None where the format has none."""

    entries: list[Entry] = field(default_factory=list)
    spans: list[SpanRecord] | None = None
    statement: Any = None
    checkpoint: Any = None
    beside: dict[str, Any] = field(default_factory=dict)
    """What a page of the ledger says beside its entries: the accounts and head now, and whether there is more."""


def read_statement(path: Path) -> StatementFile:
    """The file's content by what it begins with. Raises NotAStatement."""
    if path.stat().st_size > BYTES_MAX:
        raise NotAStatement(f"over {BYTES_MAX} bytes")
    with path.open("rb") as file:
        begins = file.read(64)
    try:
        if begins.startswith(_SQLITE):
            return _sqlite(path)
        text = path.read_text()
        return _json(exact_json(text)) if text.lstrip().startswith("{") else _csv(text)
    except (*UNREADABLE, csv.Error) as error:
        raise NotAStatement(f"{type(error).__name__}: {error}") from error


def _sqlite(path: Path) -> StatementFile:
    with snapshot(path) as db:
        _only_our_tables(db)
        problems = [row[0] for row in db.execute("PRAGMA integrity_check(3)")]
        if problems != ["ok"]:
            raise ValueError("; ".join(map(str, problems)))
        rows = db.execute("SELECT name, body FROM documents LIMIT ?", (_DOCUMENTS_MAX,))
        documents = {str(name): str(body) for name, body in rows}
        _known(documents, _NAMES)
        found = StatementFile(statement=exact_json(documents["statement"]))
        found.checkpoint = exact_json(documents.get("checkpoint", "null"))
        entries, spans = _signed_rows(found.statement)
        found.entries = list(itertools.islice(pages.every_entry(db), entries + 1))
        found.spans = list(itertools.islice(pages.every_span_after(db), spans + 1))
    return found


def _only_our_tables(db: Connection) -> None:
    """Three tables as we make them: a view could show other rows tomorrow, or rows without end."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100"
    with contextlib.closing(sqlite3.connect(":memory:")) as ours:
        ours.executescript(SQLITE_SCHEMA)
        expected = {(*row[:3], _words(row[3])) for row in ours.execute(query)}
    if {(*row[:3], _words(row[3])) for row in db.execute(query)} != expected:
        raise ValueError("holds something else than the tables journal, spans and documents as we make them")


def _words(sql: str | None) -> tuple[str, ...]:
    return tuple((sql or "").split())


def _signed_rows(statement: Any) -> tuple[int, int]:
    """How many entries and spans the statement speaks of: not more are read than it takes to see that there are more."""
    said = statement["statement"]
    return max(0, int(said["last_seq"]) - int(said["after_seq"])), max(0, int(said["spans_seq"]))


def _known(names: Iterable[str], known: frozenset[str]) -> None:
    """A part by an unknown name would go unchecked."""
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"unknown parts: {', '.join(unknown)[:100]}")


def _json(document: dict[str, Any]) -> StatementFile:
    _known(document, _JSON_NAMES)
    spans = document.get("spans")
    for item in document["items"]:
        if item.keys() != _ITEM_NAMES:
            raise ValueError(f"an entry has other fields: {', '.join(sorted(item.keys() ^ _ITEM_NAMES))[:100]}")
    return StatementFile(
        [_entry(item, item["postings"]) for item in document["items"]],
        None if spans is None else [SpanRecord(**span) for span in spans],
        document["statement"],
        document.get("checkpoint"),
        {name: document[name] for name in _BESIDE if name in document},
    )


def _csv(text: str) -> StatementFile:
    lines = text.splitlines()
    rows = csv.reader(io.StringIO("\n".join(line for line in lines if not line.startswith("# "))), strict=True)
    if next(rows, None) != list(COLUMNS):
        raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
    found = StatementFile()
    for cells in rows:
        row: dict[str, Any] = dict(zip(COLUMNS, cells, strict=True))
        numbers = {name: int(row[name]) for name in ("seq", "at_ms", "balance_after_usat")}
        if any(str(number) != row[name] for name, number in numbers.items()):
            raise ValueError("a number is not written as we write it")
        item = {**row, **numbers, "reference": row["reference"] or None}
        found.entries.append(_entry(item, exact_json(row["postings"])))
    signed: dict[str, str] = {}
    for line in lines:
        if line.startswith("# "):
            name, _, body = line[2:].partition(" ")
            if name in signed:
                raise ValueError(f"has two parts called {name[:40]}")
            signed[name] = body
    _known(signed, _NAMES)
    found.statement = exact_json(signed["statement"])
    found.checkpoint = exact_json(signed.get("checkpoint", "null"))
    return found


def _entry(item: dict[str, Any], postings: dict[str, int]) -> Entry:
    if item["at"] != iso(int(item["at_ms"])):
        raise ValueError(f"entry {item['seq']} is shown for another time than it has")
    return Entry(
        int(item["seq"]), int(item["at_ms"]), str(item["kind"]), item["reference"], tuple(postings.items()),
        int(item["balance_after_usat"]), str(item["previous"]), str(item["hash"]),
    )  # fmt: skip
