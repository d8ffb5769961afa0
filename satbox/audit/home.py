"""Prove the books of a whole service, from its home folder alone, while it runs or at rest.

What is proven, to the micro-sat:

- every deposit in a wallet has exactly one confirmed settlement, and the reverse;
- money in = money burnt + balances + in transit + held for payouts + paid out + payout fees - debts - write-offs - put right,
  over all wallets and accounts; every payout was held by its wallet, and ends there as it does in the queue;
- every call that one wallet earned was paid by another, once, and what was delivered was earned; every call that a gate took
  for paid is posted in its payer's wallet, or reserved there;
- every charge is for a span, every span costs what its time and rate say, and lies in uptime its node has proven;
- every chain is whole, and goes through every head that a checkpoint holds; checkpoints are whole and signed.

A running service changes its books meanwhile. So settlements are read before and after the wallets: money that moves in
between is neither missed nor found twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.stores.looking import ChangedMeanwhileError
from actors.wallet.commands import SpanRecord
from satbox.audit.call_books import CallBooks, match_calls, match_payments
from satbox.audit.checkpoint_books import CheckpointBooks, audit_checkpoints, check_held
from satbox.audit.findings import Findings
from satbox.audit.order_books import match_order_log, read_order_log
from satbox.audit.payout_books import match_payouts, read_payouts
from satbox.audit.settlement_books import SettlementBooks, audit_settlements
from satbox.audit.uptime import Uptime, read_uptime
from satbox.audit.wallet_books import WalletBooks, audit_wallet, wait_until_begun


@dataclass
class Sums:
    """Money over all wallets, in usat."""

    settled_in: int = 0
    in_transit: int = 0
    accounts: dict[str, int] = field(default_factory=dict)

    def add(self, books: WalletBooks) -> None:
        """One more wallet."""
        for name, usat in books.accounts.items():
            self.accounts[name] = self.accounts.get(name, 0) + usat

    def document(self) -> dict[str, Any]:
        """As shown: what came in, and where it is. The two are equal when the books are."""
        elsewhere = {name: usat for name, usat in self.accounts.items() if name != "deposits"}
        return {
            "money_in_usat": self.settled_in,
            "in_transit_usat": self.in_transit,
            "accounts_usat": elsewhere,
            "accounted_for_usat": self.in_transit + sum(elsewhere.values()),
        }


class HomeAudit:
    """One audit of one home. `held`: checkpoints that were kept elsewhere, each with its name, which the home's must be."""

    def __init__(self, home: Path, public_key: str | None = None, held: Iterable[tuple[str, Any]] = ()) -> None:
        self.home = home
        self._held = list(held)
        self._public_key = public_key
        self._checkpoints = CheckpointBooks()
        self.found = Findings()
        self.sums = Sums()
        self._known: set[str] = set()
        self._unproven: dict[str, int] = {}
        self._write_offs: list[tuple[str, str]] = []
        self._suspects: list[tuple[str, str, SpanRecord]] = []
        self._credited: dict[str, tuple[str, int]] = {}
        self._reversed: dict[str, tuple[str, int]] = {}
        self._calls = CallBooks()
        self._paid_out: dict[str, tuple[str, str, int]] = {}

    def run(self) -> dict[str, Any]:
        """Everything; the report."""
        before = self._settlements(quick=False)
        payouts = read_payouts(self.home / "payouts.sqlite", self.found)
        logged = read_order_log(self.home / "orders" / "orders.sqlite", self.found)
        self._checkpoints = audit_checkpoints(self.home / "checkpoints.sqlite", self._public_key, self.found)
        uptime = read_uptime(self.home / "node", self.found)
        self.found.looked_at("runtimes", len(uptime.lives))
        unread: set[str] = set()
        for path in self._wallets():
            if not self._wallet(path, uptime):
                unread.add(path.stem)
        after = self._settlements(quick=True)
        match_payouts(
            self._paid_out, payouts, read_payouts(self.home / "payouts.sqlite", Findings()), unread, self.found
        )
        match_calls(self.home, self._calls, unread, self.found)
        match_payments(self._calls, before, lambda: self._settlements(quick=False, found=Findings()), self.found)
        match_order_log(logged, self._calls, unread, self.found)
        for address in self._checkpoints.heads.keys() - self._known - unread:
            self.found.add(f"wallet {address}", "checkpoint", "was checkpointed and is gone")
        self._uptime(read_uptime(self.home / "node", Findings()))
        self._match("deposit", self._credited, before.credits, after.credits, unread)
        self._match("reversal", self._reversed, before.reversals, after.reversals, unread)
        self._conserve(after)
        self._told_only_by_journals(before)
        self._missing_evidence(uptime)
        check_held(self.home / "checkpoints.sqlite", self._held, self._public_key, self.found)
        return {**self.found.document(), "sums": self.sums.document()}

    def _settlements(self, *, quick: bool, found: Findings | None = None) -> SettlementBooks:
        whole = SettlementBooks(is_read=True)
        for path in sorted(self.home.glob("settlements*.sqlite")):
            whole.add(audit_settlements(path, found or (Findings() if quick else self.found), quick=quick))
        return whole

    def _wallets(self) -> Iterator[Path]:
        yield from sorted((self.home / "wallets").glob("*/*.sqlite"))

    def _wallet(self, path: Path, uptime: Uptime) -> bool:
        where = str(path.relative_to(self.home))

        suspects: list[tuple[str, str, SpanRecord]] = []

        def look(span: SpanRecord) -> None:
            if uptime.fault(path.stem, span) is not None:
                suspects.append((where, path.stem, span))

        self._known.add(path.stem)
        wallets, asked, found = self.home / "wallets", self._checkpoints.asked(path.stem), Findings()
        wait_until_begun(path)
        try:
            books = audit_wallet(wallets, path, look, found, asked)
        except ChangedMeanwhileError:
            suspects.clear()
            found = Findings()
            books = audit_wallet(wallets, path, look, found, asked, in_use=True)
        self.found.take(found)
        self._suspects += suspects
        if books.is_read:
            self._checkpoints.compare(books, where, self.found)
        self.sums.add(books)
        if books.calls is not None:
            self._calls.add(path.stem, books.calls)
        for payout_id, (state, usat) in books.payouts.items():
            self._paid_out[payout_id] = (path.stem, state, usat)
        for kind, usat in books.unproven_usat.items():
            self._unproven[kind] = self._unproven.get(kind, 0) + usat
        self._write_offs += [(f"{where} journal {seq}", payment_id) for seq, payment_id in books.write_offs]
        for mine, all_of in ((books.deposits, self._credited), (books.reversals, self._reversed)):
            for payment_id, usat in mine.items():
                if payment_id in all_of:
                    self.found.add(where, "once", f"{payment_id} was posted in {all_of[payment_id][0]}'s wallet too")
                all_of[payment_id] = (path.stem, usat)
        return books.is_read

    def _uptime(self, uptime: Uptime) -> None:
        """Check again what was outside of proven uptime: the node has proven more of it meanwhile."""
        for where, address, span in self._suspects:
            fault = uptime.fault(address, span)
            if fault is not None:
                self.found.add(f"{where} span {span.seq}", "uptime", fault)

    def _match(
        self,
        kind: str,
        posted: dict[str, tuple[str, int]],
        before: dict[str, Any],
        after: dict[str, Any],
        unread: set[str],
    ) -> None:
        for payment_id, (address, usat) in posted.items():
            letter = after.get(payment_id) or before.get(payment_id)
            if letter is None:
                self.found.add(
                    f"wallet {address}", "settlement", f"{kind} {payment_id} of {usat} usat was never settled"
                )
            elif (letter.address, letter.usat) != (address, usat):
                told = f"settled were {letter.usat} usat for {letter.address}"
                self.found.add(f"wallet {address}", "settlement", f"{kind} {payment_id} is {usat} usat, {told}")
        for payment_id, letter in before.items():
            if letter.is_acknowledged and payment_id not in posted and letter.address not in unread:
                what = f"the {kind} {payment_id} of {letter.usat} usat was acknowledged and is not in its journal"
                self.found.add(f"wallet {letter.address}", "settlement", what)
        self.found.looked_at(f"{kind}s", len(posted))

    def _conserve(self, after: SettlementBooks) -> None:
        sums = self.sums
        sums.settled_in = sum(c.usat for c in after.credits.values()) - sum(r.usat for r in after.reversals.values())
        sums.in_transit = sum(c.usat for i, c in after.credits.items() if i not in self._credited)
        sums.in_transit -= sum(r.usat for i, r in after.reversals.items() if i not in self._reversed)
        shown = sums.document()
        if shown["accounted_for_usat"] != shown["money_in_usat"]:
            missing = shown["money_in_usat"] - shown["accounted_for_usat"]
            self.found.add("all wallets", "conservation", f"{missing} usat of what came in are nowhere")
        if sum(sums.accounts.values()):
            self.found.add("all wallets", "conservation", f"the accounts sum to {sum(sums.accounts.values())} usat")

    def _told_only_by_journals(self, before: SettlementBooks) -> None:
        """A loss is for a payment that exists; what fees and meters took is nowhere else on record."""
        payments = before.payments
        if self._write_offs:
            payments = payments | self._settlements(quick=False, found=Findings()).payments
        for where, payment_id in self._write_offs:
            if payment_id not in payments:
                self.found.add(where, "write_off", f"is for {payment_id[:80]!r}, which is no payment")
        for kind, usat in self._unproven.items():
            self.found.not_proven.append(f"{usat} usat were taken by entries of kind {kind}: nothing else is on record")

    def _missing_evidence(self, uptime: Uptime) -> None:
        """What was never there and what somebody deleted look the same: neither passes for proof."""
        checked, told = self.found.checked, self.found.not_proven
        if checked.get("journal entries") and not checked.get("checkpoints"):
            told.append("that no history was rewritten: there is no checkpoint of it")
        if checked.get("spans") and not uptime.is_known:
            told.append("that sandboxes were up while they were charged for: the node's slot table is not there")
        if checked.get("checkpoints") and self._public_key is None:
            told.append("that the operator signed the checkpoints: there is no key to check them with")
