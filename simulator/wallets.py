"""Agents of the simulated service, and what they have signed."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay_client.settlements.journal import payment_id_of
from relay_client.verify import VerifiedPayment
from simulator.chain import Transaction


@dataclass
class Wallet:
    """One agent: its address, the nonce it signs next, and what it has signed."""

    address: str
    signs: int = 0
    nonce: int = 0
    last: Signed | None = None
    signed: list[Signed] = field(default_factory=list)
    busy: bool = False
    keys: tuple[str, ...] = ()
    """Spending keys that it gave out, some revoked since."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A payment in somebody's hands."""

    payment: VerifiedPayment
    tx: Transaction
    address: str
    purpose: str

    @property
    def payment_id(self) -> str:
        """What settlements call it."""
        return payment_id_of(self.payment.identity)
