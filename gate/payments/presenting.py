"""A payment before settlements: valid by its own bytes, presented or recalled, and what is said when that fails."""

from functools import partial

from gate.parts.services import Services
from gate.payments.status import payment_status
from operations.errors import SatboxError
from relay_client.models import (
    PaymentPayload,
)
from relay_client.settlements import PaymentReport, Presentation
from relay_client.states import PaymentState
from relay_client.verify import VerifiedPayment, verify_payment

SILENT = frozenset({"timeout", "internal", "storage_full"})
"""Errors that leave open what the other side did."""
FAILED_STATES = frozenset({PaymentState.FAILED, PaymentState.REPLACED, PaymentState.NOT_FOUND})


def verified(
    services: Services, required_usat: int, payload: PaymentPayload
) -> tuple[VerifiedPayment, SatboxError | None]:
    """The payment, and whether it is too little at today's price: that counts for new payments only, since rates change
    between a payment and its repetition.
    """
    settings = services.settings
    verify = partial(
        verify_payment,
        payload.transaction_bytes,
        accepted=payload.accepted,
        network=settings.network,
        pay_to=settings.pay_to,
        read_quote=services.read_quote,
    )
    try:
        return verify(required_usat=required_usat), None
    except SatboxError as error:
        if error.code != "payment_amount_insufficient":
            raise
        short = error
    try:
        return verify(required_usat=1), short
    except SatboxError:
        raise short from None


async def recalled(services: Services, presentation: Presentation) -> PaymentReport | None:
    """What became of these bytes before. When settlements are silent nobody knows, so nobody says that nothing moved."""
    try:
        return await services.settlements.recall(presentation)
    except SatboxError as error:
        raise in_doubt(error) from error


async def presented(services: Services, presentation: Presentation) -> PaymentReport:
    """Settle a payment; when settlements are silent, the error says that its outcome is unknown."""
    try:
        return await services.settlements.present(presentation)
    except SatboxError as error:
        raise in_doubt(error) from error


def in_doubt(error: SatboxError) -> SatboxError:
    """When settlements are silent nobody knows what became of a payment."""
    if error.code not in SILENT:
        return error
    return SatboxError(
        error.code,
        error.message,
        details=error.details,
        funds_moved="unknown",
        retry_after=error.retry_after,
        hint="Do not pay again: repeat the same request with the same payment.",
    )


def refused(services: Services, report: PaymentReport) -> SatboxError:
    """A payment that came to nothing, as the error it is answered with."""
    status = payment_status(services, report)
    return SatboxError(
        report.code or "payment_failed",
        details={
            "paymentId": report.payment_id,
            "checkStatusUrl": status.checkStatusUrl,
            "status": report.state.value,
            "reason": report.detail,
            "terminalReason": status.terminalReason,
            "nextSteps": status.nextSteps,
        },
        funds_moved=report.funds_moved,
    )
