"""Keeps its own books of every wallet and compares after every step. It shares no rule with the code it watches.

It sees three things: what wallets commit, what the machine really ran and when, and what the chain really holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from actors.stores.wallets import Batch
from actors.wallet.state import Phase, WalletState
from simulator.call_auditor import CallAuditor
from simulator.virtual_loop import note

SLACK_MS = 5_000
UNOWNED_MS = 180_000
UNPAID_MS = 90_000
PAUSED_SHARE = 25
CALL_KINDS = frozenset({"reserve", "unreserve", "order", "order_done", "earning", "spend"})
METER_PRICES = {"egress": (50_000, 1_000_000)}
"""Usat for so many of what a meter counts; whatever else is billed is wrong."""


class ViolationError(Exception):
    """The service did something that must not be."""


@dataclass(slots=True)
class Runtime:
    """What the machine did, for any host."""

    address: str
    boot_id: str
    healthy_ms: int
    ended_ms: int | None = None
    seen_ms: int = 0
    """The last moment that the machine itself named while it ran, as in its answer to a pause."""
    unowned_since_ms: int | None = None
    unpaid_since_ms: int | None = None


@dataclass(slots=True)
class Books:
    """One wallet as the auditor counts it, in usat."""

    bucket: int = 0
    owed: int = 0
    burnt: int = 0
    lost: int = 0
    held: int = 0
    out: int = 0
    charges: dict[str, int] = field(default_factory=dict)
    given_back: set[str] = field(default_factory=set)
    payouts: dict[str, int] = field(default_factory=dict)
    in_: int = 0
    deposits: dict[str, int] = field(default_factory=dict)
    reversed: set[str] = field(default_factory=set)
    metered: dict[str, int] = field(default_factory=dict)
    meters: dict[tuple[str, str], int] = field(default_factory=dict)
    state: WalletState | None = None
    remainder: int = 0
    seq: int = 0


@dataclass(slots=True)
class Promise:
    """What a payment may credit: who signed it for how much. `confirmed` says whether a block holds it, or ever did."""

    address: str
    usat: int
    confirmed: Callable[[], bool]


class Auditor:
    """See the module. `proven_ms` is the machine's last heartbeat; times are its boottime."""

    def __init__(self, grace_ms: int, grace_cap_ms: int, checkpoint_ms: int) -> None:
        self._grace_ms = grace_ms
        self._cap_ms = grace_cap_ms
        self._checkpoint_ms = checkpoint_ms
        self.books: dict[str, Books] = {}
        self.runtimes: dict[str, Runtime] = {}
        self.running: dict[str, Runtime] = {}
        self.promises: dict[str, Promise] = {}
        self.used: Callable[[str], dict[str, int]] = lambda runtime_id: {}
        self.proven_ms: Callable[[], int] = lambda: 0
        self.rates: dict[str, set[int]] = {}
        self.violations: list[str] = []
        self.calls = CallAuditor(self._wrong)
        self.commits = 0
        self.entries = 0
        self.bad_since_ms: int | None = None
        """Since when something is broken that the service cannot help; deadlines are not judged meanwhile."""

    # What is reported

    def started(self, runtime_id: str, address: str, boot_id: str, healthy_ms: int) -> None:
        """The machine runs something."""
        if runtime_id not in self.runtimes:
            self.runtimes[runtime_id] = self.running[runtime_id] = Runtime(address, boot_id, healthy_ms)

    def ended(self, runtime_id: str, at_ms: int) -> None:
        """It does not any more; `at_ms` is the last moment that can be proven."""
        runtime = self.runtimes.get(runtime_id)
        if runtime is not None and runtime.ended_ms is None:
            runtime.ended_ms = at_ms
            del self.running[runtime_id]

    def seen(self, runtime_id: str, at_ms: int) -> None:
        """The machine has named a moment in which it ran."""
        runtime = self.runtimes.get(runtime_id)
        if runtime is not None:
            runtime.seen_ms = max(runtime.seen_ms, at_ms)

    def promise(self, payment_id: str, promise: Promise) -> None:
        """A client has signed something."""
        self.promises[payment_id] = promise

    def allow_rate(self, address: str, rate: int) -> None:
        """A client has agreed to this rate."""
        self.rates.setdefault(address, set()).add(rate)

    def committed(self, address: str, before: WalletState, batch: Batch) -> None:
        """A wallet has written this; every rule that one commit can break is looked at here."""
        self.commits += 1
        note(address, batch.state.version, batch.state.head, [mark.id for mark in batch.marks])
        books = self.books.setdefault(address, Books())
        known = books.state or WalletState(address)
        if before.version != known.version or before.head != known.head:
            self._wrong(f"{address}: a commit on a state that is not the last (a copy that should have been fenced)")
        charged = self._spans(address, books, known, batch)
        for entry in batch.entries:
            self.entries += 1
            amounts = dict(entry.amounts)
            if sum(amounts.values()):
                self._wrong(f"{address} #{entry.seq}: {entry.kind} does not sum to zero")
            if entry.seq != books.seq + 1:
                self._wrong(f"{address}: entry {entry.seq} after {books.seq}")
            books.seq = entry.seq
            charged -= self._entry(address, books, entry.kind, entry.reference, amounts)
            if entry.kind in CALL_KINDS:
                self.calls.entry(address, entry.seq, entry.kind, entry.reference or "", amounts, batch.orders)
            if entry.balance_after_usat != books.bucket:
                self._wrong(f"{address} #{entry.seq}: says {entry.balance_after_usat}, the books say {books.bucket}")
        if charged:
            self._wrong(f"{address}: spans and charges differ by {charged}")
        self._state(address, books, known, batch.state)
        self.calls.state(address, batch.state)
        books.state = batch.state

    def _entry(self, address: str, books: Books, kind: str, reference: str | None, amounts: dict[str, int]) -> int:
        moved = amounts.get("bucket", 0)
        books.bucket += moved
        books.owed -= amounts.get("owed", 0)
        if books.bucket < 0 or books.owed < 0:
            self._wrong(f"{address}: {kind} overdraws: bucket {books.bucket}, owed {books.owed}")
        match kind:
            case "deposit":
                self._deposit(address, books, reference or "", moved)
            case "reversal":
                if reference not in books.deposits or reference in books.reversed:
                    self._wrong(f"{address}: reversal of {reference}, which is no deposit (any more)")
                elif amounts.get("deposits") != books.deposits[reference]:
                    self._wrong(f"{address}: reversal of {reference} takes back another amount")
                else:
                    books.reversed.add(reference)
                    books.in_ -= books.deposits[reference]
            case "charge":
                books.burnt += amounts["burnt"]
                books.charges[reference or ""] = books.charges.get(reference or "", 0) + amounts["burnt"]
                return amounts["burnt"]
            case "meter":
                books.burnt += amounts["burnt"]
                self._meter(address, books, reference or "", amounts["burnt"])
            case "credit_back":
                self._give_back(address, books, reference or "", -amounts["burnt"])
            case "payout_hold" | "payout" | "payout_return":
                self._payout(address, books, kind, reference or "", amounts)
            case "arrears":
                if moved >= 0 or moved + amounts["owed"]:
                    self._wrong(f"{address}: arrears that are none: {amounts}")
            case "write_off":
                books.lost += amounts["owed"]
            case "spend":
                books.burnt += amounts["burnt"]
            case _ if kind in CALL_KINDS:
                pass
            case _:
                self._wrong(f"{address}: an entry of kind {kind}, which nobody asked for")
        return 0

    def _meter(self, address: str, books: Books, reference: str, usat: int) -> None:
        """Over all runtimes of a wallet no meter has billed more than the machine counted, to the micro-sat."""
        word, _, rest = reference.partition(":")
        name, _, runtime_id = rest.partition(":")
        runtime = self.runtimes.get(runtime_id)
        if word != "meter" or name not in METER_PRICES or usat <= 0 or runtime is None or runtime.address != address:
            self._wrong(f"{address}: {usat} usat for {reference}, which is no meter of this wallet")
            return
        books.meters[name, runtime_id] = books.meters.get((name, runtime_id), 0) + usat
        rate, per = METER_PRICES[name]
        runtimes = [its for meter, its in books.meters if meter == name]
        counted = sum(self.used(its).get(name, 0) for its in runtimes)
        billed = sum(books.meters[name, its] for its in runtimes)
        if billed * per > counted * rate:
            self._wrong(f"{address}: {billed} usat of {name} are billed, {counted} were counted")
        if books.meters[name, runtime_id] * per >= self.used(runtime_id).get(name, 0) * rate + per:
            self._wrong(f"{address}: {reference} is billed beyond its counter")

    def _give_back(self, address: str, books: Books, runtime_id: str, usat: int) -> None:
        runtime = self.runtimes.get(runtime_id)
        if runtime_id in books.given_back:
            self._wrong(f"{address}: {runtime_id} is given back a second time")
        if not 0 < usat <= books.charges.get(runtime_id, 0):
            self._wrong(f"{address}: {usat} given back for {runtime_id}, charged {books.charges.get(runtime_id, 0)}")
        if runtime is not None and runtime.ended_ms is None:
            self._wrong(f"{address}: {runtime_id} is given back and runs")
        books.given_back.add(runtime_id)
        books.burnt -= usat

    def _payout(self, address: str, books: Books, kind: str, payout_id: str, amounts: dict[str, int]) -> None:
        usat = abs(amounts["held"])
        if kind == "payout_hold":
            if payout_id in books.payouts:
                self._wrong(f"{address}: {payout_id} is held a second time")
            books.payouts[payout_id] = usat
            books.held += usat
            return
        if books.payouts.get(payout_id) != usat:
            self._wrong(f"{address}: {kind} of {usat} for {payout_id}, held were {books.payouts.get(payout_id)}")
        books.payouts[payout_id] = 0
        books.held -= usat
        if kind == "payout":
            books.out += usat

    def _deposit(self, address: str, books: Books, payment_id: str, usat: int) -> None:
        if payment_id in books.deposits:
            self._wrong(f"{address}: {payment_id} is credited a second time")
        name = payment_id.rsplit("_", 1)[0] if payment_id.count("_") > 1 else payment_id
        promise = self.promises.get(name)
        if promise is None or address not in promise.address.split():
            self._wrong(f"{address}: {payment_id} was not paid for this wallet")
        elif not promise.confirmed():
            self._wrong(f"{address}: {payment_id} is credited and in no block")
        elif promise.usat != usat:
            self._wrong(f"{address}: {payment_id} credits {usat}, {promise.usat} were paid")
        others = [i for i in books.deposits if i.startswith(name) and i not in books.reversed]
        if others:
            self._wrong(f"{address}: {payment_id} is credited while {others} stands")
        books.deposits[payment_id] = usat
        books.in_ += usat

    def _spans(self, address: str, books: Books, before: WalletState, batch: Batch) -> int:
        """The charge of the new spans, each checked against what the machine really did."""
        total = 0
        for span in batch.spans:
            runtime = self.runtimes.get(span.runtime_id)
            if runtime is None or runtime.address != address:
                self._wrong(f"{address}: a charge for {span.runtime_id}, which never ran for it")
                continue
            since = books.metered.get(span.runtime_id, runtime.healthy_ms)
            if span.from_ms != since or span.boot_id != runtime.boot_id:
                self._wrong(f"{address}: a span from {span.from_ms}, metered through {since}")
            end = self.proven_ms() if runtime.ended_ms is None else runtime.ended_ms
            end = max(end, runtime.seen_ms)
            if span.to_ms > end:
                self._wrong(f"{address}: charged through {span.to_ms}, proven through {end}")
            allowed = self.rates.get(address, set())
            allowed = allowed | {-(-rate * PAUSED_SHARE // 100) for rate in allowed}
            if span.rate_usat_per_second not in allowed:
                self._wrong(f"{address}: a rate of {span.rate_usat_per_second}, agreed were {sorted(allowed)}")
            due = span.rate_usat_per_second * (span.to_ms - span.from_ms) + books.remainder
            if (span.charge_usat, span.remainder_after) != divmod(due, 1000):
                self._wrong(f"{address}: {span.charge_usat} for a span that costs {due}/1000")
            books.remainder = due % 1000
            books.metered[span.runtime_id] = span.to_ms
            total += span.charge_usat
        return total

    def _state(self, address: str, books: Books, before: WalletState, after: WalletState) -> None:
        accounts = after.accounts
        mine = (books.bucket, -books.owed, books.burnt, -books.in_, -books.lost, books.held, books.out)
        out = accounts.paid_out + accounts.payout_fees
        theirs = (
            accounts.bucket,
            accounts.owed,
            accounts.burnt,
            accounts.deposits,
            accounts.write_offs,
            accounts.held,
            out,
        )
        if mine != theirs:
            self._wrong(f"{address}: balances {theirs}, the books say {mine}")
        used = books.burnt - books.lost + books.held + books.out + self.calls.moved_usat(address)
        if books.in_ != books.bucket - books.owed + used:
            self._wrong(f"{address}: money in is not money used, left and lost")
        if (
            after.phase is Phase.GRACE
            and after.runtime is not None
            and after.runtime.is_healthy
            and accounts.bucket > 0
        ):
            self._wrong(f"{address}: in grace with {accounts.bucket} in the bucket")
        old, new = before.grace, after.grace
        if old is not None and new is not None and old.began_ms == new.began_ms and new.outage_ms < old.outage_ms:
            self._wrong(f"{address}: time given back to grace was taken away again")
        is_over = before.phase is Phase.GRACE and after.phase is Phase.STOPPING and old is not None
        if is_over and after.stop is not None and after.stop.reason == "credit_exhausted":
            self._end_of_grace(address, before, after)

    def _end_of_grace(self, address: str, before: WalletState, after: WalletState) -> None:
        assert before.grace is not None
        assert after.stop is not None
        grace = before.grace
        lasted = (after.stop.bill_until_ms or 0) - grace.began_ms - grace.outage_ms
        if not grace.on_credit and lasted < self._grace_ms:
            self._wrong(f"{address}: grace lasted {lasted} ms, {self._grace_ms} were promised")
        if lasted > self._cap_ms:
            self._wrong(f"{address}: grace lasted {lasted} ms, {self._cap_ms} are the most")

    # What is looked at

    def watch(self, now_ms: int) -> None:
        """No sandbox runs unowned, or without credit, grace or receipt, for longer than the service could help."""
        is_bad = self.bad_since_ms is not None
        for runtime_id, runtime in self.running.items():
            books = self.books.get(runtime.address)
            state = books.state if books else None
            is_owned = state is not None and state.runtime is not None and state.runtime.runtime_id == runtime_id
            if is_bad or is_owned:
                runtime.unowned_since_ms = None
            elif runtime.unowned_since_ms is None:
                runtime.unowned_since_ms = now_ms
            elif now_ms - runtime.unowned_since_ms > UNOWNED_MS:
                self._wrong(f"{runtime_id} of {runtime.address} runs and nobody owns it")
                runtime.unowned_since_ms = now_ms
            self._watch_payment(runtime_id, runtime, state if is_owned else None, now_ms, is_bad=is_bad)

    def _watch_payment(
        self, runtime_id: str, runtime: Runtime, state: WalletState | None, now_ms: int, *, is_bad: bool
    ) -> None:
        is_unpaid = state is not None and self._is_past(state, runtime, now_ms)
        if is_bad or not is_unpaid:
            runtime.unpaid_since_ms = None
        elif runtime.unpaid_since_ms is None:
            runtime.unpaid_since_ms = now_ms
        elif now_ms - runtime.unpaid_since_ms > UNPAID_MS:
            self._wrong(f"{runtime_id} of {runtime.address} runs on nothing: {state.phase if state else None}")
            runtime.unpaid_since_ms = now_ms

    def _is_past(self, state: WalletState, runtime: Runtime, now_ms: int) -> bool:
        if state.runtime is None or not state.runtime.is_healthy:
            return False
        if state.phase is Phase.STOPPING:
            return True
        if state.phase is Phase.ALIVE:
            rate = state.rate_usat_per_second
            if state.runtime.is_paused:
                rate = state.paused_rate_usat_per_second
            used = rate * (now_ms - state.runtime.metered_through_ms) // 1000
            return used > state.accounts.bucket + rate * SLACK_MS // 1000
        if state.phase is Phase.GRACE and state.grace is not None:
            return now_ms - state.grace.began_ms - state.grace.outage_ms > self._cap_ms + SLACK_MS
        return False

    def _wrong(self, what: str) -> None:
        self.violations.append(what)
