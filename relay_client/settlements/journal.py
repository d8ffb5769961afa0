"""The transactions of the settlements file. Each function runs inside one, so each leaves a legal state or nothing.

Nothing here waits, asks anybody or reads a clock. Every change of state goes through `move`, which knows only the legal
moves of `states`, and writes the wallets' message beside it.
"""

from dataclasses import dataclass, replace
from typing import Any

from operations.errors import SatboxError
from operations.purposes import is_same_purpose
from relay_client.chain import ChainTransaction
from relay_client.settlements.losses import make_good, open_loss, write_loss
from relay_client.settlements.outbox import post
from relay_client.settlements.policy import Outstanding, SettlementPolicy, granted_usat
from relay_client.settlements.reads import get, load
from relay_client.settlements.records import (
    COLUMNS,
    COMPLETE,
    SELF_PAID,
    WAITS_FOR_SPONSOR,
    Payment,
    Presentation,
    funds_moved,
)
from relay_client.sink import Credit, Reversal
from relay_client.states import OBSERVED, PaymentEvent, PaymentState, TerminalReason, is_terminal, moves_to
from relay_client.verify import VerifiedPayment
from storage.connection import Connection

_INSERT = f"INSERT INTO payments ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608

IDENTIFIERS_MAX = 16
"""Names one payment may go by; its repetitions under still others are answered and not remembered."""


def payment_id_of(identity: str) -> str:
    """The id of a payment: a function of its origin-signed bytes, so that nothing can give it two."""
    return f"pay_{identity[:32]}"


def recall(db: Connection, shown: Presentation) -> Payment | None:
    """The payment that this presentation repeats, or None when it is new.

    Raises payment_identifier_conflict when its identifier came with another body, payment_target_conflict when its bytes
    came for another wallet or purpose, or for another body and this presentation is bound to its own.
    """
    origin, payment_id = shown.payment.origin, payment_id_of(shown.payment.identity)
    if shown.identifier is not None:
        query = "SELECT body_hash, payment_id FROM identifiers WHERE origin = ? AND identifier = ?"
        row = db.execute(query, (origin, shown.identifier)).fetchone()
        if row is not None and row != (shown.body_hash, payment_id):
            raise SatboxError("payment_identifier_conflict")
    payment = load(db, payment_id)
    if payment is None:
        return None
    if payment.identity != shown.payment.identity:
        raise SatboxError("payment_target_conflict", "Two payments share an id.")  # 2^-128: refused, never mixed up
    is_other_body = shown.is_bound and payment.body_hash != shown.body_hash
    is_same = payment.address == shown.address and is_same_purpose(payment.purpose, shown.purpose)
    if is_other_body or not is_same:
        # The payment itself stands where it was first presented.
        details = {"paymentId": payment.payment_id}
        raise SatboxError("payment_target_conflict", details=details, funds_moved=funds_moved(payment))
    if shown.is_bound:
        _check_named(db, shown, payment)
    elif shown.identifier is not None and shown.holder == payment.holder:
        # Bytes can be copied out of a block: whoever else shows them gets the answer, and no say over the payer's names.
        db.execute(
            """INSERT INTO identifiers SELECT ?, ?, ?, ?
               WHERE (SELECT count(*) FROM identifiers WHERE origin = ? AND payment_id = ?) < ? ON CONFLICT DO NOTHING""",
            (
                origin,
                shown.identifier,
                shown.body_hash,
                payment.payment_id,
                origin,
                payment.payment_id,
                IDENTIFIERS_MAX,
            ),
        )
    return payment


def _check_named(db: Connection, shown: Presentation, payment: Payment) -> None:
    """An identifier is in no block: where the first presenter sent one, nobody without it is answered in the first one's place.
    One that comes later is not taken, since it may be a copier's.
    """
    query = "SELECT identifier FROM identifiers WHERE origin = ? AND payment_id = ?"
    names = [name for (name,) in db.execute(query, (payment.origin, payment.payment_id))]
    if names and shown.identifier not in names:
        raise SatboxError(
            "payment_identifier_conflict", "This payment came with an identifier, and pays only with it.",
            details={"paymentId": payment.payment_id}, funds_moved=funds_moved(payment),
            hint="Show it again as it was shown first. Do not pay again.",
        )  # fmt: skip


