"""A pretended chain: nonces, a mempool that forgets, blocks every few seconds, reorganisations, an API that lags or is silent.

`truth` methods are for the auditor: they see what no service can.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from relay_client.chain import (
    Account,
    CallView,
    ChainPhase,
    ChainTransaction,
    ChainUnavailable,
    Movement,
    Nonces,
)
from relay_client.relay import Accepted, Refused, SettleOutcome, Unknown
from relay_client.states import TerminalReason
from relay_client.verify import VerifiedPayment

FUNDS = 10**15
FINAL_DEPTH = 6
"""Blocks this far below the highest there ever was stay."""


@dataclass(slots=True)
class Transaction:
    """One transaction as nodes know it. `payment` is None for one that only uses up a nonce."""

    txid: str
    origin: str
    nonce: int
    sponsored: bool
    payment: VerifiedPayment | None
    call: CallView
    not_before: float = 0.0
    aborts: bool = False
    block: int | None = None
    seen_at: float = 0.0


@dataclass(slots=True)
class SimulatedChain:
    """See the module. `now` gives virtual seconds."""

    rng: random.Random
    now: Callable[[], float]
    height: int = 100
    highest: int = 100
    silent: bool = False
    lag_seconds: float = 0.0
    nonces: dict[str, int] = field(default_factory=dict)
    known: dict[str, Transaction] = field(default_factory=dict)
    mempool: dict[str, Transaction] = field(default_factory=dict)
    by_origin: dict[tuple[str, int], list[Transaction]] = field(default_factory=dict)
    blocks: list[tuple[int, list[Transaction]]] = field(default_factory=list)
    ever_confirmed: set[str] = field(default_factory=set)
    """Identities of payments that some block held, whether or not it stands."""
    signed: dict[bytes, Transaction] = field(default_factory=dict)
    """What clients have signed, by its bytes."""

    # What happens on it

    def submit(self, tx: Transaction) -> bool:
        """A node takes it into the mempool, unless its nonce is used up. Two of one nonce may both be there."""
        known = self.known.get(tx.txid)
        if known is not None and (known.block is not None or tx.txid in self.mempool):
            return True
        if tx.nonce < self.nonces.get(tx.origin, 0):
            return False
        tx.seen_at = self.now()
        if known is None:
            self.known[tx.txid] = tx
            self.by_origin.setdefault((tx.origin, tx.nonce), []).append(tx)
        else:
            tx = known
        self.mempool[tx.txid] = tx
        return True

    def mine(self) -> list[Transaction]:
        """A block of what is ready."""
        self.height += 1
        self.highest = max(self.highest, self.height)
        ready = [tx for tx in self.mempool.values() if tx.not_before <= self.now()]
        self.rng.shuffle(ready)
        ready.sort(key=lambda tx: tx.nonce)
        taken: list[Transaction] = []
        for tx in ready:
            if tx.nonce == self.nonces.get(tx.origin, 0):
                self.nonces[tx.origin] = tx.nonce + 1
                tx.block = self.height
                tx.seen_at = self.now()
                del self.mempool[tx.txid]
                taken.append(tx)
                if tx.payment is not None and not tx.aborts:
                    self.ever_confirmed.add(tx.payment.identity)
        for tx in list(self.mempool.values()):
            if tx.nonce < self.nonces.get(tx.origin, 0):
                del self.mempool[tx.txid]
        self.blocks.append((self.height, taken))
        return taken

    def reorganise(self, depth: int, *, lose: float) -> None:
        """The last blocks never were. Most of what they held is in the mempool again; some is gone."""
        for _ in range(depth):
            if not self.blocks or self.blocks[-1][0] <= self.highest - FINAL_DEPTH:
                return
            self.height, transactions = self.blocks.pop()
            self.height -= 1
            for tx in reversed(transactions):
                tx.block = None
                self.nonces[tx.origin] = min(self.nonces[tx.origin], tx.nonce)
                if self.rng.random() >= lose:
                    self.mempool[tx.txid] = tx
                tx.seen_at = self.now()

    def forget(self, txid: str) -> None:
        """Every mempool has dropped it."""
        self.mempool.pop(txid, None)

    def truth(self, identity: str) -> list[Transaction]:
        """The transactions in blocks that pay this payment."""
        return [
            tx
            for _, transactions in self.blocks
            for tx in transactions
            if tx.payment is not None and tx.payment.identity == identity and not tx.aborts
        ]

    # relay_client.chain.Chain

    def _speak(self) -> None:
        if self.silent or self.rng.random() < 0.01:
            raise ChainUnavailable("no answer")

    def _view(self, tx: Transaction, *, whole: bool) -> ChainTransaction | None:
        if self.now() - tx.seen_at < self.lag_seconds:
            return None
        if tx.block is None:
            if tx.txid not in self.mempool:
                return None
            phase, status = ChainPhase.PENDING, "pending"
        else:
            phase = ChainPhase.ABORTED if tx.aborts else ChainPhase.SUCCESS
            status = "abort_by_response" if tx.aborts else "success"
        movements: tuple[Movement, ...] = ()
        payment = tx.payment
        is_late = self.lag_seconds > 0 and self.rng.random() < 0.3
        if whole and phase is ChainPhase.SUCCESS and payment is not None and not is_late:
            movements = (Movement(payment.asset_id, payment.origin, payment.pay_to, payment.amount),)
        return ChainTransaction(
            tx.txid, phase, status, tx.origin, tx.nonce, tx.sponsored, tx.block, f"b{tx.block}", movements,
            whole and not is_late, tx.call if whole else CallView("unknown"),
        )  # fmt: skip

    async def transaction(self, txid: str) -> ChainTransaction | None:
        """See `Chain`."""
        self._speak()
        tx = self.known.get(txid)
        return None if tx is None else self._view(tx, whole=True)

    async def by_nonce(self, address: str, nonce: int) -> tuple[ChainTransaction, ...]:
        """See `Chain`."""
        self._speak()
        views = [self._view(tx, whole=False) for tx in self.by_origin.get((address, nonce), ())]
        return tuple(view for view in views if view is not None)

    async def account(self, address: str) -> Account:
        """See `Chain`."""
        self._speak()
        return Account(FUNDS, self.nonces.get(address, 0))

    async def nonces_of(self, address: str) -> Nonces:
        """The next nonce with the mempool counted in."""
        self._speak()
        waiting = [tx.nonce + 1 for tx in self.mempool.values() if tx.origin == address]
        return Nonces(max([self.nonces.get(address, 0), *waiting]))

    async def tip_height(self) -> int:
        """See `Chain`."""
        self._speak()
        return self.height

    async def broadcast(self, transaction: bytes) -> SettleOutcome:
        """See `Chain`: a node takes raw bytes."""
        if self.silent:
            return Unknown("no answer", reached=False)
        tx = self.decode(transaction)
        if not self.submit(tx):
            return Refused(
                "conflicting_nonce", TerminalReason.SENDER_NONCE_DUPLICATE, "payment_nonce_stale", may_be_ours=True
            )
        return Accepted(tx.txid, tx.origin)

    def decode(self, transaction: bytes) -> Transaction:
        """What these bytes are; clients register what they sign."""
        return self.signed[transaction]
