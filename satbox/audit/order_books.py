"""The log of paid calls: every order that a gate took for paid is posted in its payer's wallet, or reserved there."""

from dataclasses import dataclass
from pathlib import Path

from actors.wallet.calls import LoggedOrder
from actors.wallet.spending_keys import address_of, allowance_name
from satbox.audit.call_books import CallBooks
from satbox.audit.files import check_pages, readable, snapshot
from satbox.audit.findings import Findings


@dataclass(frozen=True, slots=True)
class Logged:
    """A row of the log."""

    gate_id: str
    account: str
    order: LoggedOrder
    is_posted: bool

    @property
    def payer(self) -> str:
        """The wallet that pays."""
        return address_of(self.account)

    @property
    def allowance(self) -> str:
        """The name of its allowance in the wallet."""
        return allowance_name(self.gate_id, self.account)


def read_order_log(path: Path, found: Findings) -> list[Logged]:
    """All that the log says. Read before the wallets: what is noted as posted by then is in them."""
    logged: list[Logged] = []
    if path.exists():
        with readable(path.name, found), snapshot(path) as db:
            check_pages(db, path.name, found)
            rows = db.execute(
                "SELECT gate_id, seq, order_id, payer, payee, usat, is_posted FROM orders ORDER BY gate_id, seq"
            )
            for gate_id, seq, order_id, payer, payee, usat, is_posted in rows:
                logged.append(Logged(gate_id, payer, LoggedOrder(seq, order_id, payee, usat), bool(is_posted)))
    return logged


def match_order_log(logged: list[Logged], books: CallBooks, unread: set[str], found: Findings) -> None:
    """Hold the log against what wallets, read later, say of it."""
    owed: dict[tuple[str, str], int] = {}
    for one in logged:
        if one.payer in unread:
            continue
        allowance = books.allowances.get((one.payer, one.allowance))
        order, where = one.order, f"orders/{one.gate_id} {one.order.seq}"
        if one.is_posted or (allowance is not None and order.seq <= allowance.posted_seq):
            if books.orders.get((order.order_id, one.payer)) != (order.payee, order.usat):
                told = f"{order.order_id[:60]} over {order.usat} usat was paid, and {one.payer} has not posted it"
                found.add(where, "order", told)
            continue
        owed[one.payer, one.allowance] = owed.get((one.payer, one.allowance), 0) + order.usat
    _match_keys(logged, books, found)
    for (payer, gate_id), usat in owed.items():
        allowance = books.allowances.get((payer, gate_id))
        aside = 0 if allowance is None else allowance.usat
        if usat > aside:
            found.add(f"orders/{gate_id}", "order", f"{payer} owes {usat} usat for calls, and has set {aside} aside")
    found.looked_at("logged orders", len(logged))


def _match_keys(logged: list[Logged], books: CallBooks, found: Findings) -> None:
    """A wallet counts at least as much for a key as the log still shows as posted for it. The key's caps depend on that."""
    posted: dict[str, int] = {}
    for one in logged:
        if one.is_posted and one.account in books.keys_spent_usat:
            posted[one.account] = posted.get(one.account, 0) + one.order.usat
    for account, usat in posted.items():
        said = books.keys_spent_usat[account]
        if usat > said:
            found.add(f"wallet {account}", "key", f"says that it has spent {said} usat, and the log holds {usat} of it")
    if posted:
        found.looked_at("spending keys", len(posted))
