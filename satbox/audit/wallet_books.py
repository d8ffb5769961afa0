"""One wallet's file: its chain, its sums, its spans, and what it says it was credited."""

import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from actors.books.replay import JournalReplay, SpanReplay, Tell, match_charges
from actors.books.span_chain import linked
from actors.stores import pages
from actors.stores.looking import ChangedMeanwhileError
from actors.stores.wallet_folder import wallet_path
from actors.wallet.calls import LoggedOrder
from actors.wallet.commands import SpanRecord
from actors.wallet.journal import GENESIS, Entry
from actors.wallet.state import WalletState
from satbox.audit.bindings import Bindings
from satbox.audit.call_books import CallReplay
from satbox.audit.disputes import Verdicts
from satbox.audit.files import UNREADABLE, check_pages, readable, snapshot
from satbox.audit.findings import Findings
from satbox.audit.payout_books import RefundReplay
from storage.connection import Connection

_STATE = TypeAdapter(WalletState)

BEGIN_TRIES = 5
BEGIN_PAUSE_SECONDS = 0.1

Look = Callable[[SpanRecord], None]
"""Is shown every span."""

ORDERS_MARKED_SINCE = 4
"""Version of a wallet's file from which on every order that it posted has a mark."""


@dataclass
class WalletBooks:
    """What an audit takes along from one wallet: balances, and what came in and went back by payment."""

    address: str
    accounts: dict[str, int] = field(default_factory=dict)
    deposits: dict[str, int] = field(default_factory=dict)
    reversals: dict[str, int] = field(default_factory=dict)
    payouts: dict[str, tuple[str, int]] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)
    span_heads: dict[int, str] = field(default_factory=dict)
    unproven_usat: dict[str, int] = field(default_factory=dict)
    write_offs: list[tuple[int, str]] = field(default_factory=list)
    calls: CallReplay | None = None
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """The entries and spans whose heads somebody wants to compare."""

    entries: Collection[int] = ()
    spans: Collection[int] = ()


def audit_wallet(
    wallets: Path, path: Path, look: Look, found: Findings, asked: Asked | None = None, *, in_use: bool = False
) -> WalletBooks:
    """Check one wallet's file, and take its sums along. Raises ChangedMeanwhileError unless `in_use`."""
    books = WalletBooks(path.stem)
    where = str(path.relative_to(wallets.parent))
    if path != wallet_path(wallets, path.stem):
        found.add(where, "place", "a wallet of this address belongs into another folder")
    with readable(where, found), snapshot(path, in_use=in_use) as db:
        check_pages(db, where, found)

        def tell(place: str, rule: str, what: str) -> None:
            found.add(f"{where} {place}", rule, what)

        rows = db.execute("SELECT state FROM wallet").fetchall()
        if len(rows) != 1:
            found.add(where, "state", f"{len(rows)} rows where there must be one")
            return books
        state = _STATE.validate_json(rows[0][0])
        if not _is_within(json.loads(rows[0][0]), json.loads(_STATE.dump_json(state))):
            tell("state", "format", "holds fields or values that no version writes")
        if state.address != books.address:
            tell("state", "address", f"is {state.address}'s")
        journal = _journal(db, books, asked or Asked(), tell, found)
        journal.settle(state.accounts, state.seq, state.head)
        books.accounts = asdict(journal.accounts)
        assert books.calls is not None
        books.calls.allowances, books.calls.keys = state.allowances, state.keys
        books.calls.take_bundles(_bundled(db))
        books.calls.settle(state.accounts.reserved, state.transit)
        spans = _spans(db, books, asked or Asked(), look, tell, found)
        if (state.span_seq, state.remainder) != (spans.seq, spans.remainder):
            there = f"the spans at {spans.seq} with {spans.remainder}"
            tell("state", "remainder", f"is at span {state.span_seq} with {state.remainder}, {there}")
        match_charges(journal.charges, spans.charges, tell)
        _check_marks(db, books, tell)
        books.is_read = True
        found.looked_at("wallets")
    return books


