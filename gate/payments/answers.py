"""What is said of a payment: the answer to the request that brought it, and the receipt that the operator signs."""

from actors.view import View, iso, status
from actors.wallet.state import Phase
from gate.parts.services import Services
from gate.payments.required import RESTING
from gate.payments.status import payment_status
from gate.wire.outcomes import Reply
from operations.models import Receipt
from operations.sandbox import Paid
from relay_client.models import (
    SettleResult,
    encode_header,
)
from relay_client.settlements import PaymentReport
from relay_client.states import PaymentState, is_in_flight

UP = frozenset({Phase.ALIVE, Phase.GRACE})
PAID_STATES = frozenset({PaymentState.MEMPOOL, PaymentState.CONFIRMED})


def receipt_for(services: Services, report: PaymentReport, view: View) -> Receipt:
    """What the operator signs about a payment: a mempool receipt says `mempool`, nothing more."""
    return services.receipts.sign(
        {
            "kind": "settlement",
            "deployment": services.settings.deployment,
            "network": services.settings.network.caip2,
            "payment_id": report.payment_id,
            "status": report.state.value,
            "txid": report.txid,
            "payer": report.payer,
            "wallet": report.address,
            "asset": report.asset,
            "amount": str(report.atomic_amount),
            "expected_usat": str(report.expected_usat),
            "credited_usat": str(report.credited_usat),
            "journal_head": view.state.head,
            "journal_seq": view.state.seq,
            "issued_at": iso(services.clock.wall_ms()),
        }
    )


def answer(services: Services, report: PaymentReport, view: View) -> Reply:
    """The payment as it stands, the wallet after it, and the operator's word on both.

    201 with a payment that was seen and a sandbox that is up, else 202.
    A wallet that has no entry yet is shown blank: its payment is not confirmed.
    """
    is_up = view.state.phase in UP
    payment = payment_status(services, report)
    result = SettleResult(
        success=report.state in PAID_STATES,
        payer=report.payer,
        transaction=report.txid or "",
        network=services.settings.network.caip2,
    )
    paid = Paid(
        status=report.state.value,
        paymentId=report.payment_id,
        checkStatusUrl=payment.checkStatusUrl,
        payment=payment,
        sandbox=status(view, services.settings.policy, services.clock.wall_ms()),
        receipt=receipt_for(services, report, view),
        message=_message(report, view),
    )
    headers = {"payment-response": encode_header(result), **when_to_poll(report)}
    is_up = is_up or (view.state.phase is Phase.NONE and report.state is PaymentState.CONFIRMED)
    return Reply(paid, 201 if is_up and report.state in PAID_STATES else 202, headers)


def when_to_poll(report: PaymentReport) -> dict[str, str]:
    """`Retry-After` for an unconfirmed payment. One that the relay holds takes minutes."""
    if not is_in_flight(report.state):
        return {}
    return {"Retry-After": "30" if report.state is PaymentState.QUEUED else "3"}


def _message(report: PaymentReport, view: View) -> str | None:
    if view.state.phase is Phase.REAPED and view.state.reason == "start_failed":
        return "The sandbox did not start. Your credit is kept and nothing is charged; POST /sandbox/wake to try again."
    if view.state.phase in RESTING and report.state in PAID_STATES:
        return "The payment is not enough for a wake yet, or waits for its confirmation; it is credited in full."
    if report.state not in PAID_STATES:
        return "The payment is under way. Do not pay again: poll checkStatusUrl."
    return None
