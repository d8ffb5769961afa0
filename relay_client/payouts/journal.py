"""The transactions of the payouts file. Each function runs inside one, so each leaves a legal state or nothing."""

from dataclasses import replace
from typing import Any

from operations.errors import SatboxError
from relay_client.payouts.building import Signed
from relay_client.payouts.limits import DAY_MS, USED_ELSEWHERE, PayoutPolicy, Spent, waits_for
from relay_client.payouts.records import COLUMNS, MOVES, PayoutOrder, PayoutReport, PayoutState, from_row
from storage.connection import Connection

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM payouts"  # noqa: S608 - our own column names
LISTED_MAX = 1000


def load(db: Connection, payout_id: str) -> PayoutReport | None:
    """A payout by its id."""
    row = db.execute(f"{_SELECT} WHERE payout_id = ?", (payout_id,)).fetchone()
    return None if row is None else from_row(row)


def _get(db: Connection, payout_id: str) -> PayoutReport:
    payout = load(db, payout_id)
    if payout is None:
        raise LookupError(payout_id)
    return payout


def of(db: Connection, address: str) -> list[PayoutReport]:
    """A wallet's, newest first."""
    query = f"{_SELECT} WHERE address = ? ORDER BY created_at_ms DESC, payout_id LIMIT {LISTED_MAX}"
    return [from_row(row) for row in db.execute(query, (address,))]


def unfinished(db: Connection) -> list[PayoutReport]:
    """All that are not over: first what limits do not hold back, so that no crowd of those that wait hides it; oldest first."""
    order = "state = 'queued', created_at_ms, payout_id"
    query = f"{_SELECT} WHERE state NOT IN ('confirmed', 'failed') ORDER BY {order} LIMIT {LISTED_MAX}"
    return [from_row(row) for row in db.execute(query)]


def untold(db: Connection, limit: int) -> list[PayoutReport]:
    """Those over whose wallet does not know yet."""
    query = f"{_SELECT} WHERE state IN ('confirmed', 'failed') AND is_told = 0 ORDER BY updated_at_ms LIMIT ?"
    return [from_row(row) for row in db.execute(query, (limit,))]


def history(db: Connection, payout_id: str) -> list[tuple[str, str]]:
    """(state, observation) of every move, oldest first."""
    return list(db.execute("SELECT state, observation FROM moves WHERE payout_id = ? ORDER BY seq", (payout_id,)))


def _save(db: Connection, payout: PayoutReport, now_ms: int, **changes: Any) -> PayoutReport:
    changes["updated_at_ms"] = now_ms
    columns = ", ".join(f"{name} = ?" for name in changes)
    query = f"UPDATE payouts SET {columns} WHERE payout_id = ?"  # noqa: S608 - our own column names
    db.execute(query, (*changes.values(), payout.payout_id))
    return replace(payout, **changes)


def _log(db: Connection, payout_id: str, state: PayoutState, observation: str, now_ms: int) -> None:
    db.execute(
        "INSERT INTO moves SELECT ?, coalesce(max(seq), 0) + 1, ?, ?, ? FROM moves WHERE payout_id = ?",
        (payout_id, state, observation[:200], now_ms, payout_id),
    )


def _move(
    db: Connection, payout: PayoutReport, state: PayoutState, observation: str, now_ms: int, **changes: Any
) -> PayoutReport:
    if state not in MOVES[payout.state]:
        raise RuntimeError(f"{payout.payout_id}: no move from {payout.state} to {state}")
    _log(db, payout.payout_id, state, observation, now_ms)
    return _save(db, payout, now_ms, state=state, **changes)


def submit(db: Connection, order: PayoutOrder, policy: PayoutPolicy, now_ms: int) -> PayoutReport:
    """Take an order, once by its id. The same id with other words is refused: it was not this wallet's to change."""
    known = load(db, order.payout_id)
    if known is not None:
        if PayoutOrder(**{name: getattr(known, name) for name in PayoutOrder.__dataclass_fields__}) != order:
            raise SatboxError("internal", f"{order.payout_id} was ordered with other words")
        return known
    payout = PayoutReport(
        order.payout_id, order.address, order.recipient, order.asset, order.atomic, order.usat, order.fee_usat,
        PayoutState.QUEUED, None, None, None, None, None, None, now_ms, now_ms, None, None, 0,
    )  # fmt: skip
    places = ", ".join("?" * len(COLUMNS))
    query = f"INSERT INTO payouts ({', '.join(COLUMNS)}) VALUES ({places})"  # noqa: S608 - our own column names
    db.execute(query, tuple(getattr(payout, name) for name in COLUMNS))
    _log(db, payout.payout_id, PayoutState.QUEUED, "ordered", now_ms)
    return judge(db, payout.payout_id, policy, now_ms)


