"""The tables of `settlements.sqlite`, as migrations that are only ever added to.

`credits` is the promise of the whole package: at most one standing credit per (chain, origin, nonce) and per txid. Only a
reversal removes a row; what was reversed stays readable in `outbox`.
"""

from storage.connection import Connection
from storage.migration import Migration, migrate_by
from storage.sqlite import Database

_FIRST = """
CREATE TABLE payments (
    payment_id TEXT PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    chain_id INTEGER NOT NULL,
    origin TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    address TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('create', 'extend')),
    holder TEXT,
    asset TEXT NOT NULL,
    asset_wire TEXT NOT NULL,
    asset_id TEXT,
    pay_to TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    rate_usat INTEGER NOT NULL CHECK (rate_usat > 0),
    rate_atomic INTEGER NOT NULL CHECK (rate_atomic > 0),
    quote_id TEXT,
    sponsored INTEGER NOT NULL,
    transaction_bytes BLOB NOT NULL,
    body_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'broadcasting', 'mempool', 'confirmed', 'failed', 'replaced')),
    terminal_reason TEXT,
    code TEXT,
    detail TEXT,
    txid TEXT,
    expected_usat INTEGER NOT NULL CHECK (expected_usat > 0),
    grantable INTEGER NOT NULL,
    granted_usat INTEGER NOT NULL DEFAULT 0 CHECK (granted_usat BETWEEN 0 AND expected_usat),
    credited_usat INTEGER NOT NULL DEFAULT 0,
    reversed_usat INTEGER NOT NULL DEFAULT 0,
    reversals INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL,
    rounds INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    mempool_at_ms INTEGER,
    seen_at_ms INTEGER NOT NULL,
    block_height INTEGER,
    confirmed_at_ms INTEGER,
    vanished_at_ms INTEGER,
    watching INTEGER NOT NULL
) STRICT;
CREATE INDEX payments_watching ON payments (created_at_ms) WHERE watching = 1;
CREATE INDEX payments_granted_payer ON payments (origin) WHERE state = 'mempool';
CREATE INDEX payments_granted_wallet ON payments (address) WHERE state = 'mempool';
CREATE TABLE moves (
    payment_id TEXT NOT NULL REFERENCES payments,
    seq INTEGER NOT NULL,
    state TEXT NOT NULL,
    observation TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (payment_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE identifiers (
    origin TEXT NOT NULL,
    identifier TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    payment_id TEXT NOT NULL REFERENCES payments,
    PRIMARY KEY (origin, identifier)
) STRICT, WITHOUT ROWID;
CREATE TABLE credits (
    payment_id TEXT PRIMARY KEY REFERENCES payments,
    chain_id INTEGER NOT NULL,
    origin TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    txid TEXT NOT NULL UNIQUE,
    asset TEXT NOT NULL,
    atomic_amount INTEGER NOT NULL CHECK (atomic_amount > 0),
    usat INTEGER NOT NULL CHECK (usat >= 0),
    block_height INTEGER NOT NULL,
    block_hash TEXT,
    confirmed_at_ms INTEGER NOT NULL,
    UNIQUE (chain_id, origin, nonce)
) STRICT;
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('observe', 'credit', 'reverse', 'outage')),
    body TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    acknowledged_at_ms INTEGER
) STRICT;
CREATE INDEX outbox_open ON outbox (lane, seq) WHERE acknowledged_at_ms IS NULL;
CREATE TABLE losses (
    payment_id TEXT PRIMARY KEY REFERENCES payments,
    payer TEXT NOT NULL,
    holder TEXT,
    usat INTEGER NOT NULL CHECK (usat >= 0),
    open_usat INTEGER NOT NULL CHECK (open_usat >= 0),
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX losses_payer ON losses (payer) WHERE open_usat > 0;
CREATE INDEX losses_holder ON losses (holder) WHERE open_usat > 0;
CREATE TABLE outages (
    outage_id INTEGER PRIMARY KEY AUTOINCREMENT,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER
) STRICT;
"""


def _create(connection: Connection) -> None:
    for statement in _FIRST.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def _limit_grants(connection: Connection) -> None:
    """`grantable` said whether; it now says how much."""
    connection.execute("ALTER TABLE payments RENAME COLUMN grantable TO grantable_usat")
    connection.execute("UPDATE payments SET grantable_usat = grantable_usat * expected_usat")
    connection.execute("CREATE INDEX payments_granted_holder ON payments (holder) WHERE state = 'mempool'")


def _index_followed(connection: Connection) -> None:
    """How many payments under way share a nonce is asked for each new one."""
    connection.execute("CREATE INDEX payments_followed ON payments (origin, nonce) WHERE watching = 1")


def _say_what_wakes(connection: Connection) -> None:
    """Money may come in for something else than a sandbox."""
    connection.execute("ALTER TABLE payments ADD COLUMN wakes INTEGER NOT NULL DEFAULT 1")


def _keep_spares(connection: Connection) -> None:
    """Payments whose calls failed, and those that stand for them."""
    connection.execute(
        """CREATE TABLE spares (payment_id TEXT PRIMARY KEY REFERENCES payments, origin TEXT NOT NULL,
           is_claimed INTEGER NOT NULL, at_ms INTEGER NOT NULL) STRICT"""
    )
    connection.execute("CREATE INDEX spares_free ON spares (origin, at_ms) WHERE is_claimed = 0")
    connection.execute(
        """CREATE TABLE claims (payment_id TEXT PRIMARY KEY, spare_id TEXT NOT NULL REFERENCES payments,
           at_ms INTEGER NOT NULL) STRICT"""
    )


def _remember_holds(connection: Connection) -> None:
    """Until when the relay may send what it holds, by itself."""
    connection.execute("ALTER TABLE payments ADD COLUMN held_until_ms INTEGER")


def _index_claims(connection: Connection) -> None:
    """How many stand for one is asked for each new one."""
    connection.execute("CREATE INDEX claims_spare ON claims (spare_id)")


def _note_unsent(connection: Connection) -> None:
    """Of a refused payment it may be sure that nobody has sent it."""
    connection.execute("ALTER TABLE payments ADD COLUMN is_unsent INTEGER NOT NULL DEFAULT 0")


def _open_purposes(connection: Connection) -> None:
    """What a payment is for was one of two words by the table itself; `operations.purposes` knows them now."""
    connection.execute("ALTER TABLE payments ADD COLUMN paid_for TEXT NOT NULL DEFAULT ''")
    connection.execute("UPDATE payments SET paid_for = purpose")
    connection.execute("ALTER TABLE payments DROP COLUMN purpose")
    connection.execute("ALTER TABLE payments RENAME COLUMN paid_for TO purpose")


def _index_age(connection: Connection) -> None:
    """Which are the newest was asked by SQLite's own numbers of rows."""
    connection.execute("CREATE INDEX payments_age ON payments (created_at_ms)")


MIGRATIONS: tuple[Migration, ...] = (
    _create, _limit_grants, _index_followed, _say_what_wakes, _keep_spares, _remember_holds,
    _index_claims, _note_unsent, _open_purposes, _index_age,
)  # fmt: skip


def migrate(connection: Database) -> None:
    """Bring the file up to date; refuses one of a newer version."""
    migrate_by(connection, MIGRATIONS)
