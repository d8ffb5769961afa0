"""The checkpoints of a service in one file. Every process that can reach the home may make one; the file's lock has them take
turns. Nothing on the way of a commit knows of this: what has changed is found by the wallets' stamps, on any host, and
whatever crashed meanwhile, and only wallets whose stamp is another are read.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from actors.books.checkpoints import Inclusion, Made
from actors.books.heads import Head, RewrittenError, hash_of
from actors.books.merkle import levels, path, root
from actors.stores.wallets import WalletRepository
from actors.wallet.journal import GENESIS
from storage.connection import Connection
from storage.errors import StorageError
from storage.files import connect
from storage.full_disk import is_full
from storage.migration import run_script
from storage.sqlite import Database
from storage.transactions import Transaction

Sign = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes a statement, gives `{statement, signature, public_key}`."""

BUSY_SECONDS = 60.0
TREES_KEPT = 4
_SCHEMA = """
CREATE TABLE IF NOT EXISTS checkpoints (number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, heads INTEGER NOT NULL,
    root TEXT NOT NULL, hash TEXT NOT NULL, document TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS leaves (number INTEGER NOT NULL, position INTEGER NOT NULL, address TEXT NOT NULL,
    seq INTEGER NOT NULL, head TEXT NOT NULL, spans_seq INTEGER NOT NULL, spans_head TEXT NOT NULL,
    PRIMARY KEY (number, position)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leaves_of ON leaves (address, number);
CREATE TABLE IF NOT EXISTS looked (address TEXT PRIMARY KEY, stamp TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS checkpoints_stay BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS checkpoints_keep BEFORE DELETE ON checkpoints BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS leaves_stay BEFORE UPDATE ON leaves BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS leaves_keep BEFORE DELETE ON leaves BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""
_HEAD = "address, seq, head, spans_seq, spans_head"


class CheckpointLog:
    """A `CheckpointBook`: the log at `file` over `wallets`."""

    def __init__(self, file: Path, wallets: WalletRepository, sign: Sign, named: dict[str, str]) -> None:
        self._file = file
        self._wallets = wallets
        self._sign = sign
        self._named = named
        self._lock = threading.Lock()
        self._trees: dict[int, list[list[bytes]]] = {}

    @contextlib.contextmanager
    def _open(self) -> Iterator[Database]:
        with contextlib.closing(connect(self._file, busy_seconds=BUSY_SECONDS)) as db:
            run_script(db, _SCHEMA)
            yield db

    def make(self, at_ms: int, issued_at: str) -> Made:
        """See `CheckpointBook`."""
        with self._open() as db, Transaction(db):
            return self._make(db, at_ms, issued_at)

    def _make(self, db: Connection, at_ms: int, issued_at: str) -> Made:
        rewritten: dict[str, str] = {}
        heads: list[Head] = []
        for address in self._wallets.addresses():
            seen = self._wallets.stamp(address)  # taken before it is read
            row = db.execute("SELECT stamp FROM looked WHERE address = ?", (address,)).fetchone()
            if row is not None and row[0] == seen:
                continue
            known = latest_head(db, address) or Head(address)
            try:
                head = self._wallets.head_after(address, known)
            except (RewrittenError, StorageError) as error:
                if is_full(error):
                    raise  # no word on this wallet's past
                rewritten[address] = f"{type(error).__name__}: {error}"
                continue  # looked at again next time
            db.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", (address, seen))
            if head != known:
                heads.append(head)
        last = _newest(db)
        if not heads:
            return Made(None if last is None else last[1], is_new=False, rewritten=rewritten)
        heads.sort(key=lambda head: head.address)
        number, previous = (1, GENESIS) if last is None else (last[0] + 1, hash_of(last[1]["statement"]))
        statement = {
            "kind": "checkpoint", **self._named, "number": number, "heads": len(heads), "previous": previous,
            "root": root([head.leaf for head in heads]).hex(), "issued_at": issued_at,
        }  # fmt: skip
        document = self._sign(statement)
        row = (number, at_ms, len(heads), statement["root"], hash_of(statement), json.dumps(document))
        db.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)", row)
        db.executemany(
            "INSERT INTO leaves VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((number, n, h.address, h.seq, h.head, h.spans_seq, h.spans_head) for n, h in enumerate(heads)),
        )
        return Made(document, is_new=True, rewritten=rewritten)

    def page(self, after: int, limit: int) -> list[dict[str, Any]]:
        """See `CheckpointBook`."""
        with self._open() as db:
            query = "SELECT document FROM checkpoints WHERE number > ? ORDER BY number LIMIT ?"
            return [json.loads(document) for (document,) in db.execute(query, (after, limit))]

    def newest(self) -> dict[str, Any] | None:
        """See `CheckpointBook`."""
        with self._open() as db:
            found = _newest(db)
        return None if found is None else found[1]

    def inclusion(self, address: str) -> Inclusion | None:
        """See `CheckpointBook`."""
        with self._open() as db:
            query = f"SELECT number, position, {_HEAD} FROM leaves WHERE address = ? ORDER BY number DESC LIMIT 1"  # noqa: S608
            row = db.execute(query, (address,)).fetchone()
            if row is None:
                return None
            number, position, head = row[0], row[1], Head(*row[2:])
            tree = self._tree(db, number)
            (document,) = db.execute("SELECT document FROM checkpoints WHERE number = ?", (number,)).fetchone()
        hashes = [part.hex() for part in path(tree, position)]
        return Inclusion(head, position, hashes, json.loads(document))

    def _tree(self, db: Connection, number: int) -> list[list[bytes]]:
        """A checkpoint's tree. The last few are kept: everybody asks for proofs from the same ones."""
        with self._lock:
            tree = self._trees.pop(number, None)
            if tree is None:
                tree = levels([head.leaf for head in leaves_of(db, number)])
            self._trees[number] = tree
            if len(self._trees) > TREES_KEPT:
                del self._trees[next(iter(self._trees))]
            return tree


def latest_head(db: Connection, address: str) -> Head | None:
    """The newest head of a wallet that a checkpoint holds."""
    query = f"SELECT {_HEAD} FROM leaves WHERE address = ? ORDER BY number DESC LIMIT 1"  # noqa: S608 - our own names
    row = db.execute(query, (address,)).fetchone()
    return None if row is None else Head(*row)


def leaves_of(db: Connection, number: int) -> list[Head]:
    """All heads of one checkpoint, in their order."""
    query = f"SELECT {_HEAD} FROM leaves WHERE number = ? ORDER BY position"  # noqa: S608 - our own names
    return [Head(*row) for row in db.execute(query, (number,))]


def _newest(db: Connection) -> tuple[int, dict[str, Any]] | None:
    row = db.execute("SELECT number, document FROM checkpoints ORDER BY number DESC LIMIT 1").fetchone()
    return None if row is None else (int(row[0]), json.loads(row[1]))