def _spent(db: Connection, address: str, now_ms: int) -> Spent:
    query = "SELECT coalesce(sum(usat), 0) FROM payouts WHERE approved_at_ms > ? AND state != 'failed'"
    (day,) = db.execute(query, (now_ms - DAY_MS,)).fetchone()
    (wallet,) = db.execute(f"{query} AND address = ?", (now_ms - DAY_MS, address)).fetchone()
    return Spent(day, wallet)


def judge(db: Connection, payout_id: str, policy: PayoutPolicy, now_ms: int) -> PayoutReport:
    """Approve a queued payout if the limits let it pass; else remember what it waits for."""
    payout = _get(db, payout_id)
    if payout.state is not PayoutState.QUEUED:
        return payout
    reason = waits_for(policy, payout.usat, _spent(db, payout.address, now_ms))
    if reason is None:
        return _move(db, payout, PayoutState.APPROVED, "within limits", now_ms, approved_at_ms=now_ms, waits_for=None)
    return payout if reason == payout.waits_for else _save(db, payout, now_ms, waits_for=reason)


def approve(db: Connection, payout_id: str, policy: PayoutPolicy, now_ms: int) -> PayoutReport:
    """The operator lets it pass. Again: nothing changes."""
    payout = load(db, payout_id)
    if payout is None:
        raise SatboxError("payout_not_found")
    if payout.state is PayoutState.FAILED:
        raise SatboxError("payout_state", details={"state": payout.state.value})
    if payout.state is PayoutState.APPROVED and payout.waits_for == USED_ELSEWHERE:
        db.execute("UPDATE used_elsewhere SET accepted_nonce = seen_nonce")
        return _save(db, payout, now_ms, waits_for=None)
    if payout.state is not PayoutState.QUEUED:
        return payout
    if payout.usat > policy.payout_max_usat:
        raise SatboxError("payout_limit", details={"payout_max_usat": policy.payout_max_usat})
    return _move(db, payout, PayoutState.APPROVED, "operator", now_ms, approved_at_ms=now_ms, waits_for=None)


def deny(db: Connection, payout_id: str, now_ms: int) -> PayoutReport:
    """The operator does not: the money goes back to the bucket. Not once anything may have been signed."""
    payout = load(db, payout_id)
    if payout is None:
        raise SatboxError("payout_not_found")
    if payout.state is PayoutState.FAILED and payout.detail == "denied":
        return payout
    if payout.state not in (PayoutState.QUEUED, PayoutState.APPROVED):
        raise SatboxError("payout_state", details={"state": payout.state.value})
    return _move(db, payout, PayoutState.FAILED, "denied", now_ms, waits_for=None, detail="denied")


def next_nonce(db: Connection, sender: str, chain_nonce: int) -> int:
    """The next free one: above all that we have signed and that may yet confirm."""
    query = "SELECT max(nonce) FROM signed WHERE sender = ? AND is_dead = 0"
    (last,) = db.execute(query, (sender,)).fetchone()
    return chain_nonce if last is None else max(chain_nonce, last + 1)


def is_used_elsewhere(db: Connection, payout_id: str, sender: str, chain_nonce: int, now_ms: int) -> bool:
    """Whether the chain has more of this key than is in this file, or than the operator knows of; the payout waits then."""
    (last,) = db.execute("SELECT max(nonce) FROM signed WHERE sender = ?", (sender,)).fetchone()
    accepted = db.execute("SELECT accepted_nonce FROM used_elsewhere WHERE sender = ?", (sender,)).fetchone()
    if chain_nonce <= max(0 if last is None else last + 1, 0 if accepted is None else accepted[0]):
        return False
    db.execute(
        "INSERT INTO used_elsewhere VALUES (?, ?, 0) ON CONFLICT (sender) DO UPDATE SET seen_nonce = excluded.seen_nonce",
        (sender, chain_nonce),
    )
    waiting(db, payout_id, USED_ELSEWHERE, now_ms)
    return True


