"""Calls that wallets paid one another for: what each journal says of them, and that the two sides say the same."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from actors.books.replay import Tell
from actors.placement import wallet_path
from actors.wallet.journal import Entry
from satbox.audit.findings import Findings


@dataclass(frozen=True, slots=True)
class Order:
    """One side of a paid call: who is on the other one, and how much it was."""

    other: str
    usat: int


@dataclass
class CallReplay:
    """A wallet's entries in order: every call is paid once, delivered once at most, and earned once."""

    tell: Tell
    paid: dict[str, Order] = field(default_factory=dict)
    delivered: set[str] = field(default_factory=set)
    earned: dict[str, Order] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """The next entry."""
        if entry.kind not in ("order", "order_done", "earning"):
            return
        order_id, _, other = (entry.reference or "").partition(":")
        moved = dict(entry.amounts)
        match entry.kind:
            case "order":
                self._once(entry, order_id, self.paid)
                self.paid[order_id] = Order(other, moved["in_transit"])
            case "earning":
                self._once(entry, order_id, self.earned)
                self.earned[order_id] = Order(other, -moved["earnings"])
            case _:
                if self.paid.get(order_id) != Order(other, moved["spent"]) or order_id in self.delivered:
                    self.tell(f"journal {entry.seq}", "order", f"{order_id[:60]} is delivered, and was not under way")
                self.delivered.add(order_id)

    def _once(self, entry: Entry, order_id: str, known: dict[str, Order]) -> None:
        if order_id in known:
            self.tell(f"journal {entry.seq}", "order", f"a second {entry.kind} of {order_id[:60]}")


@dataclass
class CallBooks:
    """Both sides of all wallets, by order id and address."""

    paid: dict[tuple[str, str], Order] = field(default_factory=dict)
    delivered: set[tuple[str, str]] = field(default_factory=set)
    earned: dict[tuple[str, str], Order] = field(default_factory=dict)

    def add(self, address: str, calls: CallReplay) -> None:
        """One more wallet."""
        self.paid |= {(order_id, address): order for order_id, order in calls.paid.items()}
        self.delivered |= {(order_id, address) for order_id in calls.delivered}
        self.earned |= {(order_id, address): order for order_id, order in calls.earned.items()}


def match_calls(home: Path, books: CallBooks, unread: set[str], found: Findings) -> None:
    """Every earning was paid by its payer, and every call that a payer holds for delivered was earned. Wallets are read one
    after another while they work: what seems to be missing is looked for once more in the other side's file.
    """

    def holds(address: str, kind: str, order_id: str, order: Order, usat: Callable[[dict[str, int]], int]) -> bool:
        return any(usat(moved) == order.usat for moved in _entries(home, address, kind, f"{order_id}:{order.other}"))

    for (order_id, payee), earning in books.earned.items():
        mine = Order(payee, earning.usat)
        is_paid = books.paid.get((order_id, earning.other)) == mine
        if is_paid or earning.other in unread:
            continue
        if not holds(earning.other, "order", order_id, mine, lambda moved: moved["in_transit"]):
            found.add(f"wallet {payee}", "earning", f"{order_id[:60]}: {earning.other} never paid {earning.usat} usat")
    for order_id, payer in books.delivered:
        order = books.paid.get((order_id, payer))
        if order is None or order.other in unread:
            continue
        mine = Order(payer, order.usat)
        if books.earned.get((order_id, order.other)) == mine:
            continue
        if not holds(order.other, "earning", order_id, mine, lambda moved: -moved["earnings"]):
            found.add(f"wallet {payer}", "order", f"{order_id[:60]}: {order.other} never had its {order.usat} usat")
    found.looked_at("paid calls", len(books.paid))


def _entries(home: Path, address: str, kind: str, reference: str) -> list[dict[str, int]]:
    path = wallet_path(home / "wallets", address)
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT amounts FROM journal WHERE kind = ? AND reference = ?", (kind, reference)).fetchall()
    return [json.loads(row[0]) for row in rows]
