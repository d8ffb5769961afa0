"""What settlements tell the wallets, and the interface they tell it through.

Messages are delivered at least once and, per payment, in order; `credit` and `reverse` must be exactly once by
`payment_id` on the other side. Returning means it is durable there: only then is a message acknowledged.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Observation:
    """A payment was seen in `state` at `seen_at_ms` (wall). `granted_usat` may be spent before it confirms."""

    payment_id: str
    address: str
    payer: str
    purpose: str
    """One of `operations.purposes`."""
    state: str
    expected_usat: int
    granted_usat: int
    seen_at_ms: int
    terminal_reason: str | None
    wakes: bool = True
    """Whether the wallet's sandbox may start on it; a payment for something else only fills the bucket."""


@dataclass(frozen=True, slots=True)
class Credit:
    """A confirmed payment: `usat` by the amount of the chain's event, whatever state was last observed.

    `payment_id` is new (`..._1`) for a payment that was reversed and came back: it is another credit.
    """

    payment_id: str
    address: str
    payer: str
    usat: int
    asset: str
    atomic_amount: int
    txid: str
    block_height: int
    confirmed_at_ms: int
    wakes: bool = True


@dataclass(frozen=True, slots=True)
class Reversal:
    """A credited payment left the chain: the `usat` of the credit with the same `payment_id` are taken back."""

    payment_id: str
    address: str
    payer: str
    usat: int
    txid: str
    reversed_at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Outage:
    """Payments could not be taken from `since_ms` on (wall); `until_ms` is None while that lasts."""

    outage_id: int
    since_ms: int
    until_ms: int | None


class CreditSink(Protocol):
    """The wallets, as settlements see them."""

    async def observe(self, observation: Observation) -> None:
        """A payment's state; a mempool observation may start a sandbox."""

    async def credit(self, credit: Credit) -> None:
        """Money in, exactly once by payment id."""

    async def reverse(self, reversal: Reversal) -> None:
        """Money back out, exactly once by payment id."""

    async def payments_unavailable(self, outage: Outage) -> None:
        """Grace must not run out over this span."""