def wait_until_begun(path: Path) -> None:
    """A file that somebody is making now has no wallet in it yet; one that has none after a while is for the audit to tell."""
    for _ in range(BEGIN_TRIES):
        with contextlib.suppress(*UNREADABLE, ChangedMeanwhileError), snapshot(path, in_use=False) as db:
            if db.execute("SELECT 1 FROM wallet").fetchone() is not None:
                return
        time.sleep(BEGIN_PAUSE_SECONDS)


def _is_within(part: object, whole: object) -> bool:
    """Whether all of `part` is in `whole`: an older version wrote fewer fields, none wrote others."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and _is_within(value, whole[name]) for name, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(_is_within, part, whole))
    return part == whole


def _journal(db: Connection, books: WalletBooks, asked: Asked, tell: Tell, found: Findings) -> JournalReplay:
    journal, verdicts, bindings = JournalReplay(books.address, tell), Verdicts(tell), Bindings(tell)
    refunds, calls = RefundReplay(tell), CallReplay(tell)
    books.calls = calls
    books.payouts = refunds.payouts
    for entry in pages.every_entry(db):
        journal.take(entry)
        _count(entry, books, tell)
        verdicts.take(entry)
        bindings.take(entry)
        refunds.take(entry)
        calls.take(entry)
        if entry.seq in asked.entries:
            books.heads[entry.seq] = entry.hash
        found.looked_at("journal entries")
    verdicts.settle()
    books.unproven_usat, books.write_offs = bindings.unproven_usat, bindings.write_offs
    return journal


def _bundled(db: Connection) -> Iterator[tuple[int, LoggedOrder]]:
    if not db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'orders'").fetchone():
        return  # an earlier version's file, which holds no bundles; one that does lacks their orders
    for entry_seq, seq, order_id, usat in db.execute(
        "SELECT entry_seq, seq, order_id, usat FROM orders ORDER BY entry_seq, seq"
    ):
        yield entry_seq, LoggedOrder(seq, order_id, "", usat)


def _spans(
    db: Connection, books: WalletBooks, asked: Asked, look: Look, tell: Tell, found: Findings
) -> SpanReplay:  # fmt: skip
    spans, head = SpanReplay(tell), GENESIS
    for span in pages.every_span_after(db):
        spans.take(span)
        look(span)
        if asked.spans:
            head = linked(head, span)
            if span.seq in asked.spans:
                books.span_heads[span.seq] = head
        found.looked_at("spans")
    return spans


def _count(entry: Entry, books: WalletBooks, tell: Tell) -> None:
    """Deposits and reversals, each at most once by its payment."""
    moved = {"deposit": (books.deposits, -1), "reversal": (books.reversals, 1)}.get(entry.kind)
    if moved is None:
        return
    sums, sign = moved
    if entry.reference is None or entry.reference in sums:
        tell(f"journal {entry.seq}", "once", f"a second {entry.kind} of {entry.reference}")
        return
    sums[entry.reference] = sign * sum(usat for name, usat in entry.amounts if name == "deposits")


def _check_marks(db: Connection, books: WalletBooks, tell: Tell) -> None:
    """The marks that bar a second credit are those of the payments that were credited."""
    for kind, sums in (("deposit", books.deposits), ("reversal", books.reversals)):
        marked = {str(row[0]) for row in db.execute("SELECT id FROM seen WHERE kind = ?", (kind,))}
        for payment_id in sorted(sums.keys() ^ marked):
            has = "is in the journal and not marked" if payment_id in sums else "is marked and not in the journal"
            tell(f"seen {payment_id}", "mark", f"this {kind} {has}: it could be posted again, or was lost")
    if books.calls is not None and int(db.execute("PRAGMA user_version").fetchone()[0]) >= ORDERS_MARKED_SINCE:
        marked = {str(row[0]) for row in db.execute("SELECT id FROM seen WHERE kind = 'order'")}
        for order_id in sorted(books.calls.orders.keys() - marked):
            tell(
                f"seen {order_id[:60]}", "mark", "this order is in the journal and not marked: it could be posted again"
            )
