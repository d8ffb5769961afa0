"""The tables of `payouts.sqlite`, as migrations that are only ever added to.

`signed` is the promise of the package: bytes are on disk before they are sent, at most one living transaction per payout, and
at most one per sender and nonce.
"""

from storage.connection import Connection
from storage.migration import Migration, migrate_by
from storage.sqlite import Database

_FIRST = """
CREATE TABLE payouts (
    payout_id TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    recipient TEXT NOT NULL,
    asset TEXT NOT NULL CHECK (asset IN ('sBTC', 'STX')),
    atomic INTEGER NOT NULL CHECK (atomic > 0),
    usat INTEGER NOT NULL CHECK (usat > 0),
    fee_usat INTEGER NOT NULL CHECK (fee_usat >= 0),
    state TEXT NOT NULL CHECK (state IN
        ('queued', 'approved', 'signing', 'broadcasting', 'mempool', 'confirmed', 'failed')),
    waits_for TEXT,
    detail TEXT,
    sender TEXT,
    nonce INTEGER,
    txid TEXT,
    block_height INTEGER,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    approved_at_ms INTEGER,
    sent_at_ms INTEGER,
    is_told INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX payouts_open ON payouts (state, created_at_ms) WHERE state NOT IN ('confirmed', 'failed');
CREATE INDEX payouts_untold ON payouts (payout_id) WHERE state IN ('confirmed', 'failed') AND is_told = 0;
CREATE INDEX payouts_of ON payouts (address, created_at_ms);
CREATE INDEX payouts_approved ON payouts (approved_at_ms);
CREATE TABLE signed (
    txid TEXT PRIMARY KEY,
    payout_id TEXT NOT NULL REFERENCES payouts,
    sender TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    transaction_bytes BLOB NOT NULL,
    is_dead INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX signed_once ON signed (payout_id) WHERE is_dead = 0;
CREATE UNIQUE INDEX signed_nonce ON signed (sender, nonce) WHERE is_dead = 0;
CREATE TABLE moves (
    payout_id TEXT NOT NULL REFERENCES payouts,
    seq INTEGER NOT NULL,
    state TEXT NOT NULL,
    observation TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (payout_id, seq)
) STRICT, WITHOUT ROWID;
"""


def _create(connection: Connection) -> None:
    for statement in _FIRST.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def _note_strangers(connection: Connection) -> None:
    """Up to which nonce the chain has transactions of a key that may not be in this file, and what of it the operator knows."""
    connection.execute(
        "CREATE TABLE used_elsewhere (sender TEXT PRIMARY KEY, seen_nonce INTEGER NOT NULL, accepted_nonce INTEGER NOT NULL)"
        " STRICT"
    )


MIGRATIONS: tuple[Migration, ...] = (_create, _note_strangers)


def migrate(connection: Database) -> None:
    """Bring the file up to date; refuses one of a newer version."""
    migrate_by(connection, MIGRATIONS)
