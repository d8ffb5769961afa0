"""Errors after a payment was presented: each names the payment and says truly whether money moved.

Whatever fails, in whatever part, the error of a request passes here before it is answered. What is said is what settlements
have recorded of the payment, never what the failing part believes.
"""

import asyncio
import contextlib

import structlog

from gate.parts.services import Services
from gate.payments.status import status_url
from gate.wire.means import Means, Presented
from operations.errors import SatboxError
from relay_client.models import decode_payment_header
from relay_client.settlements import PaymentReport
from relay_client.settlements.journal import payment_id_of
from relay_client.verify import VerifiedPayment, decode_payment, identity_of

log = structlog.get_logger()
LOOK_SECONDS_MAX = 2.0
ASK = "Do not pay again: poll checkStatusUrl."
AGAIN = (
    "The payment is in your bucket here. Repeat the request with the same payment: it pays once, when it is answered."
)
ON_ITS_WAY = (
    "Do not pay again: the payment goes into your bucket here. Repeat the request with it, or poll checkStatusUrl."
)


def note(means: Means, payment: VerifiedPayment, *, is_call: bool = False) -> None:
    """The request carries this payment, which is valid by its own bytes: from here on its errors name it."""
    means.presented = Presented(payment_id_of(payment.identity), payment.identity, is_call)


def note_report(means: Means, report: PaymentReport) -> None:
    """The request is paid by an earlier payment of its payer's: that is the one to be named."""
    means.presented = Presented(report.payment_id, report.identity, is_call=True)


def note_unread(services: Services, means: Means, header: str) -> None:
    """As `note`, for a request that is refused before its payment is judged: it may have been taken by an earlier one."""
    with contextlib.suppress(SatboxError):
        payload = decode_payment_header(header)
        identity = identity_of(decode_payment(payload.transaction_bytes, services.settings.network))
        means.presented = Presented(payment_id_of(identity), identity, is_call=True)


async def explained(services: Services, means: Means, error: SatboxError) -> SatboxError:
    """The error as it is answered: with the payment, if the request brought one that is on record, or may be."""
    shown = means.presented
    if means.is_charged and error.funds_moved is False:
        error.funds_moved = True
    if shown is None:
        return error
    named = {"paymentId": shown.payment_id, "checkStatusUrl": status_url(services, shown.payment_id)}
    try:
        async with asyncio.timeout(LOOK_SECONDS_MAX):
            report = await services.settlements.report(shown.payment_id)
    except Exception as reason:  # noqa: BLE001 - whatever keeps us from looking, the error that was to be answered is answered
        log.warning("a payment was not looked up", payment_id=shown.payment_id, reason=str(reason))
        return _with(error, named, "unknown", ASK)
    if report is None or report.identity != shown.identity:  # nothing was recorded, so nothing was broadcast
        return error if error.funds_moved is False else _with(error, named, error.funds_moved, None)
    named |= {"status": report.state.value}
    if report.funds_moved is False:
        return _with(error, named, False, None)
    if not shown.is_call:
        return _with(error, named, report.funds_moved, None if "paymentId" in error.details else ASK)
    return _of_call(error, named, report)


def _of_call(error: SatboxError, named: dict[str, str], report: PaymentReport) -> SatboxError:
    """A call's payment goes into its payer's own bucket, and stays there when the call fails."""
    if error.code == "order_used":
        return _with(error, named, report.funds_moved, None)
    credit = {"creditedTo": report.address, "credited_usat": report.credited_usat}
    explained_error = _with(error, named, report.funds_moved, AGAIN if report.credited_usat else ON_ITS_WAY)
    explained_error.details |= credit
    return explained_error


def _with(error: SatboxError, named: dict[str, str], moved: bool | str, hint: str | None) -> SatboxError:
    error.details = {**error.details, **named}
    error.funds_moved = moved  # type: ignore[assignment]  # True, False or "unknown"
    error.hint = hint or error.hint
    return error
