"""Who pays a bill, and how the money is held until the work is done.

Four payers: an account (a wallet by its pass, or one of its spending keys), a signed order of a bucket, and a payment on chain,
which goes into its payer's own bucket and pays from there. Nothing is held before everything about a request that can be judged
without money was judged. If this process dies, what was held is durable in the wallet as an allowance, and goes back.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Callable
from weakref import WeakValueDictionary

from aiohttp import web

from actors.hosting.requests import Purse
from actors.wallet.commands import PayOrder, PromiseOrder
from actors.wallet.spending_keys import account_of, by_signer
from gate.charging.allowances import UNPAID
from gate.charging.bill import Bill
from gate.charging.charge import REFUSED, Charge, paid_headers, payment_names
from gate.charging.exposure import Exposure
from gate.charging.spending import check_key
from gate.charging.till import Till
from gate.charging.used_orders import ANSWERED_WITHIN_MS
from gate.parts.orders import Held, OrderLog
from gate.parts.services import Services
from gate.payments.explaining import note_report
from gate.payments.presenting import FAILED_STATES, in_doubt, presented, recalled, refused
from gate.payments.status import payment_status
from gate.wire.crowd import Crowd
from gate.wire.means import Means
from gate.wire.outcomes import Reply
from operations.errors import SatboxError
from relay_client.models import PaymentPayload, SettleResult, canonical_hash, encode_header
from relay_client.orders import SignedOrder, verify_order
from relay_client.settlements import PaymentReport, Presentation
from relay_client.states import PaymentState
from relay_client.verify import VerifiedPayment

CREDITED_HEADER = "X-Satbox-Credited"
"""Whose bucket the payment of a failed call is in."""
KEEP_SECONDS_MAX = 2.0
CONFIRM_PAUSE_SECONDS = 0.25
WAITING_MAX = 32
"""Requests for one payee that wait for a confirmation, one for each payment: fewer than may arrive at once (`serve`), so that who
waits, or shows one payment many times, keeps nobody else out. A request without a place is answered 202 at once.
"""
ALIKE_MAX = 16
"""Requests of one payer for the same purchase, which wait for one another."""


class Charger:
    """One gate's. It owns the gate's till, and knows what was answered on payments that are not confirmed."""

    def __init__(self, services: Services, orders: OrderLog) -> None:
        self._services = services
        self._run_id = f"{orders.gate_id}_{secrets.token_hex(6)}"
        self._attempts = itertools.count(1)
        self.till = Till(services.system, services.clock, orders)
        usat = services.settings.call_unconfirmed_sats_max * 1_000_000
        self._waiting, self._waiting_payments, self._shown = Crowd(WAITING_MAX), Crowd(1), Crowd(1)
        self._alike, self._turns = Crowd(ALIKE_MAX), WeakValueDictionary[str, asyncio.Lock]()
        self._exposure = Exposure(services.settlements.report, services.clock, usat)

    # Accounts and orders

    async def by_account(self, bill: Bill, held: Held) -> Charge:
        """Hold it from a bucket, for whom a pass or an API key speaks. It is paid once by the name of the order. Raises
        order_used, rate_limited, credit_insufficient, spending_cap.
        """
        await self.till.hold(held)
        return from_bucket(self._services, self.till, bill, held)

    @contextlib.asynccontextmanager
    async def turn(self, order_id: str) -> AsyncIterator[None]:
        """One after another those who would buy the same: whether it is paid is known when the one before is done."""
        with self._alike.entered(order_id):
            lock = self._turns.setdefault(order_id, asyncio.Lock())
            async with lock:
                yield

    async def by_order(self, bill: Bill, signed: SignedOrder, admit: Callable[[], None] = lambda: None) -> Charge:
        """Hold it for a signed order: by the wallet's own key, or by a spending key of its. `admit` is asked once it is known
        that the payer is who it says. Raises what `verify_order` and `admit` do.
        """
        services = self._services
        settings = services.settings
        order_id, signer = verify_order(
            signed, network=settings.network, deployment=settings.deployment, payee=bill.order_to,
            resource=bill.resource, sats=bill.sats, wall_ms=services.clock.wall_ms(),
        )  # fmt: skip
        payer = signed.order.payer
        account = payer if signer == payer else await self._signed_by_key(bill, payer, signer)
        admit()
        # Judged when it comes: were it judged once more at its answer, a payer could have the work and let the order run out.
        until_ms = signed.order.expires_at * 1000 + ANSWERED_WITHIN_MS
        return await self.by_account(bill, Held(order_id, account, bill.payee, bill.usat, until_ms, bill.resource))

    async def _signed_by_key(self, bill: Bill, payer: str, signer: str) -> str:
        view = await self._services.views.get(payer)
        key = by_signer(view.state.keys, signer)
        if key is None:
            details = {"reason": "signed by another key, which is no spending key of this wallet"}
            raise SatboxError("stx_signature_invalid", details=details, funds_moved=False)
        check_key(key, bill, self._services.clock.wall_ms())
        return account_of(payer, key.key_id)

    # On chain

    async def by_payment(
        self, means: Means, bill: Bill, payload: PaymentPayload, payment: VerifiedPayment, short: SatboxError | None
    ) -> Charge | Reply:  # fmt: skip
        """Have it paid by a payment on chain, by this one or by an earlier one of the same payer whose work failed. An answer in
        place of a charge says that the payment is still under way.
        """
        presentation = _presentation(bill, payload, payment)
        report = await recalled(self._services, presentation)
        if report is None and short is not None:
            raise short
        if self._shown.is_full(payment.identity):
            report = report or await self._taken(means, bill, presentation)
            return _under_way(self._services, report)
        # From before its bytes are anybody's to copy until the call is taken: who comes first is answered first.
        with self._shown.entered(payment.identity):
            report = report or await self._taken(means, bill, presentation)
            return await self._charge(bill, report)

    async def _taken(self, means: Means, bill: Bill, presentation: Presentation) -> PaymentReport:
        """A payment that was not shown before: sent, unless it stands for an earlier one."""
        report = await self._from_spare(bill, presentation)
        if report is None:
            return await presented(self._services, presentation)
        note_report(means, report)
        return report

    async def _charge(self, bill: Bill, report: PaymentReport) -> Charge | Reply:
        services, payer = self._services, report.payer
        if report.state in FAILED_STATES:
            raise refused(services, report)
        if report.expected_usat < bill.usat:  # the price has risen since; what it was worth is in the payer's bucket
            raise SatboxError(
                "payment_amount_insufficient", details={"paymentId": report.payment_id}, funds_moved=report.funds_moved
            )
        report = await self._ready(bill, report)
        if report.state in FAILED_STATES:
            raise refused(services, report)
        if not await self._may_answer(bill, report):
            return _under_way(services, report)
        order_id = order_of(report.payment_id)
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
        return on_chain(services, self.till, self._exposure, bill, report, attempt_id)

    async def _from_spare(self, bill: Bill, presentation: Presentation) -> PaymentReport | None:
        """The payer's earlier payment whose work failed: it pays for this, and the new payment is not sent."""
        services, payer = self._services, presentation.payment.origin
        try:
            report = await services.settlements.claim_spare(presentation, bill.usat)
            if report is None or report.state is not PaymentState.CONFIRMED:
                return report
            if not await services.settlements.is_told(payer, report.payment_id):
                return report  # its credit is on its way; what is promised on it is paid before anything else
        except SatboxError as error:
            raise in_doubt(error) from error
        view = await services.views.get(payer, fresh=True)
        is_used = await services.system.has_order(payer, order_of(report.payment_id))
        if not is_used and view.state.accounts.bucket < bill.usat:
            await services.settlements.drop_spare(payer, report.payment_id)
            raise SatboxError(
                "credit_insufficient", "The credit of your earlier call was spent otherwise.", funds_moved=False,
                hint="Nothing was sent: repeat without payment for a new offer, and sign a new payment.",
            )  # fmt: skip
        return report

    async def _may_answer(self, bill: Bill, report: PaymentReport) -> bool:
        """Whether it is paid, or its seller takes the risk and has not taken too much of it."""
        if report.state is PaymentState.CONFIRMED:
            return True
        is_small = bill.sats <= self._services.settings.call_mempool_sats_max
        if report.state is not PaymentState.MEMPOOL or bill.deliver_on != "mempool" or not is_small:
            return False
        return await self._exposure.take(bill.payee, report.payment_id, bill.usat)

    async def _ready(self, bill: Bill, report: PaymentReport) -> PaymentReport:
        """The payment once it may be answered for, or when the wait is over."""
        if report.state in FAILED_STATES or await self._may_answer(bill, report):
            return report
        with contextlib.ExitStack() as places:
            try:
                places.enter_context(self._waiting_payments.entered(report.payment_id))
                places.enter_context(self._waiting.entered(bill.payee))
            except SatboxError:
                return report
            return await self._waited(bill, report)

    async def _waited(self, bill: Bill, report: PaymentReport) -> PaymentReport:
        services = self._services
        give_up_ms = services.clock.monotonic_ms() + int(services.settings.call_wait_seconds * 1000)
        while services.clock.monotonic_ms() < give_up_ms:
            await asyncio.sleep(CONFIRM_PAUSE_SECONDS)
            report = await services.settlements.report(report.payment_id) or report
            if report.state in FAILED_STATES or await self._may_answer(bill, report):
                break
        return report


