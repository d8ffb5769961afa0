"""The checkpoint log: whole, signed, and still true of every wallet in it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actors.books.heads import Head, hash_of
from actors.books.merkle import root
from actors.stores.checkpoint_log import leaves_of
from actors.wallet.journal import GENESIS
from gate.parts.receipts import is_valid
from operations.models import Receipt
from satbox.audit.files import check_pages, readable, snapshot
from satbox.audit.findings import Findings
from satbox.audit.receipts import check_receipt, receipt_in
from satbox.audit.wallet_books import Asked, WalletBooks
from storage.connection import Connection

WHERE = "checkpoints.sqlite"


@dataclass
class CheckpointBooks:
    """The heads that were committed to, by wallet, each with its checkpoint's number."""

    heads: dict[str, list[tuple[int, Head]]] = field(default_factory=dict)

    def asked(self, address: str) -> Asked:
        """The entries and spans of a wallet whose heads have to be compared."""
        mine = self.heads.get(address, ())
        return Asked({head.seq for _, head in mine}, {head.spans_seq for _, head in mine})

    def compare(self, books: WalletBooks, where: str, found: Findings) -> None:
        """Whether a wallet's chains still go through every head that was committed to."""
        for number, head in self.heads.get(books.address, ()):
            if head.seq and books.heads.get(head.seq) != head.head:
                found.add(f"{where} journal {head.seq}", "checkpoint", f"checkpoint {number} holds another head")
            if head.spans_seq and books.span_heads.get(head.spans_seq) != head.spans_head:
                found.add(f"{where} span {head.spans_seq}", "checkpoint", f"checkpoint {number} holds other spans")


def audit_checkpoints(file: Path, public_key: str | None, found: Findings) -> CheckpointBooks:
    """Check the log; without a key its signatures are not checked."""
    books = CheckpointBooks()
    if not file.exists():
        return books
    with readable(WHERE, found), snapshot(file) as db:
        check_pages(db, WHERE, found)
        previous, number = GENESIS, 0
        for row in db.execute("SELECT number, heads, root, hash, document FROM checkpoints ORDER BY number"):
            number += 1
            previous = _checkpoint(db, row, number, previous, public_key, found, books)
            found.looked_at("checkpoints")
        for (orphan,) in db.execute("SELECT DISTINCT number FROM leaves WHERE number > ? OR number < 1", (number,)):
            found.add(f"{WHERE} checkpoint {orphan}", "leaves", "has leaves and does not exist")
    return books


def _checkpoint(
    db: Connection, row: tuple[Any, ...], number: int, previous: str, public_key: str | None, found: Findings,
    books: CheckpointBooks,
) -> str:  # fmt: skip
    """Check one; what the next one has to name it by."""
    place = f"{WHERE} checkpoint {row[0]}"
    try:
        receipt = Receipt.model_validate(json.loads(row[4]))
    except (ValueError, ValidationError, RecursionError):
        found.add(place, "format", "its document cannot be read")
        return str(row[3])
    said = receipt.statement
    heads = leaves_of(db, row[0])
    places = [n for (n,) in db.execute("SELECT position FROM leaves WHERE number = ? ORDER BY position", (row[0],))]
    if places != list(range(len(heads))):
        found.add(place, "leaves", "they are not numbered from 0 on")
    leaves = root([head.leaf for head in heads]).hex()
    if (row[0], said.get("number")) != (number, number):
        found.add(place, "sequence", f"is the {number}th and calls itself {said.get('number')}")
    if said.get("previous") != previous:
        found.add(place, "chain", "does not name the one before it")
    if not said.get("heads") == row[1] == len(heads) or not said.get("root") == row[2] == leaves:
        found.add(place, "root", f"its {len(heads)} leaves lead to {leaves}, it says {said.get('root')}")
    if public_key is not None and (receipt.public_key != public_key or not is_valid(receipt, public_key)):
        found.add(place, "signature", "the operator did not sign this")
    digest = hash_of(said)
    if digest != row[3]:
        found.add(place, "hash", "its hash is another")
    for head in heads:
        books.heads.setdefault(head.address, []).append((number, head))
    found.looked_at("checkpointed heads", len(heads))
    return digest


def check_held(file: Path, held: list[tuple[str, Any]], public_key: str | None, found: Findings) -> None:
    """Checkpoints that somebody kept outside of the home, by name: each must be signed, and be one of the log's."""
    for name, document in held:
        proof = document.get("checkpoint") if isinstance(document, dict) else None
        receipt = receipt_in(document if proof is None else proof)
        if receipt is None or receipt.statement.get("kind") != "checkpoint":
            found.add(name, "format", "this is no checkpoint")
            continue
        found.take(check_receipt(receipt.model_dump(), public_key or receipt.public_key, name))
        said = receipt.statement
        ours = None
        if file.exists() and isinstance(said.get("number"), int):
            with readable(WHERE, found), snapshot(file) as db:
                query = "SELECT hash FROM checkpoints WHERE number = ?"
                ours = db.execute(query, (said["number"],)).fetchone()
        if ours is None or ours[0] != hash_of(said):
            there = "is not there" if ours is None else "is another one there"
            found.add(name, "checkpoint", f"checkpoint {said.get('number')} {there}: the log was cut or rewritten")
