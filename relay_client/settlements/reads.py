"""What the settlements file says of its payments. Nothing here writes."""

from relay_client.settlements.records import COLUMNS, Payment, from_row
from storage.connection import Connection

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM payments"  # noqa: S608 - our own column names
COUNTED_MAX = 5_000
"""Payments that a count by state looks at."""


def load(db: Connection, payment_id: str) -> Payment | None:
    """A payment by its id."""
    row = db.execute(f"{_SELECT} WHERE payment_id = ?", (payment_id,)).fetchone()
    return None if row is None else from_row(row)


def unfinished(db: Connection) -> list[Payment]:
    """Payments somebody has to look at again: in flight, lately confirmed, or given up but possibly broadcast."""
    return [from_row(row) for row in db.execute(f"{_SELECT} WHERE watching = 1 ORDER BY created_at_ms")]


def history(db: Connection, payment_id: str) -> list[tuple[str, str, int]]:
    """(state, observation, at_ms) of every move, oldest first."""
    query = "SELECT state, observation, at_ms FROM moves WHERE payment_id = ? ORDER BY seq"
    return list(db.execute(query, (payment_id,)))


def count_states(db: Connection) -> dict[str, int]:
    """The newest payments by state, and what waits in the outbox: bounded, since everything else waits behind a read."""
    newest = "SELECT state FROM payments ORDER BY created_at_ms DESC LIMIT ?"
    counts = dict(db.execute(f"SELECT state, count(*) FROM ({newest}) GROUP BY state", (COUNTED_MAX,)))  # noqa: S608
    (waiting,) = db.execute("SELECT count(*) FROM outbox WHERE acknowledged_at_ms IS NULL").fetchone()
    return {**counts, "outbox": waiting}


def get(db: Connection, payment_id: str) -> Payment:
    """A payment that is there. Raises LookupError."""
    payment = load(db, payment_id)
    if payment is None:
        raise LookupError(payment_id)
    return payment
