"""Books of paid calls: what the log of orders holds, what wallets have posted and earned of it, and what they reserve for it.

It sees the log's commits, the wallets' commits, and what gates answered, and compares all three at each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from actors.wallet.calls import OPERATOR, BundledOrder, LoggedOrder
from actors.wallet.spending_keys import account_of, address_of, allowance_name, key_of
from actors.wallet.state import WalletState
from gate.parts.orders import Held
from simulator.virtual_loop import Incarnation, note

FEE_BPS = 200
ASIDE = ("reserved", "in_transit", "spent", "earnings", "call_fees")


@dataclass(slots=True)
class Row:
    """An order in the log."""

    gate_id: str
    seq: int
    payer: str
    payee: str
    usat: int
    is_posted: bool = False


@dataclass(slots=True)
class Bundle:
    """What went from one wallet to another in one entry."""

    payer: str
    payee: str
    usat: int
    is_earned: bool = False
    is_done: bool = False


@dataclass(slots=True)
class Shown:
    """One attempt to use an order, at one gate."""

    auditor: CallAuditor
    life: Incarnation
    slot: str
    order: Held
    is_holding: bool = False
    is_open: bool = True

    def held(self) -> None:
        """The till says that the money is held."""
        if not self.life.is_dead:
            self.is_holding = True
            self.auditor.holding.append(self)
            self.auditor.cover(address_of(self.order.payer))

    def is_over(self, *, unpaid: bool) -> None:
        """The till says that this attempt has paid nothing. Not `unpaid`: another one may have."""
        if self.is_open and not self.life.is_dead:
            self._end()
            if unpaid:
                self.auditor.not_paid(self.order)

    def answered(self, usat: int) -> None:
        """The caller has the answer, for so much money."""
        if not self.life.is_dead:
            self._end()
            self.auditor.answered(self.order, usat)

    def _end(self) -> None:
        self.is_open = self.is_holding = False
        self.auditor.open[self.order.order_id] -= 1


@dataclass
class CallAuditor:
    """See the module."""

    wrong: Callable[[str], None]
    rows: dict[str, Row] = field(default_factory=dict)
    bundles: dict[str, Bundle] = field(default_factory=dict)
    holding: list[Shown] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    unpaid: set[str] = field(default_factory=set)
    has_answer: set[str] = field(default_factory=set)
    on_chain: dict[str, list[Held]] = field(default_factory=dict)
    """What may be ordered with a payment: its payer may have shown it for several calls, of which one is paid."""
    stand_ins: dict[str, str] = field(default_factory=dict)
    """Payments shown for a call that an earlier one paid for, which is named."""
    shown_by: dict[str, str] = field(default_factory=dict)
    signed_otherwise: set[str] = field(default_factory=set)
    """Payments that their payer showed for something else than a call."""
    by_key: dict[str, int] = field(default_factory=dict)
    """What was posted for each spending key, by its account."""
    caps: dict[str, int | None] = field(default_factory=dict)
    """The highest total that each key was ever allowed; None: no limit."""
    aside: dict[str, dict[str, int]] = field(default_factory=dict)
    allowances: dict[tuple[str, str], int] = field(default_factory=dict)
    unposted: dict[tuple[str, str], int] = field(default_factory=dict)
    posted_seq: dict[tuple[str, str], int] = field(default_factory=dict)
    last_seq: dict[str, int] = field(default_factory=dict)

    # Gates

    def shown(self, life: Incarnation, slot: str, order: Held) -> Shown:
        """An order is presented at a gate."""
        self.open[order.order_id] = self.open.get(order.order_id, 0) + 1
        self.unpaid.discard(order.order_id)
        return Shown(self, life, slot, order)

    def not_paid(self, order: Held) -> None:
        """The caller was answered that nothing was paid. The order must not be in a log, unless another attempt may pay it."""
        if not self.open[order.order_id] and order.order_id not in self.has_answer:
            self.unpaid.add(order.order_id)
            if order.order_id in self.rows:
                self.wrong(
                    f"{order.order_id} of {order.payer} is logged, and its caller was told that nothing was paid"
                )

    def answered(self, order: Held, usat: int) -> None:
        """See `Shown.answered`."""
        row = self.rows.get(order.order_id)
        if row is None:
            self.wrong(f"{order.order_id} of {order.payer} is answered and in no log")
        elif row.usat != usat:
            self.wrong(f"{order.order_id} of {order.payer} used {usat}, and {row.usat} are logged")
        if order.order_id in self.has_answer:
            self.wrong(f"{order.order_id} of {order.payer} is answered a second time")
        self.has_answer.add(order.order_id)

    def leans(self, order: Held, shown_id: str, payment_id: str) -> None:
        """A gate is about to serve a call for which `shown_id` was shown, on the payment `payment_id`."""
        note(order.order_id, shown_id)
        self.shown_by.setdefault(shown_id, order.payer)
        if self.shown_by.get(payment_id) != order.payer:
            self.wrong(f"{order.order_id} of {order.payer} leans on a payment that somebody else signed")
        self.on_chain.setdefault(order.order_id, []).append(order)
        if shown_id == payment_id:
            if shown_id in self.stand_ins:
                self.wrong(f"{shown_id} of {order.payer} stands for {self.stand_ins[shown_id]}, and was sent")
        elif self.stand_ins.setdefault(shown_id, payment_id) != payment_id:
            self.wrong(f"{shown_id} of {order.payer} stands for {self.stand_ins[shown_id]} and for {payment_id}")

    def answered_on_chain(self, order: Held) -> None:
        """A call that depends on a payment was answered."""
        if order.order_id in self.has_answer:
            self.wrong(f"{order.order_id} of {order.payer} is answered a second time")
        self.has_answer.add(order.order_id)

    # The log

    def logged(self, gate_id: str, order: LoggedOrder, held: Held) -> None:
        """See `LogReader`."""
        note(gate_id, order.seq, order.order_id)
        if order.order_id in self.rows:
            self.wrong(f"{order.order_id} is logged a second time")
        if order.order_id in self.unpaid:
            self.wrong(f"{order.order_id} is logged after its caller was told that nothing was paid")
        if order.seq <= self.last_seq.get(gate_id, 0):
            self.wrong(f"{gate_id} logs {order.seq} after {self.last_seq[gate_id]}")
        self.last_seq[gate_id] = max(order.seq, self.last_seq.get(gate_id, 0))
        self.rows[order.order_id] = Row(gate_id, order.seq, held.payer, order.payee, order.usat)
        key = address_of(held.payer), allowance_name(gate_id, held.payer)
        self.unposted[key] = self.unposted.get(key, 0) + order.usat
        for one in self.holding:
            if one.order.order_id == order.order_id and one.slot == gate_id:
                one.is_holding = False
        self.cover(address_of(held.payer))

    def noted(self, gate_id: str, seqs: list[int]) -> None:
        """See `LogReader`."""
        if seqs:
            wanted = set(seqs)
            for order_id, row in self.rows.items():
                if row.gate_id == gate_id and row.seq in wanted and not row.is_posted:
                    self.wrong(f"{order_id} is noted as posted, and is not")

    def cover(self, payer: str) -> None:
        """The allowances at each gate cover the orders that it took and the calls that it still serves."""
        self.holding = [one for one in self.holding if one.is_holding and not one.life.is_dead]
        needed = {gate: usat for (who, gate), usat in self.unposted.items() if who == payer}
        for one in self.holding:
            if address_of(one.order.payer) == payer:
                name = allowance_name(one.slot, one.order.payer)
                needed[name] = needed.get(name, 0) + one.order.usat
        for gate_id, usat in needed.items():
            aside = self.allowances.get((payer, gate_id), 0)
            if usat > aside:
                self.wrong(f"{payer} owes {usat} usat for calls at {gate_id}, and {aside} are set aside")

    # Wallets

    def entry(
        self, address: str, seq: int, kind: str, reference: str, amounts: dict[str, int], orders: Sequence[BundledOrder]
    ) -> None:
        """An entry of one of the kinds of calls."""
        aside = self.aside.setdefault(address, dict.fromkeys(ASIDE, 0))
        for name in ASIDE:
            aside[name] += amounts.get(name, 0)
        if kind in ("reserve", "unreserve"):
            key = address, reference
            self.allowances[key] = self.allowances.get(key, 0) + amounts["reserved"]
            return
        name, _, other = reference.rpartition(":")
        if kind in ("order", "spend"):
            self._order(address, seq, name, other, amounts, orders)
        elif kind == "earning":
            self._earning(address, name, other, amounts)
        else:
            bundle = self.bundles.get(name)
            if bundle is None or bundle.is_done or (bundle.payer, bundle.usat) != (address, amounts["spent"]):
                self.wrong(f"{address}: {name} is delivered, and was not on its way")
            elif not bundle.is_earned:
                self.wrong(f"{address}: {name} is delivered, and {other} has not earned it")
            else:
                bundle.is_done = True

    def _order(
        self, address: str, seq: int, name: str, payee: str, amounts: dict[str, int], orders: Sequence[BundledOrder]
    ) -> None:
        is_operators = payee.startswith(OPERATOR)
        usat = amounts["burnt" if is_operators else "in_transit"]
        if name in self.bundles:
            self.wrong(f"{address}: {name} is posted a second time")
        self.bundles[name] = Bundle(address, payee, usat, is_earned=is_operators, is_done=is_operators)
        if name in self.on_chain:
            ordered = [(order.payer, order.payee, order.usat) for order in self.on_chain[name]]
            if (address, payee, usat) not in ordered or amounts["reserved"]:
                self.wrong(f"{address}: {name} is not what was ordered")
            return
        bundled = [(one.order_id, one.usat) for one in orders if one.entry_seq == seq] or [(name, usat)]
        for order_id, its_usat in bundled:
            row = self.rows.get(order_id)
            if row is None or (address_of(row.payer), row.payee, row.usat) != (address, payee, its_usat):
                self.wrong(f"{address}: {order_id} over {its_usat} to {payee} is posted and in no log")
                continue
            if row.is_posted:
                self.wrong(f"{address}: {order_id} is posted a second time")
                continue
            row.is_posted = True
            if key_of(row.payer):
                self.by_key[row.payer] = self.by_key.get(row.payer, 0) + row.usat
            key = address, allowance_name(row.gate_id, row.payer)
            self.unposted[key] -= row.usat
            self.allowances[key] = self.allowances.get(key, 0) - row.usat
            self.posted_seq[key] = max(row.seq, self.posted_seq.get(key, 0))
        if sum(its for _, its in bundled) != usat or amounts["reserved"] != -usat:
            self.wrong(f"{address}: {name} moves {amounts} for {bundled}")

    def _earning(self, address: str, name: str, payer: str, amounts: dict[str, int]) -> None:
        bundle, usat = self.bundles.get(name), -amounts["earnings"]
        if bundle is None or (bundle.payer, bundle.payee, bundle.usat) != (payer, address, usat):
            self.wrong(f"{address}: earns {usat} for {name}, which {payer} has not paid")
        elif bundle.is_earned:
            self.wrong(f"{address}: earns {name} a second time")
        else:
            bundle.is_earned = True
        if amounts["call_fees"] != usat * FEE_BPS // 10_000:
            self.wrong(f"{address}: a fee of {amounts['call_fees']} for {usat}")

    def state(self, address: str, after: WalletState) -> None:
        """What a wallet says of itself after a commit."""
        aside = self.aside.get(address, {})
        theirs = {name: getattr(after.accounts, name) for name in ASIDE}
        if theirs != {name: aside.get(name, 0) for name in ASIDE}:
            self.wrong(f"{address}: {theirs}, the books say {aside}")
        said = {one.gate_id: one.usat for one in after.allowances if one.usat}
        mine = {gate: usat for (who, gate), usat in self.allowances.items() if who == address and usat}
        if said != mine or sum(mine.values()) != theirs["reserved"]:
            self.wrong(f"{address}: set aside are {said}, {mine} by the books, {theirs['reserved']} in all")
        for one in after.allowances:
            if one.posted_seq != self.posted_seq.get((address, one.gate_id), 0):
                self.wrong(f"{address}: has posted through {one.posted_seq} of {one.gate_id}")
        for key in after.keys:
            account, said_cap = account_of(address, key.key_id), key.caps.total_usat
            mine_usat = self.by_key.get(account, 0)
            highest = self.caps.get(account, 0)
            cap = self.caps[account] = None if None in (highest, said_cap) else max(highest or 0, said_cap or 0)
            aside_usat = sum(usat for name, usat in said.items() if key_of(name) == key.key_id)
            if key.spent_usat != mine_usat or (cap is not None and mine_usat + aside_usat > cap):
                self.wrong(
                    f"{address}: {key.key_id} says {key.spent_usat}, paid {mine_usat}, aside {aside_usat}, cap {cap}"
                )
        if sum(one.usat for one in after.transit) != theirs["in_transit"]:
            self.wrong(f"{address}: {theirs['in_transit']} in transit, and on the way are {after.transit}")
        self.cover(address)

    def moved_usat(self, address: str) -> int:
        """What calls have taken out of a wallet's bucket, less what they brought."""
        return sum(self.aside.get(address, {}).values())

    # Peace

    def at_peace(self, is_confirmed: Callable[[str], bool]) -> list[str]:
        """What should have ended and has not, and what should never have begun. `is_confirmed`: whether the chain holds a
        payment.
        """
        found = [
            f"{order_id} was paid, and {row.payer} has not posted it"
            for order_id, row in self.rows.items()
            if not row.is_posted
        ]
        for name, bundle in self.bundles.items():
            if not (bundle.is_earned and bundle.is_done):
                found.append(f"{name} of {bundle.payer} is earned: {bundle.is_earned}, delivered: {bundle.is_done}")
        for (payer, gate_id), usat in self.allowances.items():
            if usat:
                found.append(f"{payer} still has {usat} set aside for {gate_id}")
        for shown_id, payment_id in self.stand_ins.items():
            if shown_id not in self.signed_otherwise and is_confirmed(shown_id):
                found.append(f"{shown_id} was sent, and stands for {payment_id}")
        spent, earned = (sum(its[name] for its in self.aside.values()) for name in ("spent", "earnings"))
        if spent + earned:
            found.append(f"{spent} were spent on calls, {-earned} were earned")
        return found
