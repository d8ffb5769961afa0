"""x402 at the gate: offer, judge, reserve, settle, answer.

The order is what keeps money safe. Nothing is written before a payment is valid by its own bytes; room is reserved before
the relay is called; settlements commit an attempt before they call it; and after a payment was presented, an answer carries
payment requirements never again (a public client pays once more for every 402 that has them).
"""

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from actors.view import View, iso
from actors.wallet.commands import Prepare, TopUpByLink, TopUpOff
from actors.wallet.metering import MS_PER_SECOND, cost_usat
from actors.wallet.state import Phase, Plan
from gate.callers import Caller
from gate.handlers.sandbox import shown
from gate.offers import Offers, Price, offers_for
from gate.ports import Services
from gate.routing import REQUEST_ID, json_response
from operations import models as m
from operations.errors import SatboxError
from oracle import AssetWithheld
from relay_client.models import (
    PaymentPayload,
    PaymentRequired,
    ResourceInfo,
    SettleResult,
    canonical_hash,
    decode_payment_header,
    encode_header,
    payment_identifier_extension,
    wire_json,
)
from relay_client.offers import chosen_asset
from relay_client.settlements import PaymentReport, Presentation
from relay_client.settlements.journal import payment_id_of
from relay_client.sink import Purpose
from relay_client.states import PaymentState
from relay_client.verify import VerifiedPayment, verify_payment
from sandboxes.protocol import SandboxError

