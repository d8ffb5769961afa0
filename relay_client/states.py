"""The life of a payment in the words of @aibtc/tx-schemas: states, legal moves, reasons, and what a payer does next.

Pure. `submitted` is a word of other systems and does not exist here.

    requires_payment                       nothing was presented
    queued        -> broadcasting, failed
    broadcasting  -> queued, mempool, failed
    mempool       -> confirmed, failed, replaced
    confirmed, failed, replaced, not_found are ends
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class PaymentState(StrEnum):
    """Where a payment stands."""

    REQUIRES_PAYMENT = "requires_payment"
    QUEUED = "queued"
    BROADCASTING = "broadcasting"
    MEMPOOL = "mempool"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    REPLACED = "replaced"
    NOT_FOUND = "not_found"


class StateCategory(StrEnum):
    """What kind of state it is."""

    PRE_PAYMENT = "pre-payment"
    IN_FLIGHT = "in-flight"
    TERMINAL_SUCCESS = "terminal-success"
    TERMINAL_FAILURE = "terminal-failure"


class ReasonCategory(StrEnum):
    """Whose matter a terminal reason is."""

    VALIDATION = "validation"
    SENDER = "sender"
    RELAY = "relay"
    SETTLEMENT = "settlement"
    REPLACEMENT = "replacement"
    IDENTITY = "identity"


class TerminalReason(StrEnum):
    """Why a payment ended without success."""

    INVALID_TRANSACTION = "invalid_transaction"
    NOT_SPONSORED = "not_sponsored"
    SENDER_NONCE_STALE = "sender_nonce_stale"
    SENDER_NONCE_GAP = "sender_nonce_gap"
    SENDER_NONCE_DUPLICATE = "sender_nonce_duplicate"
    QUEUE_UNAVAILABLE = "queue_unavailable"
    SPONSOR_FAILURE = "sponsor_failure"
    BROADCAST_FAILURE = "broadcast_failure"
    CHAIN_ABORT = "chain_abort"
    INTERNAL_ERROR = "internal_error"
    SPONSOR_EXHAUSTED = "sponsor_exhausted"
    SPONSOR_NONCE_CONFLICT = "sponsor_nonce_conflict"
    ORIGIN_CHAINING_LIMIT = "origin_chaining_limit"
    BROADCAST_RATE_LIMITED = "broadcast_rate_limited"
    SENDER_HAND_EXPIRED = "sender_hand_expired"
    NONCE_REPLACEMENT = "nonce_replacement"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    UNKNOWN_PAYMENT_IDENTITY = "unknown_payment_identity"


class NextStep(StrEnum):
    """What a payer does next (the words of x402-api)."""

    REBUILD_AND_RESIGN = "rebuild_and_resign"
    RETRY_LATER = "retry_later"
    START_NEW_PAYMENT = "start_new_payment"
    FIX_AND_RESEND = "fix_and_resend"
    WAIT_FOR_CONFIRMATION = "wait_for_confirmation"


class IllegalMove(ValueError):  # noqa: N818
    """A move that tx-schemas does not know; always a bug of ours."""


_S, _C, _R, _K = PaymentState, StateCategory, TerminalReason, ReasonCategory

STATE_CATEGORY: Final[Mapping[PaymentState, StateCategory]] = {
    _S.REQUIRES_PAYMENT: _C.PRE_PAYMENT,
    _S.QUEUED: _C.IN_FLIGHT,
    _S.BROADCASTING: _C.IN_FLIGHT,
    _S.MEMPOOL: _C.IN_FLIGHT,
    _S.CONFIRMED: _C.TERMINAL_SUCCESS,
    _S.FAILED: _C.TERMINAL_FAILURE,
    _S.REPLACED: _C.TERMINAL_FAILURE,
    _S.NOT_FOUND: _C.TERMINAL_FAILURE,
}

LEGAL_MOVES: Final[Mapping[PaymentState, frozenset[PaymentState]]] = {
    _S.REQUIRES_PAYMENT: frozenset(),
    _S.QUEUED: frozenset({_S.QUEUED, _S.BROADCASTING, _S.FAILED}),
    _S.BROADCASTING: frozenset({_S.QUEUED, _S.MEMPOOL, _S.FAILED}),
    _S.MEMPOOL: frozenset({_S.MEMPOOL, _S.CONFIRMED, _S.FAILED, _S.REPLACED}),
    _S.CONFIRMED: frozenset(),
    _S.FAILED: frozenset(),
    _S.REPLACED: frozenset(),
    _S.NOT_FOUND: frozenset(),
}

REASON_CATEGORY: Final[Mapping[TerminalReason, ReasonCategory]] = {
    _R.INVALID_TRANSACTION: _K.VALIDATION,
    _R.NOT_SPONSORED: _K.VALIDATION,
    _R.SENDER_NONCE_STALE: _K.SENDER,
    _R.SENDER_NONCE_GAP: _K.SENDER,
    _R.SENDER_NONCE_DUPLICATE: _K.SENDER,
    _R.ORIGIN_CHAINING_LIMIT: _K.SENDER,
    _R.SENDER_HAND_EXPIRED: _K.SENDER,
    _R.QUEUE_UNAVAILABLE: _K.RELAY,
    _R.SPONSOR_FAILURE: _K.RELAY,
    _R.INTERNAL_ERROR: _K.RELAY,
    _R.SPONSOR_EXHAUSTED: _K.RELAY,
    _R.SPONSOR_NONCE_CONFLICT: _K.RELAY,
    _R.BROADCAST_FAILURE: _K.SETTLEMENT,
    _R.CHAIN_ABORT: _K.SETTLEMENT,
    _R.BROADCAST_RATE_LIMITED: _K.SETTLEMENT,
    _R.NONCE_REPLACEMENT: _K.REPLACEMENT,
    _R.SUPERSEDED: _K.REPLACEMENT,
    _R.EXPIRED: _K.IDENTITY,
    _R.UNKNOWN_PAYMENT_IDENTITY: _K.IDENTITY,
}

REASON_STATE: Final[Mapping[TerminalReason, PaymentState]] = {
    reason: {
        _K.REPLACEMENT: _S.REPLACED,
        _K.IDENTITY: _S.NOT_FOUND,
    }.get(category, _S.FAILED)
    for reason, category in REASON_CATEGORY.items()
}

NEXT_STEP: Final[Mapping[ReasonCategory, NextStep]] = {
    _K.VALIDATION: NextStep.FIX_AND_RESEND,
    _K.SENDER: NextStep.REBUILD_AND_RESIGN,
    _K.RELAY: NextStep.RETRY_LATER,
    _K.SETTLEMENT: NextStep.RETRY_LATER,
    _K.REPLACEMENT: NextStep.START_NEW_PAYMENT,
    _K.IDENTITY: NextStep.START_NEW_PAYMENT,
}

RETRYABLE: Final[frozenset[ReasonCategory]] = frozenset({_K.SENDER, _K.RELAY, _K.SETTLEMENT})


class PaymentEvent(StrEnum):
    """What was learnt of a payment, by whichever way."""

    PRESENTED = "presented"
    RELAY_CALLED = "relay_called"
    RELAY_HELD = "relay_held"
    RELAY_UNKNOWN = "relay_unknown"
    RELAY_REFUSED = "relay_refused"
    RELAY_ACCEPTED = "relay_accepted"
    CHAIN_PENDING = "chain_pending"
    CHAIN_SUCCESS = "chain_success"
    CHAIN_ABORTED = "chain_aborted"
    CHAIN_REPLACED = "chain_replaced"
    GIVEN_UP = "given_up"


OBSERVED: Final[Mapping[PaymentEvent, PaymentState]] = {
    PaymentEvent.PRESENTED: _S.QUEUED,
    PaymentEvent.RELAY_CALLED: _S.BROADCASTING,
    PaymentEvent.RELAY_HELD: _S.QUEUED,
    PaymentEvent.RELAY_UNKNOWN: _S.BROADCASTING,
    PaymentEvent.RELAY_REFUSED: _S.FAILED,
    PaymentEvent.RELAY_ACCEPTED: _S.MEMPOOL,
    PaymentEvent.CHAIN_PENDING: _S.MEMPOOL,
    PaymentEvent.CHAIN_SUCCESS: _S.CONFIRMED,
    PaymentEvent.CHAIN_ABORTED: _S.FAILED,
    PaymentEvent.CHAIN_REPLACED: _S.REPLACED,
    PaymentEvent.GIVEN_UP: _S.FAILED,
}


def is_terminal(state: PaymentState) -> bool:
    """Whether nothing follows this state."""
    return STATE_CATEGORY[state] in (StateCategory.TERMINAL_SUCCESS, StateCategory.TERMINAL_FAILURE)


def is_in_flight(state: PaymentState) -> bool:
    """Whether the outcome is still open."""
    return STATE_CATEGORY[state] is StateCategory.IN_FLIGHT


def check_move(before: PaymentState, after: PaymentState) -> None:
    """Raises IllegalMove unless tx-schemas allows the move."""
    if after not in LEGAL_MOVES[before]:
        raise IllegalMove(f"{before} -> {after}")


def moves_to(before: PaymentState, after: PaymentState) -> tuple[PaymentState, ...]:
    """The legal states to pass through from `before` up to and with `after`; empty when already there.

    The chain may tell more than one step at once: a payment whose reply was lost is `broadcasting` when its
    confirmation is found, and becomes `mempool`, then `confirmed`, in one transaction.
    Raises IllegalMove if no way leads.
    """
    if before is after:
        return ()
    ways: list[tuple[PaymentState, ...]] = [(before,)]
    seen = {before}
    while ways:
        way = ways.pop(0)
        for state in PaymentState:  # declaration order, so that the way is the same every time
            if state in LEGAL_MOVES[way[-1]] and state not in seen:
                if state is after:
                    return (*way[1:], state)
                seen.add(state)
                ways.append((*way, state))
    raise IllegalMove(f"{before} -> {after}")


def next_step(state: PaymentState, reason: TerminalReason | None) -> NextStep | None:
    """What the payer does now: wait, pay anew, or nothing (None: it is confirmed)."""
    if is_in_flight(state):
        return NextStep.WAIT_FOR_CONFIRMATION
    if state is PaymentState.CONFIRMED:
        return None
    if reason is TerminalReason.CHAIN_ABORT:
        return NextStep.REBUILD_AND_RESIGN  # its nonce is spent: the same bytes can never confirm
    return NextStep.START_NEW_PAYMENT if reason is None else NEXT_STEP[REASON_CATEGORY[reason]]


def is_retryable(reason: TerminalReason | None) -> bool:
    """Whether paying again, by the next step's word, can work without changing the request."""
    return reason is not None and REASON_CATEGORY[reason] in RETRYABLE
