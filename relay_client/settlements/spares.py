"""Payments for calls that failed, free to pay their payer's next call. Each function is one transaction.

A payment that is shown for a later call by the same key is not sent while such credit is there: it stands for the earlier one,
for good. It is never broadcast afterwards, so nobody is charged for it.
"""

from relay_client.settlements import journal, reads
from relay_client.settlements.records import Payment
from relay_client.states import PaymentState
from storage.connection import Connection

SPARES_MAX = 16
"""Looked at for one payer."""
CLAIMS_MAX = 64
"""Payments that may stand for one earlier one: a payer whose calls keep failing, or who sells failures to itself, signs for
nothing, and each is remembered.
"""
USABLE = frozenset({PaymentState.MEMPOOL, PaymentState.CONFIRMED})


def keep(db: Connection, payment_id: str, now_ms: int) -> None:
    """The call of this payment failed: it may pay for the payer's next one."""
    payment = reads.load(db, payment_id)
    if payment is not None and payment.address == payment.origin:
        db.execute(
            """INSERT INTO spares VALUES (?, ?, 0, ?) ON CONFLICT (payment_id) DO UPDATE SET is_claimed = 0""",
            (payment_id, payment.origin, now_ms),
        )


def drop(db: Connection, payment_id: str) -> None:
    """It has paid for a call, or its money was spent otherwise."""
    db.execute("DELETE FROM spares WHERE payment_id = ?", (payment_id,))


def has_any(db: Connection, origin: str) -> bool:
    """Whether a payer has one that is free."""
    query = "SELECT 1 FROM spares WHERE origin = ? AND is_claimed = 0 LIMIT 1"
    return db.execute(query, (origin,)).fetchone() is not None


def claim(db: Connection, payment_id: str, origin: str, usat: int, now_ms: int) -> Payment | None:
    """Have a new payment stand for one whose call failed, worth `usat` at least; None when there is none, or when the new
    one is on record itself.
    """
    known = journal.claimed(db, payment_id)
    if known is not None or reads.load(db, payment_id) is not None:
        return known
    query = "SELECT payment_id FROM spares WHERE origin = ? AND is_claimed = 0 ORDER BY at_ms LIMIT ?"
    for (spare_id,) in db.execute(query, (origin, SPARES_MAX)).fetchall():
        spare = reads.load(db, spare_id)
        if spare is None or spare.state not in USABLE or spare.expected_usat < usat:
            continue
        if spare.state is PaymentState.CONFIRMED and spare.credited_usat < usat:
            continue
        (claims,) = db.execute("SELECT count(*) FROM claims WHERE spare_id = ?", (spare_id,)).fetchone()
        if claims >= CLAIMS_MAX:
            drop(db, spare_id)  # its credit stays in its payer's bucket
            continue
        db.execute("UPDATE spares SET is_claimed = 1 WHERE payment_id = ?", (spare_id,))
        db.execute("INSERT INTO claims VALUES (?, ?, ?)", (payment_id, spare_id, now_ms))
        return spare
    return None
