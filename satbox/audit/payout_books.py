"""Money given back and sent back: what one wallet's journal says of it, and what the payout queue says."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from actors.books.replay import Tell
from actors.wallet.journal import Entry
from relay_client.payouts import PayoutState
from relay_client.payouts.building import ASSETS
from relay_client.payouts.records import MOVES
from satbox.audit.files import check_pages, readable, snapshot
from satbox.audit.findings import Findings
from stacks import StacksError, decode_transaction
from storage.connection import Connection

HELD, PAID, RETURNED = "held", "paid", "returned"
_KINDS = {"payout_hold": HELD, "payout": PAID, "payout_return": RETURNED}


@dataclass
class RefundReplay:
    """A wallet's entries in order: no more is given back for a runtime than it was charged, and each payout ends once."""

    tell: Tell
    charged: dict[str, int] = field(default_factory=dict)
    given_back: set[str] = field(default_factory=set)
    payouts: dict[str, tuple[str, int]] = field(default_factory=dict)
    """What became of each, and how much of the bucket it took."""

    def take(self, entry: Entry) -> None:
        """The next entry."""
        amounts, reference = dict(entry.amounts), entry.reference or ""
        if entry.kind == "charge":
            self.charged[reference] = self.charged.get(reference, 0) + amounts.get("burnt", 0)
        elif entry.kind == "credit_back":
            usat = -amounts.get("burnt", 0)
            if reference in self.given_back or not 0 < usat <= self.charged.get(reference, 0):
                charged = self.charged.get(reference, 0)
                self.tell(f"journal {entry.seq}", "refund", f"gives back {usat} of {charged} usat for {reference}")
            self.given_back.add(reference)
        elif entry.kind in _KINDS:
            self._payout(entry, _KINDS[entry.kind], abs(amounts.get("held", 0)), reference)

    def _payout(self, entry: Entry, state: str, usat: int, payout_id: str) -> None:
        known = self.payouts.get(payout_id)
        is_right = known is None if state == HELD else known == (HELD, usat)
        if not is_right:
            self.tell(f"journal {entry.seq}", "payout", f"{state} {usat} usat of {payout_id}, before it was {known}")
        self.payouts[payout_id] = (state, usat)


@dataclass(frozen=True, slots=True)
class Queued:
    """A payout in the queue."""

    address: str
    usat: int
    state: PayoutState


def read_payouts(path: Path, found: Findings) -> dict[str, Queued]:
    """The queue's file, each payout's life checked on the way; empty when there is none."""
    queued: dict[str, Queued] = {}
    if not path.exists():
        return queued
    with readable(path.name, found), snapshot(path, in_use=True) as db:
        check_pages(db, path.name, found)
        query = "SELECT payout_id, address, asset, usat, fee_usat, state, txid FROM payouts"
        for payout_id, address, asset, usat, fee_usat, word, txid in db.execute(query):
            state = PayoutState(word)
            queued[payout_id] = Queued(address, usat, state)
            where = f"{path.name} {payout_id}"
            if asset not in ASSETS or not 0 <= fee_usat < usat:
                found.add(where, "payout", f"{usat} usat as {asset} for a fee of {fee_usat}")
            _moves(db, payout_id, state, where, found)
            if state is PayoutState.CONFIRMED:
                _signed(db, payout_id, txid, where, found)
            found.looked_at("payouts")
    return queued


def _moves(db: Connection, payout_id: str, state: PayoutState, where: str, found: Findings) -> None:
    before: PayoutState | None = None
    for (word,) in db.execute("SELECT state FROM moves WHERE payout_id = ? ORDER BY seq", (payout_id,)):
        after = PayoutState(word)
        if (before is None and after is not PayoutState.QUEUED) or (before is not None and after not in MOVES[before]):
            found.add(where, "moves", f"no move from {before} to {after}")
        before = after
    if before is not state:
        found.add(where, "moves", f"its moves end at {before}, it stands at {state}")


def _signed(db: Connection, payout_id: str, txid: str, where: str, found: Findings) -> None:
    """What is said to have arrived was signed here, once."""
    query = "SELECT txid, transaction_bytes FROM signed WHERE payout_id = ? AND is_dead = 0"
    rows = db.execute(query, (payout_id,)).fetchall()
    try:
        ids = [decode_transaction(data).txid() for _, data in rows]
    except StacksError as error:
        ids = [str(error)]
    if ids != [txid] or [row[0] for row in rows] != [txid]:
        found.add(where, "signed", f"confirmed as {txid}, signed were {json.dumps(ids)[:200]}")


def match_payouts(
    posted: dict[str, tuple[str, str, int]],
    before: dict[str, Queued],
    after: dict[str, Queued],
    unread: set[str],
    found: Findings,
) -> None:
    """Check that each payout in the queue was held by its wallet, and that each one which ended in a wallet ended in the queue.
    `posted`: address, state and usat by payout. The queue was read before the wallets and after.
    """
    ends = {PAID: PayoutState.CONFIRMED, RETURNED: PayoutState.FAILED}
    for payout_id, order in before.items():
        mine = posted.get(payout_id)
        if order.address not in unread and (mine is None or (mine[0], mine[2]) != (order.address, order.usat)):
            what = f"the queue pays {payout_id} of {order.usat} usat, its journal says {mine}"
            found.add(f"wallet {order.address}", "payout", what)
    for payout_id, (address, state, usat) in posted.items():
        queued = after.get(payout_id)
        if state in ends and (queued is None or queued.state is not ends[state]):
            stands = None if queued is None else queued.state.value
            found.add(
                f"wallet {address}", "payout", f"{payout_id} of {usat} usat is {state}, in the queue it is {stands}"
            )
