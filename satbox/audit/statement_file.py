"""Read a statement file of any kind: SQLite, JSON (also a page of the ledger), CSV. Everything in it is somebody's word."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.books import pages
from actors.view import iso
from actors.wallet.commands import SpanRecord
from actors.wallet.journal import Entry
from satbox.audit.files import UNREADABLE, snapshot

BYTES_MAX = 1 << 30
_NAMES = frozenset({"format", "statement", "checkpoint"})
_JSON_NAMES = _NAMES | {"items", "spans", "accounts", "chain_head", "next_cursor", "has_more"}
_SQLITE = b"SQLite format 3\0"


class NotAStatement(ValueError):  # noqa: N818 - reads as what happened
    """The file cannot be read as a statement."""


@dataclass
class StatementFile:
    """What a file says. `spans` is None where the format has none."""

    entries: list[Entry] = field(default_factory=list)
    spans: list[SpanRecord] | None = None
    statement: Any = None
    checkpoint: Any = None


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
        return _json(json.loads(text)) if text.lstrip().startswith("{") else _csv(text)
    except (*UNREADABLE, AttributeError, RecursionError) as error:
        raise NotAStatement(f"{type(error).__name__}: {error}") from error


def _sqlite(path: Path) -> StatementFile:
    with snapshot(path) as db:
        problems = [row[0] for row in db.execute("PRAGMA integrity_check(3)")]
        if problems != ["ok"]:
            raise sqlite3.DatabaseError("; ".join(map(str, problems)))
        documents = {str(name): str(body) for name, body in db.execute("SELECT name, body FROM documents")}
        found = StatementFile(list(pages.every_entry(db)), list(pages.every_span_after(db)))
    _known(documents, _NAMES)
    found.statement = json.loads(documents["statement"])
    found.checkpoint = json.loads(documents.get("checkpoint", "null"))
    return found


def _known(names: Iterable[str], known: frozenset[str]) -> None:
    """A part by an unknown name would go unchecked."""
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"unknown parts: {', '.join(unknown)[:100]}")


def _json(document: dict[str, Any]) -> StatementFile:
    _known(document, _JSON_NAMES)
    spans = document.get("spans")
    return StatementFile(
        [_entry(item, item["postings"]) for item in document["items"]],
        None if spans is None else [SpanRecord(**span) for span in spans],
        document["statement"],
        document.get("checkpoint"),
    )


def _csv(text: str) -> StatementFile:
    lines = text.splitlines()
    rows = csv.DictReader(io.StringIO("\n".join(line for line in lines if not line.startswith("# "))))
    found = StatementFile()
    for row in rows:
        numbers = {name: int(row[name]) for name in ("seq", "at_ms", "balance_after_usat")}
        item = {**row, **numbers, "reference": row["reference"] or None}
        found.entries.append(_entry(item, json.loads(row["postings"])))
    signed = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    _known(signed, _NAMES)
    found.statement = json.loads(signed["statement"])
    found.checkpoint = json.loads(signed.get("checkpoint", "null"))
    return found


def _entry(item: dict[str, Any], postings: dict[str, int]) -> Entry:
    if item["at"] != iso(int(item["at_ms"])):
        raise ValueError(f"entry {item['seq']} is shown for another time than it has")
    return Entry(
        int(item["seq"]), int(item["at_ms"]), str(item["kind"]), item["reference"], tuple(postings.items()),
        int(item["balance_after_usat"]), str(item["previous"]), str(item["hash"]),
    )  # fmt: skip
