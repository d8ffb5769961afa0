"""Refused payments of which it is sure that nobody has sent them, so that their payers hear that no money moved.

"The nonce is taken" may be the echo of a broadcast of the same bytes, by the payer or before a lost reply. It is none when
another payment has the nonce here, and no node that has that one takes this one.
"""

from relay_client.settlements.reads import get
from relay_client.settlements.records import SELF_PAID, Payment
from relay_client.states import TerminalReason
from stacks import decode_transaction
from storage.connection import Connection


def judge(db: Connection, payment_id: str) -> Payment:
    """Note that a payment which the chain does not know is unsent, if that is sure. Only noted: it is watched all the same, since
    its payer may still send it.
    """
    payment = get(db, payment_id)
    was_asked_once = payment.attempts == 1 and payment.terminal_reason is TerminalReason.SENDER_NONCE_DUPLICATE
    if payment.is_unsent or not payment.watching or not was_asked_once or not _is_kept_out(db, payment):
        return payment
    return _note(db, payment_id, is_unsent=True)


def was_sent(db: Connection, payment_id: str) -> Payment:
    """The chain knows it now."""
    return _note(db, payment_id, is_unsent=False)


def _note(db: Connection, payment_id: str, *, is_unsent: bool) -> Payment:
    db.execute("UPDATE payments SET is_unsent = ? WHERE payment_id = ?", (int(is_unsent), payment_id))
    return get(db, payment_id)


def _is_kept_out(db: Connection, payment: Payment) -> bool:
    """Both pay their own fee, the relay has taken the other one, which is in the mempool, and its fee is no lower: stacks-core
    replaces a transaction by one with a higher fee alone.
    """
    query = """SELECT transaction_bytes FROM payments WHERE watching = 1 AND chain_id = ? AND origin = ? AND nonce = ?
               AND state = 'mempool' AND sponsored = ? AND payment_id != ?"""
    key = (payment.chain_id, payment.origin, payment.nonce, SELF_PAID, payment.payment_id)
    fee = decode_transaction(payment.transaction_bytes).fee
    return payment.sponsored == SELF_PAID and any(
        decode_transaction(of_other).fee >= fee for (of_other,) in db.execute(query, key)
    )
