"""Where strangers are let in to a port: by its owner's routes, paid or free, and where what they pay is set aside.

The order is what keeps money safe: a path that could be read in two ways goes nowhere; a signature is checked before any wallet
is asked; money is set aside before the server inside hears of the call; it is paid when that server has answered, before the
caller has a byte of the answer; and a call that fails costs nothing.
"""

import asyncio
import contextlib
import itertools
import secrets

from aiohttp import web

from actors.view import View
from actors.wallet.calls import Route
from actors.wallet.decide_runtime import DESTROYED
from gate.callers import Caller
from gate.calls.exposure import Exposure
from gate.calls.guest import Call, Guest, by_order, by_payment
from gate.calls.matching import route_for
from gate.calls.offering import PURPOSE, WAKE, offer_call, offer_wake, wake_price
from gate.calls.order_log import Held, OrderLog
from gate.calls.paths import called_path
from gate.calls.rates import CallRates
from gate.calls.till import Till
from gate.calls.used_orders import ANSWERED_WITHIN_MS
from gate.calls.waking import ASLEEP, Wakers
from gate.crowd import Crowd, peer_of
from gate.payment_required import Purchase
from gate.payment_status import payment_status
from gate.paywall import buy
from gate.ports import Services
from gate.presented import note, note_report, note_unread
from gate.presenting import FAILED_STATES, in_doubt, presented, recalled, refused, verified
from gate.routing import REQUEST_ID, json_response
from operations.errors import SatboxError
from relay_client.models import PaymentPayload, canonical_hash, decode_payment_header
from relay_client.orders import SignedOrder, read_order, verify_order
from relay_client.settlements import PaymentReport, Presentation
from relay_client.states import PaymentState
from relay_client.verify import VerifiedPayment

CONFIRM_PAUSE_SECONDS = 0.25
WAITING_MAX = 32
"""Calls of one seller that wait for a confirmation, one for each payment: fewer than may arrive at once (`serve`), so that who
waits, or shows one payment many times, keeps nobody else out. A call without a place is answered 202 at once.
"""


