"""The state machine, exhaustively: its table is small enough to be spelt out."""

from itertools import product

import pytest

from relay_client.states import (
    LEGAL_MOVES,
    OBSERVED,
    REASON_CATEGORY,
    REASON_STATE,
    IllegalMove,
    PaymentEvent,
    PaymentState,
    TerminalReason,
    check_move,
    is_in_flight,
    is_terminal,
    moves_to,
    next_step,
)

LEGAL = {
    ("queued", "queued"), ("queued", "broadcasting"), ("queued", "failed"),
    ("broadcasting", "queued"), ("broadcasting", "mempool"), ("broadcasting", "failed"),
    ("mempool", "mempool"), ("mempool", "confirmed"), ("mempool", "failed"), ("mempool", "replaced"),
}  # fmt: skip
ENDS = {"confirmed", "failed", "replaced"}
REACHABLE = {state.value: set() for state in PaymentState} | {
    "queued": {"broadcasting", "mempool", *ENDS},
    "broadcasting": {"queued", "mempool", *ENDS},
    "mempool": ENDS,
}


@pytest.mark.parametrize(("before", "after"), list(product(PaymentState, PaymentState)))
def test_only_the_moves_of_tx_schemas_are_legal(before, after):
    if (before.value, after.value) in LEGAL:
        check_move(before, after)
    else:
        with pytest.raises(IllegalMove):
            check_move(before, after)


def test_submitted_does_not_exist():
    assert "submitted" not in {state.value for state in PaymentState}
    assert len(PaymentState) == 8


@pytest.mark.parametrize(("before", "after"), list(product(PaymentState, PaymentState)))
def test_every_way_is_made_of_legal_moves(before, after):
    if before is not after and after.value not in REACHABLE[before.value]:
        with pytest.raises(IllegalMove):
            moves_to(before, after)
        return
    way = moves_to(before, after)
    here = before
    for state in way:
        check_move(here, state)
        here = state
    assert here is after


def test_a_lost_reply_that_confirmed_passes_through_the_mempool():
    assert moves_to(PaymentState.BROADCASTING, PaymentState.CONFIRMED) == (
        PaymentState.MEMPOOL,
        PaymentState.CONFIRMED,
    )
    assert moves_to(PaymentState.QUEUED, PaymentState.REPLACED) == (
        PaymentState.BROADCASTING,
        PaymentState.MEMPOOL,
        PaymentState.REPLACED,
    )


def test_terminal_states_lead_nowhere():
    assert {state for state in PaymentState if not LEGAL_MOVES[state]} == {
        state for state in PaymentState if not is_in_flight(state)
    }


def test_every_reason_has_a_category_a_state_and_a_next_step():
    for reason in TerminalReason:
        assert reason in REASON_CATEGORY
        assert is_terminal(REASON_STATE[reason])
        assert next_step(REASON_STATE[reason], reason) is not None


def test_every_observation_leads_to_a_state():
    assert set(OBSERVED) == set(PaymentEvent)


def test_next_steps_speak_the_words_clients_know():
    assert next_step(PaymentState.MEMPOOL, None) == "wait_for_confirmation"
    assert next_step(PaymentState.CONFIRMED, None) is None
    assert next_step(PaymentState.FAILED, TerminalReason.SENDER_NONCE_STALE) == "rebuild_and_resign"
    assert next_step(PaymentState.FAILED, TerminalReason.INVALID_TRANSACTION) == "fix_and_resend"
    assert next_step(PaymentState.FAILED, TerminalReason.QUEUE_UNAVAILABLE) == "retry_later"
    assert next_step(PaymentState.FAILED, TerminalReason.CHAIN_ABORT) == "rebuild_and_resign"
    assert next_step(PaymentState.REPLACED, TerminalReason.NONCE_REPLACEMENT) == "start_new_payment"
