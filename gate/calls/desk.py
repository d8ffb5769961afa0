"""Let callers in to a port by its owner's routes, paid or free, and hold what they pay.

The order of the steps keeps money safe. A path that could be read in two ways is refused. A signature is checked before any
wallet is asked. Money is held before the server inside gets the request. It is paid once that server has answered, before the
caller gets a byte of the answer. A call that fails costs nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

from aiohttp import web

from actors.view import View
from actors.wallet.calls import Route
from actors.wallet.decide_runtime import DESTROYED
from actors.wallet.spending_keys import SpendingKey, account_of
from gate.calls.guest import Call, Guest
from gate.calls.offering import PURPOSE, WAKE, offer_call, offer_wake, wake_price
from gate.calls.rates import CallRates
from gate.calls.waking import ASLEEP, Wakers
from gate.charging.charger import Charger
from gate.charging.spending import check_key
from gate.charging.unsigned_orders import unsigned_order
from gate.identity.callers import Caller
from gate.parts.services import Services
from gate.payments.explaining import note, note_unread
from gate.payments.paywall import buy
from gate.payments.presenting import verified
from gate.payments.required import Purchase
from gate.reach.matching import route_for
from gate.wire.crowd import peer_of
from gate.wire.means import Means, means_of
from gate.wire.outcomes import Reply
from gate.wire.paths import called_path
from operations.errors import SatboxError
from relay_client.models import PaymentPayload, decode_payment_header
from relay_client.orders import SignedOrder, read_order

ChainPlace = Callable[[], AbstractContextManager[None]]
"""Entered where a payment on chain is judged, sent and waited for."""


class Desk:
    """One gate's."""

    def __init__(self, services: Services, charger: Charger) -> None:
        self._services = services
        self._charger = charger
        self._rates = CallRates()
        self.wakers = Wakers(services)

    async def admit(
        self,
        request: web.Request,
        view: View,
        port: int,
        target: str,
        proven: str | None,
        chain_place: ChainPlace,
        key: SpendingKey | None = None,
    ) -> Guest | Reply:
        """The guest, or the answer that ends the request here: a 402, or a payment that is not confirmed yet. `proven`: the
        address that the request proves, by a pass or by `key`.
        Raises not_found for callers that no route lets in: a wallet that does not exist looks the same.
        """
        means = means_of(request)
        found = route_for(view.state.routes, port, request.method, target)
        if found is None:
            raise SatboxError("not_found")
        number = view.state.routes.index(found)
        call = Call(view.state.address, port, request.method, f"{request.method} {called_path(request)}", found, number)
        header = means.payment
        if header is None and means.is_v1:
            raise SatboxError("payment_v1_unsupported")
        if found.callers == "holders" or (found.callers == "genesis" and proven is None):
            raise SatboxError("not_found")
        if view.state.phase in ASLEEP and (not found.wakes or view.state.reason == DESTROYED):
            # Before anybody is asked to pay for what will not answer, or takes a payment for it.
            if header is not None and found.sats:
                await asyncio.to_thread(note_unread, self._services, means, header)
            raise SatboxError("sandbox_reaped", details={"reason": view.state.reason})
        if key is not None and (header is None or not found.sats):
            # Also on free routes: a key acts for its wallet only where it may spend.
            check_key(key, call.bill, self._services.clock.wall_ms())
        if not found.sats:
            _check_listed(found, proven)
            self._limit(call, proven or peer_of(request.remote))
            answer = await self._asleep(means, view, found, header, proven if key is None else None, chain_place)
            return answer if answer is not None else Guest(call, proven)
        if header is None:
            self._limit(call, proven or peer_of(request.remote))
            answer = await self._asleep(means, view, found, None, proven, chain_place)
            if answer is None and key is not None and proven is not None:
                return await self._by_key(means, call, proven, key)
            return answer if answer is not None else await offer_call(self._services, means, call, proven)
        order = read_order(header)
        if order is not None:
            return await self._by_order(call, order)
        payload = decode_payment_header(header)
        async with self._waiting(means, chain_place):
            if payload.accepted_extra.get(PURPOSE) == WAKE and found.wakes:
                return await self._pay_wake(means, view, proven if key is None else None)
            return await self._by_payment(means, call, payload)

    @contextlib.asynccontextmanager
    async def _waiting(self, means: Means, chain_place: ChainPlace) -> AsyncIterator[None]:
        """A place for a payment on chain. A refusal names the payment: an earlier request may have brought the same one."""
        with contextlib.ExitStack() as place:
            try:
                place.enter_context(chain_place())
            except SatboxError:
                if means.payment is not None:
                    await asyncio.to_thread(note_unread, self._services, means, means.payment)
                raise
            yield

    def _limit(self, call: Call, who: str, *, calls: int = 1) -> None:
        key = (call.payee, call.route_number, who)
        self._rates.take(key, call.route.rate_per_minute, self._services.clock.monotonic_ms(), calls=calls)

    # Asleep

    async def _asleep(
        self, means: Means, view: View, route: Route, header: str | None, proven: str | None, chain_place: ChainPlace
    ) -> Reply | None:
        """What a call to a sandbox that sleeps without credit is answered, when its route would wake it."""
        state = view.state
        if state.phase not in ASLEEP or not state.is_planned or not route.wakes:
            return None
        price = wake_price(self._services, state.rate_usat_per_second, state.accounts.debt_usat)
        least = state.rate_usat_per_second * self._services.settings.policy.wake_minimum_seconds
        if not state.accounts.owed and state.accounts.bucket >= max(1, least):
            return None
        if header is not None:
            async with self._waiting(means, chain_place):
                return await self._pay_wake(means, view, proven)
        if any(pending.wakes for pending in state.pending):
            raise SatboxError("sandbox_starting", retry_after=2)  # one payment is on its way: nobody is to pay a second
        return await offer_wake(self._services, means, state.address, price)

    async def _pay_wake(self, means: Means, view: View, proven: str | None) -> Reply:
        """A caller with a pass pays as for a gift, and the pass answers for it; an API key has nobody answer. Keys without
        a pass are made for nothing: they answer under one name for all of a wallet's, and start nothing before they have paid.
        """
        state, settings = view.state, self._services.settings
        price = wake_price(self._services, state.rate_usat_per_second, state.accounts.debt_usat)
        answering = Caller(None, answers_as=proven or f"{state.address}.wake-calls")
        may_start = proven is not None or settings.wake_calls_on_mempool
        purchase = Purchase(WAKE, state.address, price, {WAKE: True}, starts_on_mempool=may_start)
        return await buy(self._services, means, answering, purchase)

    # Paid

    async def _by_order(self, call: Call, signed: SignedOrder) -> Guest:
        payer = signed.order.payer

        def admit() -> None:
            _check_listed(call.route, payer)
            self._limit(call, payer)

        charge = await self._charger.by_order(call.bill, signed, admit)
        return Guest(call, payer, charge)

    async def _by_key(self, means: Means, call: Call, address: str, key: SpendingKey) -> Guest:
        """Paid from the bucket of the wallet that gave the key out: once by its `Idempotency-Key`, else each time."""
        services, bill = self._services, call.bill
        _check_listed(call.route, address)
        account = account_of(address, key.key_id)
        held = unsigned_order(bill, means, account, bill.resource, services.clock.wall_ms())
        return Guest(call, address, await self._charger.by_account(bill, held))

    async def _by_payment(self, means: Means, call: Call, payload: PaymentPayload) -> Guest | Reply:
        payment, short = await asyncio.to_thread(verified, self._services, call.usat, payload)
        note(means, payment, is_call=True)
        payer = payment.origin
        _check_listed(call.route, payer)
        if payer == call.payee:
            raise SatboxError("order_invalid", details={"reason": "payer and payee are one"}, funds_moved=False)
        self._limit(call, payer, calls=0)
        charge = await self._charger.by_payment(means, call.bill, payload, payment, short)
        if isinstance(charge, Reply):
            return charge
        try:
            self._limit(call, payer)  # not before: its bytes are on chain, for anybody to show
        except SatboxError:
            await charge.release()
            raise
        return Guest(call, payer, charge)


def _check_listed(route: Route, who: str | None) -> None:
    if route.callers == "list" and who not in route.addresses:
        raise SatboxError("not_found")
