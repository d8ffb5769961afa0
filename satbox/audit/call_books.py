"""Calls that wallets paid one another for: what each journal says of them, and that the two sides say the same."""

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from actors.books.replay import Tell
from actors.stores.wallet_folder import wallet_path
from actors.wallet.calls import BUNDLE, OPERATOR, Allowance, LoggedOrder, Transit, bundle_id
from actors.wallet.journal import Entry
from actors.wallet.spending_keys import SpendingKey, account_of
from operations.purposes import PURPOSES
from satbox.audit.findings import Findings
from satbox.audit.settlement_books import SettlementBooks
from storage.files import read_only

ON_CHAIN = "call_"
"""Prefix of ids of orders that depend on a payment. The payment's id follows."""


@dataclass(frozen=True, slots=True)
class CallSide:
    """One side of a paid call: who is on the other one, and how much it was."""

    other: str
    usat: int


@dataclass
class CallReplay:
    """A wallet's entries in order: every call is paid once, delivered once at most, and earned once."""

    tell: Tell
    paid: dict[str, CallSide] = field(default_factory=dict)
    spent: dict[str, CallSide] = field(default_factory=dict)
    """What the operator was paid for services."""
    delivered: set[str] = field(default_factory=set)
    earned: dict[str, CallSide] = field(default_factory=dict)
    bundles: dict[int, tuple[str, CallSide]] = field(default_factory=dict)
    orders: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Each order by itself: who has it, and how much it was."""
    allowances: tuple[Allowance, ...] = ()
    keys: tuple[SpendingKey, ...] = ()

    def take(self, entry: Entry) -> None:
        """The next entry."""
        if entry.kind not in ("order", "order_done", "earning", "spend"):
            return
        order_id, _, other = (entry.reference or "").partition(":")
        moved = dict(entry.amounts)
        match entry.kind:
            case "order":
                self._once(entry, order_id, self.paid)
                self.paid[order_id] = CallSide(other, moved["in_transit"])
                if order_id.startswith(BUNDLE):
                    self.bundles[entry.seq] = order_id, self.paid[order_id]
                else:
                    self._order(entry.seq, order_id, other, moved["in_transit"])
            case "spend":
                self._once(entry, order_id, self.spent)
                self._check_purpose(entry, other)
                self.spent[order_id] = CallSide(other, moved["burnt"])
                if order_id.startswith(BUNDLE):
                    self.bundles[entry.seq] = order_id, self.spent[order_id]
                else:
                    self._order(entry.seq, order_id, other, moved["burnt"])
            case "earning":
                self._once(entry, order_id, self.earned)
                self.earned[order_id] = CallSide(other, -moved["earnings"])
            case _:
                if self.paid.get(order_id) != CallSide(other, moved["spent"]) or order_id in self.delivered:
                    self.tell(f"journal {entry.seq}", "order", f"{order_id[:60]} is delivered, and was not under way")
                self.delivered.add(order_id)

    def take_bundles(self, rows: Iterable[tuple[int, LoggedOrder]]) -> None:
        """After the entries: the orders that went together, with the entries they went in. Nothing is in a bundle but what its
        name, which the chain holds, was made of.
        """
        found: dict[int, list[LoggedOrder]] = {}
        for entry_seq, order in rows:
            _, bundle = self.bundles.get(entry_seq, ("", CallSide("", 0)))
            self._order(entry_seq, order.order_id, bundle.other, order.usat)
            found.setdefault(entry_seq, []).append(order)
        for entry_seq, (named, bundle) in self.bundles.items():
            orders = found.pop(entry_seq, [])
            if not orders or bundle_id(orders) != named or sum(one.usat for one in orders) != bundle.usat:
                self.tell(f"journal {entry_seq}", "bundle", f"{named[:60]} is not what its {len(orders)} orders make")
        for entry_seq in found:
            self.tell(f"orders {entry_seq}", "bundle", "belong to an entry that is no bundle")

    def settle(self, reserved_usat: int, transit: Iterable[Transit]) -> None:
        """At the end: reserved money belongs to an allowance, and money in transit to orders that the wallet still delivers."""
        aside = sum(one.usat for one in self.allowances)
        if aside != reserved_usat:
            self.tell("state", "reserved", f"{reserved_usat} usat are reserved, and {aside} set aside for gates")
        under_way = {order_id: order for order_id, order in self.paid.items() if order_id not in self.delivered}
        known = [(one.order_id, CallSide(one.payee, one.usat)) for one in transit]
        if dict(known) != under_way or len(known) != len(under_way):
            self.tell(
                "state", "transit", f"{len(known)} orders are to be delivered, {len(under_way)} are not delivered"
            )

    def _order(self, entry_seq: int, order_id: str, payee: str, usat: int) -> None:
        if order_id in self.orders:
            self.tell(f"journal {entry_seq}", "order", f"{order_id[:60]} is posted a second time")
        self.orders[order_id] = payee, usat

    def _check_purpose(self, entry: Entry, payee: str) -> None:
        if not payee.startswith(OPERATOR) or payee.removeprefix(OPERATOR) not in PURPOSES:
            self.tell(
                f"journal {entry.seq}", "purpose", f"is paid to {payee[:60]!r}, which is no service of the operator's"
            )

    def _once(self, entry: Entry, order_id: str, known: dict[str, CallSide]) -> None:
        if order_id in known:
            self.tell(f"journal {entry.seq}", "order", f"a second {entry.kind} of {order_id[:60]}")


@dataclass
class CallBooks:
    """Both sides of all wallets, by order id and address."""

    paid: dict[tuple[str, str], CallSide] = field(default_factory=dict)
    delivered: set[tuple[str, str]] = field(default_factory=set)
    earned: dict[tuple[str, str], CallSide] = field(default_factory=dict)
    orders: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    allowances: dict[tuple[str, str], Allowance] = field(default_factory=dict)
    """By payer and gate."""
    keys_spent_usat: dict[str, int] = field(default_factory=dict)
    """What each spending key says that it has paid, by its account."""

    def add(self, address: str, calls: CallReplay) -> None:
        """One more wallet."""
        self.paid |= {(order_id, address): order for order_id, order in calls.paid.items()}
        self.delivered |= {(order_id, address) for order_id in calls.delivered}
        self.earned |= {(order_id, address): order for order_id, order in calls.earned.items()}
        self.orders |= {(order_id, address): order for order_id, order in calls.orders.items()}
        self.allowances |= {(address, one.gate_id): one for one in calls.allowances}
        self.keys_spent_usat |= {account_of(address, one.key_id): one.spent_usat for one in calls.keys}


def match_calls(home: Path, books: CallBooks, unread: set[str], found: Findings) -> None:
    """Every earning was paid by its payer, and every call that a payer holds for delivered was earned. Wallets are read one
    after another while they work: what seems to be missing is looked for once more in the other side's file.
    """

    def holds(address: str, kind: str, order_id: str, order: CallSide, usat: Callable[[dict[str, int]], int]) -> bool:
        return any(usat(moved) == order.usat for moved in _entries(home, address, kind, f"{order_id}:{order.other}"))

    for (order_id, payee), earning in books.earned.items():
        mine = CallSide(payee, earning.usat)
        is_paid = books.paid.get((order_id, earning.other)) == mine
        if is_paid or earning.other in unread:
            continue
        if not holds(earning.other, "order", order_id, mine, lambda moved: moved["in_transit"]):
            found.add(f"wallet {payee}", "earning", f"{order_id[:60]}: {earning.other} never paid {earning.usat} usat")
    for order_id, payer in books.delivered:
        order = books.paid.get((order_id, payer))
        if order is None or order.other in unread:
            continue
        mine = CallSide(payer, order.usat)
        if books.earned.get((order_id, order.other)) == mine:
            continue
        if not holds(order.other, "earning", order_id, mine, lambda moved: -moved["earnings"]):
            found.add(f"wallet {payer}", "order", f"{order_id[:60]}: {order.other} never had its {order.usat} usat")
    found.looked_at("paid calls", len(books.paid))


def match_payments(
    books: CallBooks, settlements: SettlementBooks, again: Callable[[], SettlementBooks], found: Findings
) -> None:
    """Check calls that were paid by a payment: it is the payer's own, worth at least the call, and was not replaced by an
    earlier payment and so never sent. Settlements were read before the wallets: `again` reads them once more, for payments
    that arrived meanwhile.
    """
    leaning = {key: usat for key, (_, usat) in books.orders.items() if key[0].startswith(ON_CHAIN)}
    if any(order_id.removeprefix(ON_CHAIN) not in settlements.payments for order_id, _ in leaning):
        settlements = again()
    if not settlements.is_read:
        return
    for (order_id, payer), usat in leaning.items():
        payment_id = order_id.removeprefix(ON_CHAIN)
        paid = settlements.payments.get(payment_id)
        if paid is None or paid.origin != payer or paid.usat < usat:
            found.add(f"wallet {payer}", "order", f"{order_id[:60]} of {usat} usat leans on a payment of {paid}")
        if payment_id in settlements.claims:
            found.add(f"wallet {payer}", "order", f"{order_id[:60]} leans on a payment that stands for another")
    if leaning:
        found.looked_at("calls on chain", len(leaning))


def _entries(home: Path, address: str, kind: str, reference: str) -> list[dict[str, int]]:
    path = wallet_path(home / "wallets", address)
    if not path.exists():
        return []
    with closing(read_only(path)) as db:
        rows = db.execute("SELECT amounts FROM journal WHERE kind = ? AND reference = ?", (kind, reference)).fetchall()
    return [json.loads(row[0]) for row in rows]