def _under_way(services: Services, report: PaymentReport) -> Reply:
    """202, with how the payment stands. Raises what it was refused with."""
    if report.state in FAILED_STATES:
        raise refused(services, report)
    return Reply(payment_status(services, report), 202, {"Retry-After": "3"})


def order_of(payment_id: str) -> str:
    """The id of the one order that leans on a payment."""
    return f"call_{payment_id}"


def _presentation(bill: Bill, payload: PaymentPayload, payment: VerifiedPayment) -> Presentation:
    """The money goes into the payer's own bucket, whatever becomes of the call; it starts nothing there. Bound to what is bought:
    once in a block its bytes are anybody's to copy, and must move nothing out of that bucket but for this one resource.
    """
    described = {"resource": bill.resource, "transaction": payment.identity}
    return Presentation(
        payment=payment,
        address=payment.origin,
        purpose=bill.purpose,
        body_hash=canonical_hash(described),
        holder=payment.origin,
        identifier=payload.identifier,
        credit_before_confirmation=False,
        wakes=False,
        is_bound=True,
    )


def from_bucket(services: Services, till: Till, bill: Bill, held: Held) -> Charge:
    """The charge of an order that a till holds."""

    async def settle(status: int, usat: int) -> dict[str, str]:
        logged = await till.pay(held, usat)
        place = {"order_seq": str(logged.seq)}
        return paid_headers(services, bill, held.payer, held.order_id, place, status, usat)

    async def release() -> None:
        till.release(held)

    return Charge(bill, held.payer, settle, release)


