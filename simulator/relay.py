"""A pretended sponsor relay: broadcasts, holds, refuses, loses its answer before or after the broadcast, sponsors twice."""

from __future__ import annotations

import asyncio
import hashlib
import random
from dataclasses import dataclass, field, replace

from relay_client.relay import (
    Accepted,
    Refused,
    RelayHeld,
    RelayPhase,
    RelayStatus,
    Retryable,
    SettleOrder,
    SettleOutcome,
    Unknown,
    order_identifier,
)
from relay_client.states import TerminalReason
from simulator.chain import SimulatedChain, Transaction

CACHE_SECONDS = 300.0
HELD_SECONDS = 280.0
"""How long it keeps what it holds: less than settlements wait for it (`service.SETTLEMENT_POLICY`)."""


@dataclass(slots=True)
class Mood:
    """Probabilities per call."""

    lost_before: float = 0.0
    lost_after: float = 0.0
    held: float = 0.0
    refused: float = 0.0
    forgets: float = 0.0
    silent: bool = False


@dataclass(slots=True)
class SimulatedRelay:
    """See the module."""

    chain: SimulatedChain
    rng: random.Random
    mood: Mood = field(default_factory=Mood)
    cache: dict[str, tuple[float, SettleOutcome]] = field(default_factory=dict)
    sponsorings: int = 0
    hand: dict[tuple[str, int], int] = field(default_factory=dict)
    """Which hold of a sender's nonce is the newest: handing in again restarts the wait."""

    async def settle(self, order: SettleOrder) -> SettleOutcome:
        """See `Relay`."""
        identifier, now = order_identifier(order), self.chain.now()
        await asyncio.sleep(self.rng.uniform(0.01, 2.0))
        if self.mood.silent or self.rng.random() < self.mood.lost_before:
            return Unknown("no answer", reached=self.rng.random() < 0.5)
        cached = self.cache.get(identifier)
        if cached is not None and now - cached[0] < CACHE_SECONDS:
            return cached[1]
        outcome = self._settle(order)
        if not isinstance(outcome, RelayHeld | Retryable) and self.rng.random() >= self.mood.forgets:
            self.cache[identifier] = (now, outcome)
        if len(self.cache) > 4096:
            self.cache = {key: kept for key, kept in self.cache.items() if now - kept[0] < CACHE_SECONDS}
        if self.rng.random() < self.mood.lost_after:
            return Unknown("the answer was lost", reached=False)
        return outcome

    def _settle(self, order: SettleOrder) -> SettleOutcome:
        if self.rng.random() < self.mood.held:
            return self._hold(order)
        if self.rng.random() < self.mood.refused:
            return Refused("insufficient_funds", TerminalReason.INVALID_TRANSACTION, "payment_insufficient_funds")
        tx = self.chain.decode(order.transaction)
        if tx.sponsored:
            tx = self._sponsor(tx)
        if not self.chain.submit(tx):
            reason = TerminalReason.SENDER_NONCE_DUPLICATE
            return Refused("conflicting_nonce", reason, "payment_nonce_stale", may_be_ours=True)
        return Accepted(tx.txid, tx.origin)

    def _hold(self, order: SettleOrder) -> SettleOutcome:
        """Keep a sponsored payment: it is sent later without being asked for, or forgotten."""
        tx = self.chain.decode(order.transaction)
        if not tx.sponsored:
            return Retryable("http_429", 15)
        slot = tx.origin, tx.nonce
        hold = self.hand[slot] = self.hand.get(slot, 0) + 1
        if self.rng.random() < 0.7:
            pause = self.rng.uniform(1.0, HELD_SECONDS)
            asyncio.get_running_loop().call_later(pause, self._dispatch, slot, hold, order.transaction)
        return RelayHeld(() if self.rng.random() < 0.5 else (max(0, tx.nonce - 1),))

    def _dispatch(self, slot: tuple[str, int], hold: int, transaction: bytes) -> None:
        if self.hand.get(slot) == hold:
            self.chain.submit(self._sponsor(self.chain.decode(transaction)))

    def _sponsor(self, tx: Transaction) -> Transaction:
        """Every sponsoring has a txid of its own; one of them can confirm."""
        self.sponsorings += 1
        txid = hashlib.sha256(f"{tx.txid} sponsored {self.sponsorings}".encode()).hexdigest()
        return replace(tx, txid=txid)

    async def settle_status(self, txid: str) -> RelayStatus:
        """See `Relay`."""
        await asyncio.sleep(self.rng.uniform(0.005, 0.2))
        if self.mood.silent or self.rng.random() < self.mood.lost_before:
            return RelayStatus(RelayPhase.SILENT, reached=False)
        tx = self.chain.known.get(txid)
        if tx is None:
            return RelayStatus(RelayPhase.NOT_FOUND)
        if tx.block is not None:
            return RelayStatus(RelayPhase.FAILED if tx.aborts else RelayPhase.CONFIRMED, None, tx.block)
        told = txid in self.chain.mempool if self.rng.random() < 0.8 else None
        return RelayStatus(RelayPhase.PENDING, told)

    async def health(self) -> bool:
        """See `Relay`."""
        return not self.mood.silent

    async def can_sponsor(self) -> bool:
        """See `Relay`."""
        return not self.mood.silent
