"""A payment in the words x402 clients poll for."""

from gate.parts.services import Services
from operations.sandbox import PaymentStatus
from relay_client.settlements import PaymentReport
from relay_client.states import PaymentState


def status_url(services: Services, payment_id: str) -> str:
    """Where a payment can be asked after."""
    return f"{services.settings.public_url}/payment-status/{payment_id}"


def payment_status(services: Services, report: PaymentReport) -> PaymentStatus:
    """Where a payment stands."""
    return PaymentStatus(
        paymentId=report.payment_id,
        status=report.state.value,
        terminalReason=report.terminal_reason.value if report.terminal_reason else None,
        txid=report.txid,
        blockHeight=report.block_height,
        payer=report.payer,
        address=report.address,
        asset=report.asset,
        amount=str(report.atomic_amount),
        expected_usat=report.expected_usat,
        credited_usat=report.credited_usat,
        retryable=report.retryable,
        nextSteps=report.next_steps,
        detail=report.detail if report.state is PaymentState.QUEUED else None,
        checkStatusUrl=status_url(services, report.payment_id),
    )
