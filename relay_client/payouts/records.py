"""A payout as it is ordered, kept and reported."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Protocol


class PayoutState(StrEnum):
    """Where a payout stands. Only before `signing` can it be denied; from `broadcasting` on its outcome is the chain's."""

    QUEUED = "queued"
    APPROVED = "approved"
    SIGNING = "signing"
    BROADCASTING = "broadcasting"
    MEMPOOL = "mempool"
    CONFIRMED = "confirmed"
    FAILED = "failed"


S = PayoutState
MOVES: dict[PayoutState, frozenset[PayoutState]] = {
    S.QUEUED: frozenset({S.APPROVED, S.FAILED}),
    S.APPROVED: frozenset({S.SIGNING, S.FAILED}),
    S.SIGNING: frozenset({S.BROADCASTING, S.APPROVED}),
    S.BROADCASTING: frozenset({S.MEMPOOL, S.CONFIRMED, S.FAILED, S.APPROVED}),
    S.MEMPOOL: frozenset({S.CONFIRMED, S.FAILED, S.APPROVED}),
    S.CONFIRMED: frozenset(),
    S.FAILED: frozenset(),
}
"""Back to `approved` goes what certainly can't confirm any more, though nobody was paid: another used its nonce."""


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """What a wallet asks for: `atomic` units of `asset` to `recipient`. It has set `usat` aside, `fee_usat` for us."""

    payout_id: str
    address: str
    recipient: str
    asset: str
    atomic: int
    usat: int
    fee_usat: int


@dataclass(frozen=True, slots=True)
class PayoutReport:
    """One row of `payouts`. `waits_for` says what keeps it from going on; times are wall milliseconds."""

    payout_id: str
    address: str
    recipient: str
    asset: str
    atomic: int
    usat: int
    fee_usat: int
    state: PayoutState
    waits_for: str | None
    detail: str | None
    sender: str | None
    nonce: int | None
    txid: str | None
    block_height: int | None
    created_at_ms: int
    updated_at_ms: int
    approved_at_ms: int | None
    sent_at_ms: int | None
    is_told: int


COLUMNS = tuple(field.name for field in fields(PayoutReport))


def from_row(row: tuple[Any, ...]) -> PayoutReport:
    """A payout from a row of `SELECT COLUMNS`."""
    values = dict(zip(COLUMNS, row, strict=True))
    values["state"] = PayoutState(values["state"])
    return PayoutReport(**values)


@dataclass(frozen=True, slots=True)
class PayoutResult:
    """What a wallet is told at the end."""

    payout_id: str
    address: str
    is_paid: bool
    txid: str | None
    reason: str | None


class PayoutSink(Protocol):
    """The wallets, as the queue sees them. Told at least once; returning means it is durable there."""

    async def ended(self, ended: PayoutResult) -> None:
        """A payout is over."""