def reserve(db: Connection, payout_id: str, sender: str, chain_nonce: int, now_ms: int) -> PayoutReport:
    """It is about to be signed, under a nonce of its own."""
    nonce = next_nonce(db, sender, chain_nonce)
    return _move(db, _get(db, payout_id), PayoutState.SIGNING, f"nonce {nonce}", now_ms, sender=sender, nonce=nonce)


def unreserve(db: Connection, payout_id: str, now_ms: int) -> PayoutReport:
    """Signing was cut short: no bytes exist, so the nonce is free again."""
    payout = _get(db, payout_id)
    if payout.state is not PayoutState.SIGNING:
        return payout
    return _move(db, payout, PayoutState.APPROVED, "signing was cut short", now_ms, sender=None, nonce=None)


def record_signed(db: Connection, payout_id: str, signed: Signed, now_ms: int) -> PayoutReport:
    """The bytes, before anybody else sees them: from here on its outcome is unknown, never failed."""
    payout = _get(db, payout_id)
    db.execute(
        "INSERT INTO signed (txid, payout_id, sender, nonce, transaction_bytes) VALUES (?, ?, ?, ?, ?)",
        (signed.txid, payout_id, payout.sender, payout.nonce, signed.transaction_bytes),
    )
    return _move(db, payout, PayoutState.BROADCASTING, "signed", now_ms, txid=signed.txid, detail=None)


def bytes_of(db: Connection, payout_id: str) -> bytes:
    """What was signed for it."""
    query = "SELECT transaction_bytes FROM signed WHERE payout_id = ? AND is_dead = 0"
    (data,) = db.execute(query, (payout_id,)).fetchone()
    return bytes(data)


def sent(db: Connection, payout_id: str, detail: str | None, now_ms: int) -> PayoutReport:
    """It was handed to a node, who said this (None: took it)."""
    return _save(db, _get(db, payout_id), now_ms, sent_at_ms=now_ms, detail=None if detail is None else detail[:200])


def seen(db: Connection, payout_id: str, height: int | None, detail: str | None, now_ms: int) -> PayoutReport:
    """The chain knows it: in the mempool (height None), or in a block that is not deep enough yet."""
    payout = _get(db, payout_id)
    if payout.state is PayoutState.BROADCASTING:
        payout = _move(db, payout, PayoutState.MEMPOOL, "seen", now_ms)
    if (payout.block_height, payout.detail) == (height, detail):
        return payout
    return _save(db, payout, now_ms, block_height=height, detail=detail)


def confirmed(db: Connection, payout_id: str, height: int, now_ms: int) -> PayoutReport:
    """It arrived, for good."""
    payout = _get(db, payout_id)
    return _move(db, payout, PayoutState.CONFIRMED, "deep enough", now_ms, block_height=height, detail=None)


def failed(db: Connection, payout_id: str, reason: str, now_ms: int) -> PayoutReport:
    """It certainly never arrives: it is in a block, for good, and moved nothing."""
    return _move(db, _get(db, payout_id), PayoutState.FAILED, reason, now_ms, detail=reason)


def displaced(db: Connection, payout_id: str, by: str, now_ms: int) -> PayoutReport:
    """Another transaction of the same key has its nonce, for good: these bytes are dead, and others may be signed."""
    payout = _get(db, payout_id)
    db.execute("UPDATE signed SET is_dead = 1 WHERE payout_id = ? AND is_dead = 0", (payout_id,))
    return _move(
        db, payout, PayoutState.APPROVED, f"displaced by {by}", now_ms,
        sender=None, nonce=None, txid=None, block_height=None, sent_at_ms=None,
    )  # fmt: skip


def told(db: Connection, payout_id: str, now_ms: int) -> None:
    """Its wallet knows."""
    _save(db, _get(db, payout_id), now_ms, is_told=1)


def waiting(db: Connection, payout_id: str, reason: str | None, now_ms: int) -> None:
    """What an approved payout waits for."""
    payout = _get(db, payout_id)
    if payout.waits_for != reason:
        _save(db, payout, now_ms, waits_for=reason)