class Desk:
    """One gate's."""

    def __init__(self, services: Services, orders: OrderLog) -> None:
        self._services = services
        self._run_id = f"{orders.gate_id}_{secrets.token_hex(6)}"
        self._attempts = itertools.count(1)
        self._rates = CallRates()
        self.till = Till(services.system, services.clock, orders)
        self.wakers = Wakers(services)
        usat = services.settings.call_unconfirmed_sats_max * 1_000_000
        self._waiting, self._waiting_payments = Crowd(WAITING_MAX), Crowd(1)
        self._exposure = Exposure(services.settlements.report, services.clock, usat)

    async def admit(
        self, request: web.Request, view: View, port: int, target: str, caller: str | None, request_id: str
    ) -> Guest | web.StreamResponse:
        """The guest, or the answer that ends it here: a 402, or a payment that is still under way. `caller`: the address of
        the pass that the request carries. Raises not_found for whoever may not: a wallet that is not there looks the same.
        """
        request[REQUEST_ID] = request_id
        found = route_for(view.state.routes, port, request.method, target)
        if found is None:
            raise SatboxError("not_found")
        number = view.state.routes.index(found)
        call = Call(view.state.address, port, request.method, f"{request.method} {called_path(request)}", found, number)
        header = request.headers.get("payment-signature")
        if header is None and "X-PAYMENT" in request.headers:
            raise SatboxError("payment_v1_unsupported")
        if found.callers == "holders" or (found.callers == "genesis" and caller is None):
            raise SatboxError("not_found")
        if view.state.phase in ASLEEP and (not found.wakes or view.state.reason == DESTROYED):
            # Before anybody is asked to pay for what will not answer, or takes a payment for it.
            if header is not None and found.sats:
                await asyncio.to_thread(note_unread, self._services, request, header)
            raise SatboxError("sandbox_reaped", details={"reason": view.state.reason})
        if not found.sats:
            _check_listed(found, caller)
            self._limit(call, caller or peer_of(request.remote))
            answer = await self._asleep(request, view, found, header, caller, request_id)
            return answer if answer is not None else Guest(call, caller)
        if header is None:
            self._limit(call, caller or peer_of(request.remote))
            answer = await self._asleep(request, view, found, None, caller, request_id)
            return answer if answer is not None else await offer_call(self._services, request, call, request_id, caller)
        order = read_order(header)
        if order is not None:
            return await self._by_order(call, order)
        payload = decode_payment_header(header)
        if payload.accepted_extra.get(PURPOSE) == WAKE and found.wakes:
            return await self._pay_wake(request, view, caller)
        return await self._by_payment(request, call, payload, request_id)

    def _limit(self, call: Call, who: str) -> None:
        key = (call.payee, call.route_number, who)
        self._rates.take(key, call.route.rate_per_minute, self._services.clock.monotonic_ms())

    # Asleep

    async def _asleep(
        self, request: web.Request, view: View, route: Route, header: str | None, caller: str | None, request_id: str
    ) -> web.StreamResponse | None:
        """What a call to a sandbox that sleeps without credit is answered, when its route would wake it."""
        state = view.state
        if state.phase not in ASLEEP or not state.is_planned or not route.wakes:
            return None
        price = wake_price(self._services, state.rate_usat_per_second, state.accounts.debt_usat)
        least = state.rate_usat_per_second * self._services.settings.policy.wake_minimum_seconds
        if not state.accounts.owed and state.accounts.bucket >= max(1, least):
            return None
        if header is not None:
            return await self._pay_wake(request, view, caller)
        if any(pending.wakes for pending in state.pending):
            raise SatboxError("sandbox_starting", retry_after=2)  # one payment is on its way: nobody is to pay a second
        return await offer_wake(self._services, request, state.address, price, request_id)

    async def _pay_wake(self, request: web.Request, view: View, caller: str | None) -> web.StreamResponse:
        """A caller with a pass pays as for a gift, and the pass answers for it. Keys without one are made for nothing: they
        answer under one name for all of a wallet's, and start nothing before they have paid.
        """
        state, settings = view.state, self._services.settings
        price = wake_price(self._services, state.rate_usat_per_second, state.accounts.debt_usat)
        payer = Caller(None, answers_as=caller or f"{state.address}.wake-calls")
        may_start = caller is not None or settings.wake_calls_on_mempool
        purchase = Purchase(WAKE, state.address, price, {WAKE: True}, starts_on_mempool=may_start)
        return await buy(self._services, request, payer, purchase)

    # Paid

    async def _by_order(self, call: Call, signed: SignedOrder) -> Guest:
        services = self._services
        settings = services.settings
        order_id = verify_order(
            signed, network=settings.network, deployment=settings.deployment, payee=call.payee,
            resource=call.resource, sats=call.route.sats, wall_ms=services.clock.wall_ms(),
        )  # fmt: skip
        payer = signed.order.payer
        _check_listed(call.route, payer)
        self._limit(call, payer)
        # Judged when it comes: were it judged once more at its answer, a payer could have the work and let the order run out.
        until_ms = signed.order.expires_at * 1000 + ANSWERED_WITHIN_MS
        held = Held(order_id, payer, call.payee, call.usat, until_ms, call.resource)
        await self.till.hold(held)
        return by_order(services, self.till, call, held)

    async def _by_payment(
        self, request: web.Request, call: Call, payload: PaymentPayload, request_id: str
    ) -> Guest | web.StreamResponse:
        services = self._services
        payment, short = await asyncio.to_thread(verified, services, call.usat, payload)
        note(request, payment, is_call=True)
        payer = payment.origin
        _check_listed(call.route, payer)
        if payer == call.payee:
            raise SatboxError("order_invalid", details={"reason": "payer and payee are one"}, funds_moved=False)
        self._limit(call, payer)
        presentation = _presentation(call, payload, payment)
        report = await recalled(services, presentation)
        if report is None:
            if short is not None:
                raise short
            report = await self._from_spare(call, presentation)
            if report is not None:
                note_report(request, report)
            else:
                report = await presented(services, presentation)
        if report.state in FAILED_STATES:
            raise refused(services, report)
        if report.expected_usat < call.usat:  # the price has risen since; what it was worth is in the payer's bucket
            raise SatboxError(
                "payment_amount_insufficient", details={"paymentId": report.payment_id}, funds_moved=report.funds_moved
            )
        report = await self._ready(call, report)
        if report.state in FAILED_STATES:
            raise refused(services, report)
        if not await self._may_answer(call, report):
            headers = {"Retry-After": "3", "x-request-id": request_id}
            return json_response(payment_status(services, report), 202, headers)
        order_id = f"call_{report.payment_id}"
        self.till.take(order_id)
        try:
            # One hop, for calls paid on chain alone: any gate, at any time, may be shown what another has forwarded already.
            is_used = await services.system.has_order(payer, order_id)
        except BaseException:
            self.till.forget(order_id)
            raise
        if is_used:
            raise SatboxError("order_used", funds_moved=report.funds_moved)
        attempt_id = f"{self._run_id}.p{next(self._attempts)}"
        return by_payment(services, self.till, self._exposure, call, report, attempt_id)

    async def _from_spare(self, call: Call, presentation: Presentation) -> PaymentReport | None:
        """The payer's earlier payment whose call failed: it pays for this one, and the new payment is not sent."""
        services, payer = self._services, presentation.payment.origin
        try:
            report = await services.settlements.claim_spare(presentation, call.usat)
            if report is None or report.state is not PaymentState.CONFIRMED:
                return report
            if not await services.settlements.is_told(payer, report.payment_id):
                return report  # its credit is on its way; what is promised on it is paid before anything else
        except SatboxError as error:
            raise in_doubt(error) from error
        view = await services.views.get(payer, fresh=True)
        is_used = await services.system.has_order(payer, f"call_{report.payment_id}")
        if not is_used and view.state.accounts.bucket < call.usat:
            await services.settlements.drop_spare(payer, report.payment_id)
            raise SatboxError(
                "credit_insufficient", "The credit of your earlier call was spent otherwise.", funds_moved=False,
                hint="Nothing was sent: repeat without payment for a new offer, and sign a new payment.",
            )  # fmt: skip
        return report

    async def _may_answer(self, call: Call, report: PaymentReport) -> bool:
        """Whether it is paid, or its seller takes the risk and has not taken too much of it."""
        if report.state is PaymentState.CONFIRMED:
            return True
        is_small = call.route.sats <= self._services.settings.call_mempool_sats_max
        if report.state is not PaymentState.MEMPOOL or call.route.deliver_on != "mempool" or not is_small:
            return False
        return await self._exposure.take(call.payee, report.payment_id, call.usat)

    async def _ready(self, call: Call, report: PaymentReport) -> PaymentReport:
        """The payment once it may be answered for, or when the wait is over."""
        if report.state in FAILED_STATES or await self._may_answer(call, report):
            return report
        with contextlib.ExitStack() as places:
            try:
                places.enter_context(self._waiting_payments.entered(report.payment_id))
                places.enter_context(self._waiting.entered(call.payee))
            except SatboxError:
                return report
            return await self._waited(call, report)

    async def _waited(self, call: Call, report: PaymentReport) -> PaymentReport:
        services = self._services
        give_up_ms = services.clock.monotonic_ms() + int(services.settings.call_wait_seconds * 1000)
        while services.clock.monotonic_ms() < give_up_ms:
            await asyncio.sleep(CONFIRM_PAUSE_SECONDS)
            report = await services.settlements.report(report.payment_id) or report
            if report.state in FAILED_STATES or await self._may_answer(call, report):
                break
        return report


def _check_listed(route: Route, who: str | None) -> None:
    if route.callers == "list" and who not in route.addresses:
        raise SatboxError("not_found")


def _presentation(call: Call, payload: PaymentPayload, payment: VerifiedPayment) -> Presentation:
    """The money goes into the payer's own bucket, whatever becomes of the call; it starts nothing there. Bound to the call: once
    in a block its bytes are anybody's to copy, and must move nothing out of that bucket but for this one resource.
    """
    described = {"resource": call.resource, "transaction": payment.identity}
    return Presentation(
        payment=payment,
        address=payment.origin,
        purpose="call",
        body_hash=canonical_hash(described),
        holder=payment.origin,
        identifier=payload.identifier,
        credit_before_confirmation=False,
        wakes=False,
        is_bound=True,
    )