UP = frozenset({Phase.ALIVE, Phase.GRACE})
RESTING = frozenset({Phase.NONE, Phase.REAPED})
PAID_STATES = frozenset({PaymentState.MEMPOOL, PaymentState.CONFIRMED})
SILENT = frozenset({"timeout", "internal"})
"""Errors that leave open what the other side did."""
REPEAT_WAIT_SECONDS = 0.5
WITHHELD = "offers-withheld"
FAILED_STATES = frozenset({PaymentState.FAILED, PaymentState.REPLACED, PaymentState.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a paid request wants."""

    purpose: Purpose
    address: str
    price: Price
    body: dict[str, Any]
    plan: Plan | None = None
    wakes: bool = True
    """False: it fills the bucket and starts nothing."""


async def buy(services: Services, request: web.Request, caller: Caller, purchase: Purchase) -> web.StreamResponse:
    """Answer a paid request: 402 with offers when it carries no payment, otherwise what became of the payment."""
    header = request.headers.get("payment-signature")
    if header is None:
        if "X-PAYMENT" in request.headers:
            raise SatboxError("payment_v1_unsupported")
        return await _offer(services, request, purchase)
    payload = decode_payment_header(header)
    payment, short = await asyncio.to_thread(verified, services, purchase.price.usat, payload)
    presentation = _presentation(services, request, caller, purchase, payload, payment)
    before: View | None = None
    report = await recalled(services, presentation)
    if report is None:
        if short is not None:
            raise short
        # New bytes: room first, then money. Bytes seen before replay their answer whatever room there is.
        top_up = await _counted(services, caller, purchase, payment)
        try:
            before = await _prepared(services, purchase)
        except SatboxError:
            await _count_no_more(services, purchase.address, top_up)
            raise
        try:
            report = await presented(services, presentation)
        except SatboxError as error:
            if error.funds_moved is False:  # in doubt it may yet start
                await _give_room_back(services, purchase.address)
                await _count_no_more(services, purchase.address, top_up)
            raise
        if report.state in FAILED_STATES:
            await _give_room_back(services, purchase.address)
            await _count_no_more(services, purchase.address, top_up)
    if report.state in FAILED_STATES:
        raise refused(services, report)
    try:
        view = await _settled(services, purchase.address, before, report)
    except SatboxError as error:
        raise _unanswered(services, report, error) from error
    return _answer(services, request, report, view)


async def _prepared(services: Services, purchase: Purchase) -> View:
    if not purchase.wakes:
        return await services.views.get(purchase.address, fresh=True)
    prepare = Prepare(purchase.purpose, purchase.plan, purchase.price.rate_usat_per_second)
    return await services.system.prepare(purchase.address, prepare)


async def _give_room_back(services: Services, address: str) -> None:
    """A payment that came to nothing keeps no slot from those who pay; a node that does not answer frees it by itself."""
    with contextlib.suppress(SandboxError):
        await services.node.release(address)


async def _counted(services: Services, caller: Caller, purchase: Purchase, payment: VerifiedPayment) -> str | None:
    """A payment through a wake link counts before it is presented, so that many at once stay within the link's cap together.
    Should we end before it is presented, it counts for a day at most. The payment's id, when there is a link.
    """
    if caller.link is None:
        return None
    payment_id = payment_id_of(payment.identity)
    await services.system.ask(purchase.address, TopUpByLink(caller.link.token_hash, payment_id, payment.usat))
    return payment_id


async def _count_no_more(services: Services, address: str, payment_id: str | None) -> None:
    if payment_id is not None:
        with contextlib.suppress(SatboxError):
            await services.system.ask(address, TopUpOff(payment_id))


async def recalled(services: Services, presentation: Presentation) -> PaymentReport | None:
    """What became of these bytes before. When settlements are silent nobody knows, so nobody says that nothing moved."""
    try:
        return await services.settlements.recall(presentation)
    except SatboxError as error:
        raise _in_doubt(error) from error


async def presented(services: Services, presentation: Presentation) -> PaymentReport:
    """Settle a payment; when settlements are silent, the error says that its outcome is unknown."""
    try:
        return await services.settlements.present(presentation)
    except SatboxError as error:
        raise _in_doubt(error) from error


def _in_doubt(error: SatboxError) -> SatboxError:
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


def _unanswered(services: Services, report: PaymentReport, error: SatboxError) -> SatboxError:
    """The payment went its way, but its wallet cannot be shown."""
    status = payment_status(services, report)
    details = {"paymentId": report.payment_id, "checkStatusUrl": status.checkStatusUrl, "status": report.state.value}
    return SatboxError(
        error.code,
        error.message,
        details={**error.details, **details},
        funds_moved=report.funds_moved,
        retry_after=error.retry_after,
        hint="Do not pay again: poll checkStatusUrl.",
    )


async def _offer(services: Services, request: web.Request, purchase: Purchase) -> web.StreamResponse:
    """402: header and body carry the same document, so that every known client finds it."""
    view = await services.views.get(purchase.address)
    if purchase.wakes and view.state.phase in RESTING:
        await services.room.check(purchase.plan.size_class if purchase.plan else view.state.plan.size_class)
    only = chosen_asset(
        services.settings.network, request.query.get("tokenType"), request.headers.get("X-PAYMENT-TOKEN-TYPE")
    )
    made = await offers_for(services, purchase.price, only)
    if not made.offers:
        asset, why = next(iter(made.not_offered.items()))
        raise AssetWithheld(asset, why)
    required = _required(services, request, purchase, made)
    return web.json_response(
        wire_json(required),
        status=402,
        headers={"payment-required": encode_header(required), "x-request-id": request[REQUEST_ID]},
    )


def _required(services: Services, request: web.Request, purchase: Purchase, made: Offers) -> PaymentRequired:
    reason = f"Pay to {purchase.purpose} the sandbox of {purchase.address}."
    description = f"{purchase.price.seconds} seconds of a satbox sandbox"
    if not purchase.wakes:
        reason = f"Pay into the bucket of {purchase.address}."
        description = f"{purchase.price.usat // 1_000_000} sats in a satbox bucket"
    if made.not_offered:
        reason += " Not offered now: " + "; ".join(f"{asset}: {why}" for asset, why in made.not_offered.items())
    return PaymentRequired(
        error=reason,
        resource=ResourceInfo(
            url=f"{services.settings.public_url}{request.path}",
            description=description,
            mimeType="application/json",
        ),
        accepts=[offer.requirements(rate_usat_per_second=purchase.price.rate_usat_per_second) for offer in made.offers],
        extensions={**payment_identifier_extension(), **withheld_extension(made)},
    )


def withheld_extension(made: Offers) -> dict[str, Any]:
    """How a 402 says for machines which assets are missing and why; nothing when none is."""
    if not made.not_offered:
        return {}
    info = {asset: {"code": why.code, "message": why.message} for asset, why in made.not_offered.items()}
    return {WITHHELD: {"info": info}}


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


def _presentation(
    services: Services,
    request: web.Request,
    caller: Caller,
    purchase: Purchase,
    payload: PaymentPayload,
    payment: VerifiedPayment,
) -> Presentation:
    described = {"path": request.path, "body": purchase.body, "transaction": payment.identity}
    wants_confirmed = request.query.get("settle") == "confirmed"
    # Nothing runs unpaid for longer than grace may last: a larger grant would only start it again.
    cap_seconds = services.settings.policy.grace_cap_ms // MS_PER_SECOND
    return Presentation(
        payment=payment,
        address=purchase.address,
        purpose=purchase.purpose,
        body_hash=canonical_hash(described),
        holder=caller.presenter,
        identifier=payload.identifier,
        credit_before_confirmation=purchase.wakes and services.settings.start_on_mempool and not wants_confirmed,
        grant_max_usat=cost_usat(purchase.price.rate_usat_per_second, cap_seconds),
        wakes=purchase.wakes,
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


async def _settled(services: Services, address: str, before: View | None, report: PaymentReport) -> View:
    """The wallet once this payment has had its effect, or when the wait is over. A repetition (no `before`) waits for a
    start under way, not for an effect that it may have had long ago.
    """
    view = await services.views.get(address, fresh=True)
    if report.state not in PAID_STATES:
        return view
    began_ms = services.clock.monotonic_ms()
    while not _has_taken_effect(view, before, report.payment_id):
        is_idle_repeat = before is None and view.state.phase in RESTING
        wait_seconds = REPEAT_WAIT_SECONDS if is_idle_repeat else services.settings.start_wait_seconds
        left = wait_seconds - (services.clock.monotonic_ms() - began_ms) / 1000
        if left <= 0:
            break
        view = await services.system.wait(address, view.state.version, left)
    return services.views.put(view)


def _has_taken_effect(view: View, before: View | None, payment_id: str) -> bool:
    state = view.state
    if state.phase is Phase.STARTING or state.phase is Phase.STOPPING:
        return False
    if any(pending.payment_id == payment_id for pending in state.pending):
        return True
    is_credited = before is not None and state.accounts.deposits != before.state.accounts.deposits
    return is_credited or state.phase in UP


def payment_status(services: Services, report: PaymentReport) -> m.PaymentStatus:
    """A payment in the words x402 clients poll for."""
    return m.PaymentStatus(
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
        checkStatusUrl=f"{services.settings.public_url}/payment-status/{report.payment_id}",
    )


def receipt_for(services: Services, report: PaymentReport, view: View) -> m.Receipt:
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


def _answer(services: Services, request: web.Request, report: PaymentReport, view: View) -> web.StreamResponse:
    is_up = view.state.phase in UP
    payment = payment_status(services, report)
    result = SettleResult(
        success=report.state in PAID_STATES,
        payer=report.payer,
        transaction=report.txid or "",
        network=services.settings.network.caip2,
    )
    paid = m.Paid(
        status=report.state.value,
        paymentId=report.payment_id,
        checkStatusUrl=payment.checkStatusUrl,
        payment=payment,
        sandbox=shown(services, view),
        receipt=receipt_for(services, report, view),
        message=_message(report, view),
    )
    headers = {"payment-response": encode_header(result), "x-request-id": request[REQUEST_ID]}
    is_up = is_up or (view.state.phase is Phase.NONE and report.state is PaymentState.CONFIRMED)
    return json_response(paid, 201 if is_up else 202, headers)


def _message(report: PaymentReport, view: View) -> str | None:
    if view.state.phase is Phase.REAPED and view.state.reason == "start_failed":
        return "The sandbox did not start. Your credit is kept and nothing is charged; POST /sandbox/wake to try again."
    if view.state.phase in RESTING and report.state in PAID_STATES:
        return "The payment is not enough for a wake yet, or waits for its confirmation; it is credited in full."
    if report.state not in PAID_STATES:
        return "The payment is under way. Do not pay again: poll checkStatusUrl."
    return None
