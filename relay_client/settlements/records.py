"""A payment as it is kept, and as it is reported."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from operations.purposes import check_purpose
from relay_client.sink import Observation
from relay_client.states import (
    NextStep,
    PaymentState,
    TerminalReason,
    is_in_flight,
    is_retryable,
    next_step,
)
from relay_client.verify import VerifiedPayment


@dataclass(frozen=True, slots=True)
class Presentation:
    """One presenting of a verified payment.

    `address` is the beneficiary, `holder` whose pass presented it. `identifier` and `body_hash` are the client's payment
    identifier and the hash of all it came with. `credit_before_confirmation` is False under `settle=confirmed`;
    `grant_max_usat` is what the beneficiary could use of it at most before grace ends for good (None: no such limit).
    `wakes`: its sandbox may start on it. `is_bound`: its bytes pay for this body alone, since more than a credit follows.
    """

    payment: VerifiedPayment
    address: str
    purpose: str
    body_hash: str
    holder: str | None = None
    identifier: str | None = None
    credit_before_confirmation: bool = True
    grant_max_usat: int | None = None
    wakes: bool = True
    is_bound: bool = False

    def __post_init__(self) -> None:
        check_purpose(self.purpose)

    @property
    def grantable_usat(self) -> int:
        """What of it may be spent before it confirms, if its payer and the caps allow it."""
        if not self.credit_before_confirmation:
            return 0
        usat = self.payment.usat
        return usat if self.grant_max_usat is None else max(0, min(usat, self.grant_max_usat))


@dataclass(frozen=True, slots=True)
class PaymentReport:
    """Where a payment stands. `code` is the SatboxError code of a refusal or failure; amounts in usat and atomic units."""

    payment_id: str
    identity: str
    state: PaymentState
    terminal_reason: TerminalReason | None
    txid: str | None
    payer: str
    address: str
    purpose: str
    network: str
    asset: str
    atomic_amount: int
    expected_usat: int
    credited_usat: int
    granted_usat: int
    reversed_usat: int
    retryable: bool
    next_steps: NextStep | None
    code: str | None
    detail: str | None
    block_height: int | None
    confirmed_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int
    funds_moved: Literal[True, False, "unknown"]
    is_final: bool = False
    """Credited, and too deep to leave the chain."""


@dataclass(frozen=True, slots=True)
class Payment:
    """One row of `payments`: everything needed to carry on after a crash. Times are wall milliseconds."""

    payment_id: str
    identity: str
    chain_id: int
    origin: str
    nonce: int
    address: str
    purpose: str
    holder: str | None
    asset: str
    asset_wire: str
    asset_id: str | None
    pay_to: str
    amount: int
    rate_usat: int
    rate_atomic: int
    quote_id: str | None
    sponsored: int
    transaction_bytes: bytes
    body_hash: str
    state: PaymentState
    terminal_reason: TerminalReason | None
    code: str | None
    detail: str | None
    txid: str | None
    expected_usat: int
    grantable_usat: int
    granted_usat: int
    credited_usat: int
    reversed_usat: int
    reversals: int
    attempts: int
    rounds: int
    created_at_ms: int
    updated_at_ms: int
    mempool_at_ms: int | None
    seen_at_ms: int
    block_height: int | None
    confirmed_at_ms: int | None
    vanished_at_ms: int | None
    watching: int
    wakes: int
    held_until_ms: int | None
    """Until when the relay, which holds it, may still send it by itself. A wall clock's moment."""
    is_unsent: int
    """Its one call was refused for a payment that has its nonce: nobody sent it (`unsent.py`). It is watched all the same."""

    @property
    def credit_id(self) -> str:
        """What its credit and reversal go by: the payment id, or a new one once a reversed payment has come back."""
        return self.payment_id if not self.reversals else f"{self.payment_id}_{self.reversals}"

    @property
    def txid_is_local(self) -> bool:
        """Whether the bytes we hold are complete: their txid is known without asking anybody."""
        return not self.sponsored or self.sponsored == COMPLETE

    @property
    def is_forgotten(self) -> bool:
        """It ended unpaid and nobody looks for it any more, though its bytes may have come on chain since."""
        is_over = self.state is PaymentState.FAILED and self.terminal_reason is not TerminalReason.CHAIN_ABORT
        return is_over and not self.watching and not self.credited_usat and not self.reversals

    def observation(self, *, seen_at_ms: int | None = None) -> Observation:
        """What the sink is told of it."""
        return Observation(
            self.payment_id,
            self.address,
            self.origin,
            self.purpose,
            self.state.value,
            self.expected_usat,
            self.granted_usat,
            self.seen_at_ms if seen_at_ms is None else seen_at_ms,
            self.terminal_reason.value if self.terminal_reason else None,
            bool(self.wakes),
        )


SELF_PAID, WAITS_FOR_SPONSOR, COMPLETE = 0, 1, 2
COLUMNS = tuple(field.name for field in fields(Payment))


def from_row(row: tuple[Any, ...]) -> Payment:
    """A payment from a row of `SELECT COLUMNS`."""
    values = dict(zip(COLUMNS, row, strict=True))
    values["state"] = PaymentState(values["state"])
    reason = values["terminal_reason"]
    values["terminal_reason"] = None if reason is None else TerminalReason(reason)
    return Payment(**values)


def funds_moved(payment: Payment) -> Literal[True, False, "unknown"]:
    """Whether the payer's money is on its way, as far as anybody can tell."""
    if payment.credited_usat or payment.state in (PaymentState.MEMPOOL, PaymentState.CONFIRMED):
        return True
    if is_in_flight(payment.state):
        return "unknown"
    return "unknown" if payment.watching and not payment.is_unsent else False


def report_of(payment: Payment) -> PaymentReport:
    """What a caller may know of a payment. One that was given up and confirmed after all is shown as what it is: confirmed."""
    if payment.credited_usat and payment.state is not PaymentState.CONFIRMED:
        payment = replace(payment, state=PaymentState.CONFIRMED, terminal_reason=None, code=None, detail=None)
    return PaymentReport(
        payment_id=payment.payment_id,
        identity=payment.identity,
        state=payment.state,
        terminal_reason=payment.terminal_reason,
        txid=payment.txid,
        payer=payment.origin,
        address=payment.address,
        purpose=payment.purpose,
        network=f"stacks:{payment.chain_id}",
        asset=payment.asset,
        atomic_amount=payment.amount,
        expected_usat=payment.expected_usat,
        credited_usat=payment.credited_usat,
        granted_usat=payment.granted_usat if payment.state is PaymentState.MEMPOOL else 0,
        reversed_usat=payment.reversed_usat,
        retryable=is_retryable(payment.terminal_reason),
        next_steps=next_step(payment.state, payment.terminal_reason),
        code=payment.code,
        detail=payment.detail,
        block_height=payment.block_height,
        confirmed_at_ms=payment.confirmed_at_ms,
        created_at_ms=payment.created_at_ms,
        updated_at_ms=payment.updated_at_ms,
        funds_moved=funds_moved(payment),
        is_final=bool(payment.credited_usat) and not payment.watching,
    )
