"""Operations with a price: the offer for a request that does not pay, the charge around the work for one that does.

What fails costs nothing, and an answer that is still free at this price is open to anybody. A pass or an API key pays from its
wallet's bucket; an order or a payment on chain pays for anybody (`Charger`).
"""

import asyncio
import contextlib
from collections.abc import Mapping

from aiohttp import web
from pydantic import BaseModel

from actors.wallet.spending_keys import account_of
from gate.charging.bill import Bill, operators_bill
from gate.charging.charge import Charge, Settling
from gate.charging.charger import CHARGER, Charger
from gate.charging.offering import offer_bill
from gate.charging.order_log import Held
from gate.charging.purchases import hourly, purchase
from gate.charging.spending import check_key
from gate.identity.callers import Caller, payer_of
from gate.identity.handler import Handler
from gate.parts.services import Services
from gate.payments.presented import note
from gate.payments.presenting import verified
from gate.settings import GateSettings
from gate.wire.answers import REQUEST_ID, json_response
from operations.errors import SatboxError
from operations.prices import USAT_PER_SAT, Fixed, Metered
from operations.registry import Operation
from relay_client.models import decode_payment_header
from relay_client.orders import read_order

CHARGE: web.RequestKey[Charge] = web.RequestKey("charge", Charge)
"""What is held for a request. An action that is metered says there what it used."""
USED: web.RequestKey[int] = web.RequestKey("used_usat", int)
"""What a metered action used, in micro-sats; without it, all that was held is paid."""


def usat_of(operation: Operation, settings: GateSettings, data: BaseModel | None) -> int:
    """The most that an operation can cost, in micro-sats: 0 is free. Without an input, the least that it costs anybody."""
    rule = operation.price
    if isinstance(rule, Fixed):
        return settings.prices_sats.get(rule.purpose, rule.sats) * USAT_PER_SAT
    if isinstance(rule, Metered):
        return USAT_PER_SAT if data is None else rule.estimate_usat(data)
    return 0


def bill_for(operation: Operation, request: web.Request, settings: GateSettings, data: BaseModel | None) -> Bill | None:
    """What a request is to pay; None when it is free."""
    usat = usat_of(operation, settings, data)
    if not usat:
        return None
    assert isinstance(operation.price, Fixed | Metered)
    try:
        return operators_bill(settings, operation.price.purpose, f"{request.method} {request.path}", usat)
    except ValueError as error:
        raise SatboxError("invalid_request", details={"price": str(error)}) from error


def charged(operation: Operation, handler: Handler) -> Handler:
    """The handler of an operation with a price."""
    if not isinstance(operation.price, Fixed | Metered):
        return handler

    async def serve(
        services: Services, request: web.Request, caller: Caller, data: BaseModel
    ) -> BaseModel | web.StreamResponse:
        bill = bill_for(operation, request, services.settings, data)
        if bill is None:
            return await handler(services, request, caller, data)
        async with contextlib.AsyncExitStack() as turn:
            held = await _held(services, request, operation, bill, data, turn)
            if isinstance(held, web.StreamResponse):
                return held
            if held is not None:
                return await _worked(services, request, caller, data, handler, held)
        return await handler(services, request, caller, data)  # paid within the hour

    return serve


async def _worked(
    services: Services, request: web.Request, caller: Caller, data: BaseModel, handler: Handler, held: Charge
) -> web.StreamResponse:
    """Do what is held for, and have it paid."""
    request[CHARGE] = held
    try:
        answer = await handler(services, request, caller, data)
        if isinstance(answer, web.StreamResponse):
            headers = await held.settle(answer.status, request.get(USED))
            if not answer.prepared:
                answer.headers.update(headers)
            return answer
        return json_response(answer, headers=_with_id(request, await held.settle(200, request.get(USED))))
    except BaseException:
        if not held.is_settled and request.writer.output_size and request.get(USED):
            # Cut off, by its caller or by what broke: the caller has what it says was used. Done even if this is cancelled.
            with contextlib.suppress(SatboxError):  # the answer has begun: it says nothing more
                await asyncio.shield(held.settle(200, request[USED]))
        raise
    finally:
        await held.release()


def _with_id(request: web.Request, headers: Mapping[str, str]) -> dict[str, str]:
    return {"x-request-id": request[REQUEST_ID], **headers}


async def offer_probe(services: Services, request: web.Request, operation: Operation) -> web.StreamResponse | None:
    """The offer for a request with nothing in it, which has no valid input: discovery asks so. None where there is no price."""
    bill = bill_for(operation, request, services.settings, None)
    return None if bill is None else await _offer(services, request, bill)


async def _offer(services: Services, request: web.Request, bill: Bill) -> web.StreamResponse:
    most = "at most " if bill.usat % USAT_PER_SAT else ""
    error = (
        f"This costs {most}{bill.sats} sats: pay on chain, sign an order, or send a pass or an API key of a wallet "
        "with credit."
    )
    return await offer_bill(services, request, bill, request[REQUEST_ID], error)


async def _held(
    services: Services,
    request: web.Request,
    operation: Operation,
    bill: Bill,
    data: BaseModel,
    turn: contextlib.AsyncExitStack,
) -> Charge | web.StreamResponse | None:
    """The charge; or the answer that ends it here; or None when this payer has paid for the same already."""
    charger = request.app[CHARGER]
    header = request.headers.get("payment-signature")
    if header is not None:
        order = read_order(header)
        if order is not None:
            return await charger.by_order(bill, order)
        payload = decode_payment_header(header)
        payment, short = await asyncio.to_thread(verified, services, bill.sats * USAT_PER_SAT, payload)
        note(request, payment, is_call=True)
        return await charger.by_payment(request, bill, payload, payment, short, request[REQUEST_ID])
    if "X-PAYMENT" in request.headers:
        raise SatboxError("payment_v1_unsupported")
    payer = await payer_of(services, request)
    if payer is None:
        return await _offer(services, request, bill)
    address, key = payer
    wall_ms = services.clock.wall_ms()
    account = account_of(address, key.key_id if key is not None else "")
    if isinstance(operation.price, Metered):
        if key is not None:
            check_key(key, bill, wall_ms)
        return await charger.by_account(
            bill, purchase(bill, request, account, operation.name, request[REQUEST_ID], wall_ms)
        )
    # The same question at a fixed price is the same purchase for an hour, whatever it is named.
    once = hourly(bill, account, f"{operation.name} {data.model_dump_json()}", wall_ms)
    await turn.enter_async_context(charger.turn(once.order_id))
    try:
        if key is not None:
            check_key(key, bill, wall_ms)
        charge = await charger.by_account(bill, once)
    except SatboxError as error:
        if error.code in ("order_used", "spending_cap") and await charger.till.was_paid(once):
            return None
        raise
    charge.settle_payment = _once(charger, once, charge.settle_payment)
    return charge


def _once(charger: Charger, order: Held, settle_payment: Settling) -> Settling:
    """As it was; what another gate was paid for meanwhile costs nothing more."""

    async def settle(status: int, usat: int) -> Mapping[str, str]:
        try:
            return await settle_payment(status, usat)
        except SatboxError as error:
            if error.code == "order_used" and await charger.till.was_paid(order):
                return {}
            raise

    return settle
