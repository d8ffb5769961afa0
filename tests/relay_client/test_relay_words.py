"""Every word the relay is known to say (protocols 1.4, 1.5, 1.17, 2.2, 2.4, 2.5), and words it is not known to say.

One row a word: which of the three kinds of outcome it is, whose matter, and what the payer is told: code, next step, whether
funds moved. Each row is read alone, and settled over HTTP as well.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from payment_builders import sbtc_payment

from operations.errors import ERRORS
from relay_client.http import JsonResponse
from relay_client.relay import (
    RETRY_SECONDS_MAX,
    Refused,
    RelayHeld,
    RelayPhase,
    Retryable,
    Unable,
    Unknown,
    read_settlement,
    read_status,
)
from relay_client.states import REASON_CATEGORY, REASON_STATE, ReasonCategory, TerminalReason, is_retryable, next_step

REFUSED, RETRYABLE, UNKNOWN = Refused, Retryable, Unknown


@dataclass(frozen=True)
class Word:
    """One row. `funds_moved` and `state` are what the payer hears at once, when these bytes were never called before."""

    kind: type
    state: str
    funds_moved: Any
    code: str | None = None
    category: str | None = None
    next_step: str = "wait_for_confirmation"


def refused(code: str, category: str = "validation", next_step: str = "fix_and_resend", moved: Any = False) -> Word:
    return Word(Refused, "failed", moved, code, category, next_step)


HELD = Word(RelayHeld, "queued", "unknown")
OPEN = Word(Unknown, "broadcasting", "unknown")
# "unknown" for a nonce that is taken: it may be taken by these very bytes, sent by somebody else.
STALE = refused("payment_nonce_stale", "sender", "rebuild_and_resign", "unknown")

SETTLE_WORDS: dict[str, Word] = {
    "insufficient_funds": refused("payment_insufficient_funds"),
    "invalid_network": refused("payment_wrong_network"),
    "invalid_payload": refused("payment_refused"),
    "invalid_payment_requirements": refused("payment_refused"),
    "invalid_scheme": refused("payment_refused"),
    "unsupported_scheme": refused("payment_wrong_asset"),
    "unrecognized_asset": refused("payment_wrong_asset"),
    "invalid_x402_version": refused("payment_refused"),
    "invalid_transaction_state": refused("payment_refused"),
    "unexpected_verify_error": OPEN,
    "unexpected_settle_error": OPEN,
    "recipient_mismatch": refused("payment_wrong_recipient"),
    "amount_insufficient": refused("payment_amount_insufficient"),
    "sender_mismatch": refused("payment_sender_mismatch"),
    "transaction_not_found": OPEN,
    "transaction_pending": OPEN,
    "transaction_failed": refused("payment_failed", "settlement", "rebuild_and_resign", "unknown"),
    "broadcast_failed": OPEN,
    "conflicting_nonce": STALE,
    "payment_identifier_conflict": OPEN,
    "payment_identifier_required": OPEN,
    "client_insufficient_funds": refused("payment_insufficient_funds"),
    "client_bad_nonce": STALE,
    "signature_validation_failed": refused("payment_signature_invalid"),
    "transaction_held": HELD,
}
"""protocols 1.4, "all v2 error strings known to the relay"; outcomes by 1.17."""

RPC_WORDS = [
    "INVALID_TRANSACTION", "NOT_SPONSORED", "SENDER_NONCE_STALE", "SENDER_NONCE_DUPLICATE", "SENDER_NONCE_GAP",
    "NONCE_CONFLICT", "SPONSOR_NONCE_STALE", "SPONSOR_NONCE_DUPLICATE", "BROADCAST_FAILED", "TX_BROADCAST_ERROR",
    "SETTLEMENT_FAILED", "INTERNAL_ERROR", "INSUFFICIENT_FUNDS", "CLIENT_NONCE_CONFLICT", "CLIENT_BAD_NONCE",
    "TOO_MUCH_CHAINING", "SPONSOR_EXHAUSTED", "ORIGIN_CHAINING_LIMIT", "BROADCAST_RATE_LIMITED",
    "SENDER_HAND_EXPIRED", "NONCE_OCCUPIED", "PAYMENT_IDENTIFIER_CONFLICT",
]  # fmt: skip
"""protocols 2.5: of a surface we do not call. If /settle ever says one, the careful reading is the right one."""

STRANGE_WORDS = ["a word of tomorrow", "", "success", "submitted", "TRANSACTION_HELD", "x" * 10_000, "\u202e"]

CATEGORIES: dict[str, tuple[str, str, bool]] = {
    # category: (what the payer does next, in x402-api's words; the state it ends in; may the same be tried again)
    "validation": ("fix_and_resend", "failed", False),
    "sender": ("rebuild_and_resign", "failed", True),
    "relay": ("retry_later", "failed", True),
    "settlement": ("retry_later", "failed", True),
    "replacement": ("start_new_payment", "replaced", False),
    "identity": ("start_new_payment", "not_found", False),
}
REASONS: dict[str, str] = {
    "validation": "invalid_transaction not_sponsored",
    "sender": "sender_nonce_stale sender_nonce_gap sender_nonce_duplicate origin_chaining_limit sender_hand_expired",
    "relay": "queue_unavailable sponsor_failure internal_error sponsor_exhausted sponsor_nonce_conflict",
    "settlement": "broadcast_failure chain_abort broadcast_rate_limited",
    "replacement": "nonce_replacement superseded",
    "identity": "expired unknown_payment_identity",
}


def said(reason: Any, status: int = 200) -> JsonResponse:
    return JsonResponse(status, {"success": False, "errorReason": reason, "transaction": "", "network": "stacks:1"})


def test_the_kinds_are_types_of_their_own():
    kinds = {Refused, Retryable, RelayHeld, Unable, Unknown}
    assert not any(issubclass(one, other) for one in kinds for other in kinds if one is not other)


@pytest.mark.parametrize("word", SETTLE_WORDS)
def test_every_word_of_settle_is_of_one_kind(word):
    row, outcome = SETTLE_WORDS[word], read_settlement(said(word))
    assert type(outcome) is row.kind
    if isinstance(outcome, Refused):
        assert (outcome.code, outcome.category) == (row.code, row.category)
        assert outcome.code in ERRORS
        assert (row.funds_moved == "unknown") is outcome.may_be_ours


@pytest.mark.parametrize("word", [*RPC_WORDS, *STRANGE_WORDS])
@pytest.mark.parametrize("status", [200, 400, 404, 500, 502, 503])
def test_a_word_we_do_not_know_leaves_the_outcome_open(word, status):
    if not word and status == 404:
        pytest.skip("an answer without a word is no relay's")
    assert isinstance(read_settlement(said(word, status)), Unknown)


@pytest.mark.parametrize("word", SETTLE_WORDS)
@pytest.mark.parametrize("status", [500, 502, 503])
def test_no_word_of_a_server_error_is_final(word, status):
    outcome = read_settlement(said(word, status))
    assert not isinstance(outcome, Refused)


@pytest.mark.parametrize("word", SETTLE_WORDS)
async def test_every_word_settled(bench, word):
    row = SETTLE_WORDS[word]
    await bench.fault("relay_error", error_reason=word, count=1)
    report = await bench.present(sbtc_payment(sponsored=True))
    heard = (report.state.value, report.funds_moved, report.code, report.next_steps)
    assert heard == (row.state, row.funds_moved, row.code, row.next_step)
    assert report.credited_usat == 0
    # Said once, by a relay that then does its work: what is not final gets there, what is final stays.
    await bench.pass_time(90, step_seconds=2, mining=True)
    report = await bench.settlements.report(report.payment_id)
    if row is HELD:  # said without a queue, so nothing tells that it waits for no gap
        assert report.state == "queued"
        return
    ended = "failed" if row.kind is Refused else "confirmed"
    assert (report.state.value, report.credited_usat) == (ended, 0 if row.kind is Refused else 250_000_000)


@pytest.mark.parametrize("word", ["a word of tomorrow", *RPC_WORDS[:3]])
async def test_a_word_we_do_not_know_settled(bench, word):
    await bench.fault("relay_error", error_reason=word, count=1)
    report = await bench.present(sbtc_payment(sponsored=True))
    assert (report.state.value, report.funds_moved, report.next_steps) == (OPEN.state, "unknown", OPEN.next_step)
    assert (await bench.confirmed(report.payment_id)).credited_usat == 250_000_000


def test_the_table_of_reasons_is_that_of_tx_schemas():
    written = {reason: category for category, reasons in REASONS.items() for reason in reasons.split()}
    assert written == {reason.value: category.value for reason, category in REASON_CATEGORY.items()}
    assert set(CATEGORIES) == {category.value for category in ReasonCategory}


@pytest.mark.parametrize("reason", list(TerminalReason))
def test_every_reason_says_what_to_do_next(reason):
    step, state, again = CATEGORIES[REASON_CATEGORY[reason].value]
    if reason is TerminalReason.CHAIN_ABORT:
        step = "rebuild_and_resign"  # its nonce is spent: the same bytes can never confirm
    assert (next_step(REASON_STATE[reason], reason), REASON_STATE[reason], is_retryable(reason)) == (step, state, again)


# /settle/status


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("broadcast", RelayPhase.PENDING),
        ("pending", RelayPhase.PENDING),
        ("confirmed", RelayPhase.CONFIRMED),
        ("failed", RelayPhase.FAILED),
        ("a word of tomorrow", RelayPhase.SILENT),
        (None, RelayPhase.SILENT),
        (["pending"], RelayPhase.SILENT),
    ],
)
def test_every_word_of_settle_status(word, phase):
    assert read_status(JsonResponse(200, {"success": True, "status": word})).phase is phase
    assert read_status(JsonResponse(500, {"success": True, "status": word})).phase is RelayPhase.SILENT
    assert (
        read_status(JsonResponse(404, {"success": False, "error": "Settlement not found"})).phase
        is RelayPhase.NOT_FOUND
    )


# When to come again


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (JsonResponse(429, None), 10),
        (JsonResponse(429, None, 42), 42),
        (JsonResponse(429, {"retryAfter": 7}), 7),
        (JsonResponse(429, {"retryAfter": -1}), 1),
        (JsonResponse(429, {"retryAfter": True}), 10),
        (JsonResponse(429, {"retryAfter": 10**12}, None), RETRY_SECONDS_MAX),
        (JsonResponse(503, {}, 33), 33),
        (JsonResponse(503, {}), None),
    ],
)
def test_when_to_come_again_is_read_and_bounded(answer, seconds):
    assert read_settlement(answer).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ({"kind": "hold_nonce"}, 15),
        ({"kind": "rate_limit", "routes": "relay", "path": "/settle", "seconds": 40}, 40),
    ],
)
async def test_the_relay_is_not_asked_again_before_it_said(bench, fault, seconds):
    await bench.fault(**fault)
    report = await bench.present(sbtc_payment(sponsored=True))
    assert report.state.value == "queued"

    async def attempts() -> int:
        (number,) = await bench.store.run(lambda db: db.execute("SELECT attempts FROM payments").fetchone())
        return number

    await bench.pass_time(seconds - 1)
    assert await attempts() == 1
    await bench.pass_time(seconds * 0.25 + 30)
    assert await attempts() >= 2


async def test_every_resend_is_the_same_bytes(bench):
    """Whatever the relay says in between, what it is asked to broadcast never changes."""
    tx = sbtc_payment(sponsored=True)
    for fault in (
        {"kind": "drop_reply", "routes": "relay", "path": "/settle", "count": 2},
        {"kind": "relay_error", "error_reason": "broadcast_failed", "count": 2},
        {"kind": "hold_nonce", "count": 2},
    ):
        await bench.fault(**fault)
    report = await bench.present(tx)
    await bench.pass_time(120, step_seconds=2)
    assert len(bench.settle_bodies) >= 4
    transactions = {body["paymentPayload"]["payload"]["transaction"] for body in bench.settle_bodies}
    assert transactions == {tx.serialize().hex()}
    assert (await bench.confirmed(report.payment_id)).credited_usat == 250_000_000


# Relays that sponsor nothing, or are none


NO_RELAY = [
    JsonResponse(status, body) for status in (403, 404, 410, 530) for body in (None, {}, {"error": "Not found"})
]


@pytest.mark.parametrize("answer", [*NO_RELAY, said("sponsored_unsupported", 422), said("sponsored_unsupported")])
def test_a_relay_that_cannot_sponsor_has_broadcast_nothing(answer):
    assert isinstance(read_settlement(answer), Unable)


@pytest.mark.parametrize(
    ("word", "status"), [("sponsored_unsupported", 422), ("", 404), ("", 410), ("", 403), ("", 530)]
)
async def test_a_sponsored_payment_nobody_sponsors_is_refused_at_once(bench, word, status):
    await bench.fault("relay_error", error_reason=word, status=status)
    report = await bench.present(sbtc_payment(sponsored=True))
    heard = (report.state.value, report.code, report.funds_moved, report.terminal_reason, report.next_steps)
    assert heard == ("failed", "sponsored_unsupported", False, "not_sponsored", "fix_and_resend")
    # The same nonce with a fee of its own goes to a node without the relay.
    paid = await bench.present(sbtc_payment())
    assert (paid.state.value, paid.funds_moved) == ("mempool", True)
    assert (await bench.confirmed(paid.payment_id)).credited_usat == 250_000_000


async def test_what_may_have_been_broadcast_is_not_refused_because_the_relay_went_away(bench):
    await bench.fault("drop_reply", routes="relay", path="/settle", count=1)
    report = await bench.present(sbtc_payment(sponsored=True))
    await bench.fault("relay_error", error_reason="", status=404)
    await bench.fault("down", routes="stacks", mode="503")
    await bench.post("/devnet/faults", {"kind": "forget_caches"})
    await bench.pass_time(30)
    report = await bench.settlements.report(report.payment_id)
    assert (report.state.value, report.funds_moved) == ("broadcasting", "unknown")
    await bench.heal()
    assert (await bench.confirmed(report.payment_id)).credited_usat == 250_000_000
