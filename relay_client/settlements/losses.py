"""What starts on credit still cost us, by payer and holder: written once for each payment, made good by later deposits."""

from relay_client.settlements.reads import get
from relay_client.settlements.records import Payment
from storage.connection import Connection


def record_loss(db: Connection, payment_id: str, usat: int, now_ms: int) -> None:
    """What was really spent on this payment (0 when nothing): held against its payer and whoever presented it, once.

    The beneficiary is not punished: a gift that fails must not get a stranger banned.
    """
    payment = get(db, payment_id)
    write_loss(db, payment, usat, now_ms)
    if payment.credited_usat:  # it arrived after all, before the wallet could say so
        make_good(db, payment, payment.credited_usat)


def write_loss(db: Connection, payment: Payment, usat: int, now_ms: int) -> None:
    """Set a payment's loss; what was made good of it before stays made good."""
    db.execute(
        """INSERT INTO losses VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (payment_id) DO UPDATE
           SET open_usat = max(0, excluded.usat - (usat - open_usat)), usat = excluded.usat""",
        (payment.payment_id, payment.origin, payment.holder, usat, usat, now_ms),
    )


def open_loss(db: Connection, address: str) -> int:
    """What starts on credit by this payer or pass holder still cost us, in usat."""
    query = "SELECT coalesce(sum(open_usat), 0) FROM losses WHERE open_usat > 0 AND (payer = ? OR holder = ?)"
    (usat,) = db.execute(query, (address, address)).fetchone()
    return int(usat)


def make_good(db: Connection, payment: Payment, usat: int) -> None:
    """Confirmed deposits of a payer or holder close losses of theirs, oldest first, up to their amount."""
    query = """SELECT payment_id, open_usat FROM losses
               WHERE open_usat > 0 AND (payer IN (?, ?) OR holder IN (?, ?)) ORDER BY at_ms, payment_id"""
    parties = (payment.origin, payment.holder or payment.origin)
    for loss_id, open_usat in db.execute(query, (*parties, *parties)).fetchall():
        paid = min(open_usat, usat)
        usat -= paid
        db.execute("UPDATE losses SET open_usat = open_usat - ? WHERE payment_id = ?", (paid, loss_id))
