"""x402 at the gate: offer, judge, reserve, settle, answer.

The order is what keeps money safe. Nothing is written before a payment is valid by its own bytes; room is reserved before
the relay is called; settlements commit an attempt before they call it; and after a payment was presented, an answer carries
payment requirements never again (a public client pays once more for every 402 that has them).
"""

import asyncio
import contextlib

from actors.view import View
from actors.wallet.commands import CreateOff, Prepare, TopUpByLink, TopUpOff
from actors.wallet.metering import MS_PER_SECOND, cost_usat
from actors.wallet.state import Phase
from gate.identity.callers import Caller
from gate.parts.services import Services
from gate.payments.answers import PAID_STATES, UP, answer
from gate.payments.explaining import note
from gate.payments.presenting import FAILED_STATES, presented, recalled, refused, verified
from gate.payments.required import RESTING, Purchase, offer
from gate.wire.means import Means
from gate.wire.outcomes import Reply
from operations.errors import SatboxError
from relay_client.models import (
    PaymentPayload,
    canonical_hash,
    decode_payment_header,
)
from relay_client.settlements import PaymentReport, Presentation
from relay_client.settlements.journal import payment_id_of
from relay_client.verify import VerifiedPayment
from sandboxes.protocol import SandboxError

REPEAT_WAIT_SECONDS = 0.5


async def buy(services: Services, means: Means, caller: Caller, purchase: Purchase) -> Reply:
    """Answer a paid request: 402 with offers when it carries no payment, otherwise what became of the payment."""
    if means.payment is None:
        if means.is_v1:
            raise SatboxError("payment_v1_unsupported")
        return await offer(services, means, purchase)
    payload = decode_payment_header(means.payment)
    payment, short = await asyncio.to_thread(verified, services, purchase.price.usat, payload)
    note(means, payment)
    presentation = _presentation(services, means, caller, purchase, payload, payment)
    before: View | None = None
    report = await recalled(services, presentation)
    if report is None:
        if short is not None:
            raise short
        # New bytes: room first, then money. Bytes seen before replay their answer whatever room there is.
        top_up = await _counted(services, caller, purchase, payment)
        try:
            before = await _prepared(services, purchase, payment)
        except SatboxError:
            await _create_off(services, purchase, payment)
            await _count_no_more(services, purchase.address, top_up)
            raise
        try:
            report = await presented(services, presentation)
        except SatboxError as error:
            if error.funds_moved is False:  # in doubt it may yet start
                await _give_room_back(services, purchase, payment)
                await _count_no_more(services, purchase.address, top_up)
            raise
        if report.state in FAILED_STATES:
            await _give_room_back(services, purchase, payment)
            await _count_no_more(services, purchase.address, top_up)
    if report.state in FAILED_STATES:
        raise refused(services, report)
    view = await _in_effect(services, purchase.address, before, report)
    return answer(services, report, view)


async def _prepared(services: Services, purchase: Purchase, payment: VerifiedPayment) -> View:
    if not purchase.wakes:
        return await services.views.get(purchase.address, fresh=True)
    rate, payment_id = purchase.price.rate_usat_per_second, payment_id_of(payment.identity)
    prepare = Prepare(purchase.purpose, purchase.plan, rate, payment_id)
    return await services.system.prepare(purchase.address, prepare)


async def _give_room_back(services: Services, purchase: Purchase, payment: VerifiedPayment) -> None:
    """A payment that came to nothing keeps no slot from those who pay, and its create changes nothing. Only what was kept for
    this payment is given back: anybody may pay for a wallet, badly too. A node that does not answer frees the slot by itself; a
    wallet that does not forgets the create when others have come.
    """
    with contextlib.suppress(SandboxError, SatboxError):
        view = await services.views.get(purchase.address)
        await services.nodes.for_wallet(view.state).release(purchase.address, payment_id_of(payment.identity))
    await _create_off(services, purchase, payment)


async def _create_off(services: Services, purchase: Purchase, payment: VerifiedPayment) -> None:
    if purchase.purpose == "create":
        with contextlib.suppress(SatboxError):
            await services.system.ask(purchase.address, CreateOff(payment_id_of(payment.identity)))


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


def _presentation(
    services: Services,
    means: Means,
    caller: Caller,
    purchase: Purchase,
    payload: PaymentPayload,
    payment: VerifiedPayment,
) -> Presentation:
    described = {"path": means.path, "body": purchase.body, "transaction": payment.identity}
    wants_confirmed = means.settle == "confirmed" or not purchase.starts_on_mempool
    # Nothing runs unpaid for longer than grace may last: a larger grant would only start it again.
    cap_seconds = services.settings.policy.grace_cap_ms // MS_PER_SECOND
    return Presentation(
        payment=payment,
        address=purchase.address,
        purpose=purchase.purpose,
        body_hash=canonical_hash(described),
        holder=_presenter(caller, purchase, payment),
        identifier=payload.identifier,
        credit_before_confirmation=purchase.wakes and services.settings.start_on_mempool and not wants_confirmed,
        grant_max_usat=cost_usat(purchase.price.rate_usat_per_second, cap_seconds),
        wakes=purchase.wakes,
    )


def _presenter(caller: Caller, purchase: Purchase, payment: VerifiedPayment) -> str | None:
    """A deposit into the payer's own bucket is presented by the payer, as a call's payment is. It starts nothing; and otherwise a
    payer without a pass could not show a payment that is on chain already because it was sent by other means.
    """
    if not purchase.wakes and payment.origin == purchase.address:
        return payment.origin
    return caller.presenter


async def _in_effect(services: Services, address: str, before: View | None, report: PaymentReport) -> View:
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