def claimed(db: Connection, payment_id: str) -> Payment | None:
    """The earlier payment that this one stands for, if it does (`spares.py`)."""
    row = db.execute("SELECT spare_id FROM claims WHERE payment_id = ?", (payment_id,)).fetchone()
    return None if row is None else load(db, row[0])


def check_new(db: Connection, shown: Presentation, policy: SettlementPolicy, now_ms: int) -> None:
    """Raises what only stops a payment that was never presented: a quote past its time, a nonce already credited, or one
    that many payments under way share.
    """
    payment = shown.payment
    expires = payment.quote_expires_at_ms
    if expires is not None and now_ms > expires + policy.quote_grace_ms:
        raise SatboxError("quote_expired", details={"quote_id": payment.quote_id, "expired_at_ms": expires})
    query = "SELECT payment_id FROM credits WHERE chain_id = ? AND origin = ? AND nonce = ?"
    if db.execute(query, (payment.chain_id, payment.origin, payment.nonce)).fetchone() is not None:
        raise SatboxError("payment_nonce_stale", "A payment with this nonce has already been credited.")
    if payment.unsponsored:
        _check_not_held(db, payment, now_ms)
    query = "SELECT count(*) FROM payments WHERE watching = 1 AND chain_id = ? AND origin = ? AND nonce = ?"
    (followed,) = db.execute(query, (payment.chain_id, payment.origin, payment.nonce)).fetchone()
    if followed >= policy.followed_per_nonce_max:
        raise SatboxError(
            "overloaded",
            "Too many payments with this nonce are under way.",
            details={"nonce": payment.nonce},
            retry_after=30,
        )