def on_chain(
    services: Services, till: Till, exposure: Exposure, bill: Bill, report: PaymentReport, attempt_id: str
) -> Charge:
    """A charge that leans on a payment into the payer's own bucket; it is paid from there, now or when that confirms."""
    order_id = order_of(report.payment_id)

    async def release() -> None:
        """It failed: what was paid may pay for the payer's next call. Should this not be written down, the same payment still
        pays when it is shown again.
        """
        till.forget(order_id)
        exposure.give_back(bill.payee, report.payment_id)
        with contextlib.suppress(SatboxError, TimeoutError):
            async with asyncio.timeout(KEEP_SECONDS_MAX):
                await services.settlements.keep_spare(report.payer, report.payment_id)

    async def settle(status: int, usat: int) -> dict[str, str]:
        payer = report.payer
        try:
            purse = await pay(payer, usat)
        except SatboxError as error:
            if error.code in UNPAID:
                await release()
            if error.code in REFUSED:
                error.funds_moved = report.funds_moved  # on chain, into the payer's own bucket
            raise
        with contextlib.suppress(SatboxError, TimeoutError):  # it has paid; left there it would refuse one payment
            async with asyncio.timeout(KEEP_SECONDS_MAX):
                await services.settlements.drop_spare(payer, report.payment_id)
        place: dict[str, str | int] = {"journal_head": purse.head, "journal_seq": purse.seq}
        return paid_headers(services, bill, payer, order_id, place, status, usat, report)

    async def pay(payer: str, usat: int) -> Purse:
        try:
            promise = PromiseOrder(order_id, attempt_id, report.payment_id, bill.payee, usat)
            return await services.system.pay(payer, promise)
        except SatboxError as error:
            if error.code != "order_settled":
                raise
        return await services.system.pay(payer, PayOrder(order_id, attempt_id, bill.payee, usat))

    # What became of the payment is said on every answer, also where the work failed and nothing is charged.
    settled = SettleResult(
        success=True, payer=report.payer, transaction=report.txid or "", network=services.settings.network.caip2
    )
    names = payment_names(services, report)
    unserved = {**names, "payment-response": encode_header(settled), CREDITED_HEADER: report.payer}
    return Charge(bill, report.payer, settle, release, unserved)


CHARGER: web.AppKey[Charger] = web.AppKey("charger", Charger)