def _check_not_held(db: Connection, payment: VerifiedPayment, now_ms: int) -> None:
    """The relay keeps one payment for each nonce of a sender: another would take its place, and wait from the start."""
    query = """SELECT payment_id, held_until_ms FROM payments WHERE watching = 1 AND chain_id = ? AND origin = ? AND nonce = ?
               AND state IN ('queued', 'broadcasting') AND sponsored = ? AND held_until_ms > ? LIMIT 1"""
    key = (payment.chain_id, payment.origin, payment.nonce, WAITS_FOR_SPONSOR, now_ms)
    row = db.execute(query, key).fetchone()
    if row is not None:
        raise SatboxError(
            "payment_in_flight", details={"paymentId": row[0]}, retry_after=max(1, (row[1] - now_ms) // 1000)
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """The payment of a presentation; `is_new` when this call recorded the attempt and must carry it out."""

    payment: Payment
    is_new: bool


def open_attempt(db: Connection, shown: Presentation, policy: SettlementPolicy, now_ms: int) -> Opened:
    """Record the attempt before anybody is asked to broadcast: from here on its outcome is unknown, never failed."""
    known = recall(db, shown)
    if known is not None:
        return Opened(known, is_new=False)
    stood_for = claimed(db, payment_id_of(shown.payment.identity)) if shown.is_bound else None
    if stood_for is not None:  # by another gate, since this one looked: it is never sent for a call
        return Opened(stood_for, is_new=False)
    check_new(db, shown, policy, now_ms)
    verified = shown.payment
    sponsored = COMPLETE if verified.sponsored else SELF_PAID
    if verified.unsponsored:
        sponsored = WAITS_FOR_SPONSOR
    payment = Payment(
        payment_id=payment_id_of(verified.identity), identity=verified.identity, chain_id=verified.chain_id,
        origin=verified.origin, nonce=verified.nonce, address=shown.address, purpose=shown.purpose,
        holder=shown.holder, asset=verified.asset, asset_wire=verified.asset_wire, asset_id=verified.asset_id,
        pay_to=verified.pay_to, amount=verified.amount, rate_usat=verified.rate_usat,
        rate_atomic=verified.rate_atomic, quote_id=verified.quote_id, sponsored=sponsored,
        transaction_bytes=verified.transaction, body_hash=shown.body_hash, state=PaymentState.QUEUED,
        terminal_reason=None, code=None, detail=None, txid=verified.txid, expected_usat=verified.usat,
        grantable_usat=shown.grantable_usat, granted_usat=0, credited_usat=0, reversed_usat=0,
        reversals=0, attempts=0, rounds=0, created_at_ms=now_ms, updated_at_ms=now_ms, mempool_at_ms=None, seen_at_ms=now_ms,
        block_height=None, confirmed_at_ms=None, vanished_at_ms=None, watching=1, wakes=int(shown.wakes),
        held_until_ms=None, is_unsent=0,
    )  # fmt: skip
    db.execute(_INSERT, tuple(getattr(payment, name) for name in COLUMNS))
    _log(db, payment.payment_id, (PaymentState.QUEUED,), PaymentEvent.PRESENTED, now_ms)
    if shown.identifier is not None:
        db.execute(
            "INSERT INTO identifiers VALUES (?, ?, ?, ?)",
            (verified.origin, shown.identifier, shown.body_hash, payment.payment_id),
        )
    return Opened(call_begins(db, payment.payment_id, now_ms), is_new=True)


def _log(db: Connection, payment_id: str, way: tuple[PaymentState, ...], observed: PaymentEvent, now_ms: int) -> None:
    for state in way:
        db.execute(
            "INSERT INTO moves SELECT ?, coalesce(max(seq), 0) + 1, ?, ?, ? FROM moves WHERE payment_id = ?",
            (payment_id, state, observed, now_ms, payment_id),
        )


def _save(db: Connection, payment: Payment, **changes: Any) -> Payment:
    columns = ", ".join(f"{name} = ?" for name in changes)
    query = f"UPDATE payments SET {columns} WHERE payment_id = ?"  # noqa: S608 - our own column names
    db.execute(query, (*changes.values(), payment.payment_id))
    return replace(payment, **changes)


def call_begins(db: Connection, payment_id: str, now_ms: int) -> Payment:
    """The relay is about to be called: whatever happens now, the bytes may get out."""
    payment = get(db, payment_id)
    way = moves_to(payment.state, PaymentState.BROADCASTING)
    _log(db, payment_id, way, PaymentEvent.RELAY_CALLED, now_ms)
    return _save(db, payment, state=PaymentState.BROADCASTING, attempts=payment.attempts + 1, updated_at_ms=now_ms)


def _outstanding(db: Connection, payment: Payment, policy: SettlementPolicy, now_ms: int) -> Outstanding:
    total = "SELECT coalesce(sum(granted_usat), 0) FROM payments WHERE state = 'mempool'"
    (overall,) = db.execute(total).fetchone()
    (payer,) = db.execute(f"{total} AND origin = ?", (payment.origin,)).fetchone()
    (wallet,) = db.execute(f"{total} AND address = ?", (payment.address,)).fetchone()
    (presented,) = db.execute(f"{total} AND holder = ?", (payment.holder,)).fetchone()
    parties = (payment.origin, payment.holder or payment.origin)
    loss = sum(open_loss(db, party) for party in parties)
    overdue = """SELECT 1 FROM payments WHERE state = 'mempool' AND granted_usat > 0 AND mempool_at_ms < ?
                 AND (origin IN (?, ?) OR holder IN (?, ?)) LIMIT 1"""
    since_ms = now_ms - policy.grant_overdue_ms
    is_overdue = db.execute(overdue, (since_ms, *parties, *parties)).fetchone() is not None
    return Outstanding(max(payer, presented), wallet, overall, loss > 0, is_overdue)


def seen_in_mempool(
    db: Connection,
    payment_id: str,
    txid: str | None,
    observed: PaymentEvent,
    policy: SettlementPolicy,
    now_ms: int,
) -> Payment:
    """A node has it. The first sighting decides what may be spent of it and tells the wallet."""
    payment = get(db, payment_id)
    if is_terminal(payment.state):
        return payment
    known = payment.txid if payment.txid_is_local else txid or payment.txid
    if payment.state is PaymentState.MEMPOOL:
        return _save(db, payment, txid=known, seen_at_ms=now_ms)
    way = moves_to(payment.state, OBSERVED[observed])
    granted = granted_usat(policy, payment.grantable_usat, _outstanding(db, payment, policy, now_ms))
    _log(db, payment_id, way, observed, now_ms)
    payment = _save(
        db, payment, state=PaymentState.MEMPOOL, txid=known, granted_usat=granted, mempool_at_ms=now_ms,
        seen_at_ms=now_ms, updated_at_ms=now_ms, detail=None,
    )  # fmt: skip
    post(db, payment_id, payment.observation(), now_ms)
    return payment


def held(db: Connection, payment_id: str, detail: str, now_ms: int, held_until_ms: int | None = None) -> Payment:
    """The relay keeps it until `held_until_ms`, or (None) turned the call away at the door, which ends no earlier hold."""
    payment = get(db, payment_id)
    if payment.state is not PaymentState.BROADCASTING:
        return payment
    _log(db, payment_id, (PaymentState.QUEUED,), PaymentEvent.RELAY_HELD, now_ms)
    payment = _save(
        db,
        payment,
        state=PaymentState.QUEUED,
        detail=detail[:200],
        rounds=payment.rounds + 1,
        updated_at_ms=now_ms,
        held_until_ms=held_until_ms or payment.held_until_ms,
    )
    post(db, payment_id, payment.observation(), now_ms)
    return payment


def unknown(db: Connection, payment_id: str, detail: str, now_ms: int, *, answered: bool) -> Payment:
    """Nobody can tell whether it went out; it stays `broadcasting`. `answered`: the reply came, and settles nothing."""
    payment = get(db, payment_id)
    if payment.state is not PaymentState.BROADCASTING:
        return payment
    payment = _save(db, payment, detail=detail, rounds=payment.rounds + int(answered), updated_at_ms=now_ms)
    post(db, payment_id, payment.observation(), now_ms)
    return payment


def end(
    db: Connection,
    payment_id: str,
    observed: PaymentEvent,
    reason: TerminalReason,
    code: str,
    detail: str,
    now_ms: int,
    *,
    watch: bool,
) -> Payment:
    """It ended without success. `watch`: its bytes may be out there, so the chain is asked for a while yet."""
    payment = get(db, payment_id)
    if is_terminal(payment.state):
        return payment
    target = OBSERVED[observed]
    _log(db, payment_id, moves_to(payment.state, target), observed, now_ms)
    payment = _save(
        db, payment, state=target, terminal_reason=reason, code=code, detail=detail[:200], updated_at_ms=now_ms,
        watching=int(watch),
    )  # fmt: skip
    post(db, payment_id, payment.observation(), now_ms)
    if payment.granted_usat:  # counted as lost until the wallet says how much of it was used
        write_loss(db, payment, payment.granted_usat, now_ms)
    return payment


def stop_watching(db: Connection, payment_id: str) -> Payment:
    """Nothing can change it any more."""
    return _save(db, get(db, payment_id), watching=0, vanished_at_ms=None)


def watch_again(db: Connection, payment_id: str) -> Payment:
    """The chain knows its bytes, though it was refused here."""
    return _save(db, get(db, payment_id), watching=1)


def confirm(db: Connection, payment_id: str, tx: ChainTransaction, now_ms: int) -> Payment:
    """The chain has it in a block: credit what its event says, once, and tell the wallet, all in this transaction.

    A payment given up before is credited all the same and keeps its terminal state: the money did arrive. One that was
    reversed and has come back is credited anew, under a credit id of its own.
    """
    payment = get(db, payment_id)
    if payment.credited_usat:
        return payment
    amount = tx.received(asset_id=payment.asset_id, sender=payment.origin, recipient=payment.pay_to)
    usat = amount * payment.rate_usat // payment.rate_atomic
    if usat <= 0:
        return end(
            db, payment_id, PaymentEvent.CHAIN_ABORTED, TerminalReason.CHAIN_ABORT, "payment_failed",
            "the transaction succeeded without paying us", now_ms, watch=False,
        )  # fmt: skip
    height = tx.block_height or 0
    credited = db.execute(
        "INSERT INTO credits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (payment_id, payment.chain_id, payment.origin, payment.nonce, tx.txid, payment.asset, amount, usat,
         height, tx.block_hash, now_ms),
    )  # fmt: skip
    if credited.rowcount != 1:
        if _credit_may_fall(db, payment):
            return (
                payment  # after a reorganisation: the other one's recheck reverses it, then this one is looked at again
            )
        return end(
            db, payment_id, PaymentEvent.CHAIN_REPLACED, TerminalReason.SUPERSEDED, "payment_nonce_stale",
            "this nonce has already been credited", now_ms, watch=False,
        )  # fmt: skip
    changes: dict[str, Any] = {
        "txid": tx.txid, "credited_usat": usat, "block_height": height, "confirmed_at_ms": now_ms,
        "seen_at_ms": now_ms, "updated_at_ms": now_ms, "watching": 1, "reversed_usat": 0,
    }  # fmt: skip
    if not is_terminal(payment.state):
        _log(db, payment_id, moves_to(payment.state, PaymentState.CONFIRMED), PaymentEvent.CHAIN_SUCCESS, now_ms)
        changes["state"] = PaymentState.CONFIRMED
    if changes.get("state", payment.state) is PaymentState.CONFIRMED:
        changes |= {"code": None, "detail": None}
    payment = _save(db, payment, **changes)
    make_good(db, payment, usat)
    credit = Credit(
        payment.credit_id, payment.address, payment.origin, usat, payment.asset, amount, tx.txid, height, now_ms,
        bool(payment.wakes),
    )  # fmt: skip
    post(db, payment_id, credit, now_ms)  # before the observation: what holds the sandbox up is replaced, then released
    post(db, payment_id, payment.observation(), now_ms)
    return payment


def still_there(db: Connection, payment_id: str, height: int, *, is_final: bool) -> Payment:
    """A recheck found the credited transaction in a block."""
    payment = get(db, payment_id)
    return _save(db, payment, block_height=height, vanished_at_ms=None, watching=int(not is_final))


NOTED = ("created_at_ms", "mempool_at_ms", "seen_at_ms")


def is_ahead(payment: Payment, policy: SettlementPolicy, now_ms: int) -> bool:
    """Whether a moment was noted that is still to come: the clock has been set back since, perhaps by days."""
    return any((getattr(payment, name) or 0) > latest for name, latest in _latest(policy, now_ms).items())


def set_back(db: Connection, payment_id: str, policy: SettlementPolicy, now_ms: int) -> Payment:
    """Count from now on what was noted by a clock ahead: waiting for it to come again could take for ever."""
    payment = get(db, payment_id)
    ahead = {name: latest for name, latest in _latest(policy, now_ms).items() if (getattr(payment, name) or 0) > latest}
    return _save(db, payment, **ahead)


def _latest(policy: SettlementPolicy, now_ms: int) -> dict[str, int]:
    """The latest moment that each column can name truthfully."""
    return {**dict.fromkeys(NOTED, now_ms), "held_until_ms": now_ms + policy.held_ms}


def vanished(db: Connection, payment_id: str, now_ms: int) -> Payment:
    """A recheck did not find the credited transaction; remembers since when. A moment that is still to come was noted by a
    clock that has been set back since: waiting for it could take for ever.
    """
    payment = get(db, payment_id)
    since_ms = payment.vanished_at_ms
    return payment if since_ms is not None and since_ms <= now_ms else _save(db, payment, vanished_at_ms=now_ms)


def _credit_may_fall(db: Connection, payment: Payment) -> bool:
    """Whether the credit at this payment's nonce is another payment's and still within the depth of a reorganisation."""
    query = """SELECT p.watching FROM credits c JOIN payments p USING (payment_id)
               WHERE c.chain_id = ? AND c.origin = ? AND c.nonce = ? AND c.payment_id != ?"""
    row = db.execute(query, (payment.chain_id, payment.origin, payment.nonce, payment.payment_id)).fetchone()
    return row is not None and row[0] == 1


def reverse(db: Connection, payment_id: str, reason: str, now_ms: int, *, watch: bool) -> Payment:
    """A credited payment left the chain: take its credit back, once. `watch`: it may yet come back."""
    payment = get(db, payment_id)
    if not payment.credited_usat:
        return payment
    db.execute("DELETE FROM credits WHERE payment_id = ?", (payment_id,))
    message = Reversal(
        payment.credit_id, payment.address, payment.origin, payment.credited_usat, payment.txid or "", now_ms, reason
    )
    post(db, payment_id, message, now_ms)
    return _save(
        db, payment, credited_usat=0, reversed_usat=payment.credited_usat, code="payment_failed", detail=reason,
        updated_at_ms=now_ms, vanished_at_ms=None, watching=int(watch), reversals=payment.reversals + 1,
    )  # fmt: skip
