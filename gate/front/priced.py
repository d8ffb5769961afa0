"""Operations with a price: the offer for a request that does not pay, the charge around the work for one that does.

What fails costs nothing, and an answer that is still free at this price is open to anybody. A pass or an API key pays from its
wallet's bucket; an order or a payment on chain pays for anybody (`Charger`).
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping

from aiohttp import web
from pydantic import BaseModel

from actors.wallet.spending_keys import account_of
from gate.charging.bill import Bill, operators_bill
from gate.charging.charge import Charge, Settling
from gate.charging.charger import CHARGER, Charger
from gate.charging.offering import offer_bill
from gate.charging.spending import check_key
from gate.charging.unsigned_orders import hourly_order, unsigned_order
from gate.context import Action, RequestContext
from gate.parts.orders import Held
from gate.parts.services import Services
from gate.payments.explaining import note
from gate.payments.presenting import verified
from gate.settings import GateSettings
from gate.wire.means import Means
from gate.wire.outcomes import Hook, Outcome, Reply, Stream, close, with_headers
from operations.errors import SatboxError
from operations.prices import USAT_PER_SAT, Fixed, Metered
from operations.registry import Operation
from relay_client.models import decode_payment_header
from relay_client.orders import read_order


def usat_of(operation: Operation, settings: GateSettings, data: BaseModel | None) -> int:
    """The most that an operation can cost, in micro-sats: 0 is free. Without an input, the least that it costs anybody."""
    rule = operation.price
    if isinstance(rule, Fixed):
        return settings.prices_sats.get(rule.purpose, rule.sats) * USAT_PER_SAT
    if isinstance(rule, Metered):
        return USAT_PER_SAT if data is None else rule.estimate_usat(data)
    return 0


def bill_for(operation: Operation, means: Means, settings: GateSettings, data: BaseModel | None) -> Bill | None:
    """What a request is to pay; None when it is free."""
    usat = usat_of(operation, settings, data)
    if not usat:
        return None
    assert isinstance(operation.price, Fixed | Metered)
    try:
        return operators_bill(settings, operation.price.purpose, f"{means.method} {means.path}", usat)
    except ValueError as error:
        raise SatboxError("invalid_request", details={"price": str(error)}) from error


def charged(app: web.Application, operation: Operation, action: Action) -> Action:
    """The action of an operation with a price. The charger opens when the application starts (`gate.charging.opening`)."""
    if not isinstance(operation.price, Fixed | Metered):
        return action

    async def serve(context: RequestContext, data: BaseModel) -> Outcome:
        bill = bill_for(operation, context.means, context.services.settings, data)
        if bill is None:
            return await action(context, data)
        async with contextlib.AsyncExitStack() as turn:
            held = await _held(app[CHARGER], context, operation, bill, data, turn)
            if isinstance(held, Reply):
                return held
            if held is not None:
                outcome = await _worked(context, data, action, held)
                if isinstance(outcome, Stream):  # it is paid when it was sent: until then nobody buys the same
                    outcome.release = _after(outcome.release, turn.pop_all().aclose)
                return outcome
        return await action(context, data)  # paid within the hour

    return serve


async def _worked(context: RequestContext, data: BaseModel, action: Action, held: Charge) -> Outcome:
    """Do what is held for, and have it paid."""
    is_handed_on = False
    try:
        outcome = await action(context, data)
        if isinstance(outcome, Stream):
            is_handed_on = True
            return _paid_at_its_end(context, outcome, held)
        status = outcome.status if isinstance(outcome, Reply) else 200
        headers = await held.settle(status, context.used_usat)
        context.means.is_charged = held.is_paid
        return with_headers(outcome, headers)
    finally:
        if not is_handed_on:
            await held.release()


def _paid_at_its_end(context: RequestContext, stream: Stream, held: Charge) -> Stream:
    """A stream that is paid when all of it was sent. Cut off, by its reader or by what broke, it costs what its action says was
    used by then: that was delivered.
    """
    chunks, first, is_begun = stream.chunks, stream.first, False

    async def counted() -> AsyncIterator[bytes]:
        nonlocal is_begun
        is_begun = True
        try:
            if first:
                yield first
            async for chunk in chunks:
                yield chunk
        finally:
            await close(chunks)

    async def finish() -> None:
        await held.settle(stream.status, context.used_usat)

    async def release() -> None:
        try:
            if is_begun and not held.is_settled and context.used_usat:
                with contextlib.suppress(SatboxError):  # the answer has begun: it says nothing more
                    await asyncio.shield(held.settle(200, context.used_usat))  # done even if this is cancelled
        finally:
            await held.release()

    return dataclasses.replace(
        stream, chunks=counted(), first=b"", finish=finish, release=_after(stream.release, release)
    )


def _after(before: Hook | None, then: Hook) -> Hook:
    async def both() -> None:
        try:
            if before is not None:
                await before()
        finally:
            await then()

    return both


async def offer_probe(services: Services, means: Means, operation: Operation) -> Reply | None:
    """The offer for a request with nothing in it, which has no valid input: discovery asks so. None where there is no price."""
    bill = bill_for(operation, means, services.settings, None)
    return None if bill is None else await _offer(services, means, bill)


async def _offer(services: Services, means: Means, bill: Bill) -> Reply:
    most = "at most " if bill.usat % USAT_PER_SAT else ""
    error = (
        f"This costs {most}{bill.sats} sats: pay on chain, sign an order, or send a pass or an API key of a wallet "
        "with credit."
    )
    return await offer_bill(services, means, bill, error)


async def _held(
    charger: Charger,
    context: RequestContext,
    operation: Operation,
    bill: Bill,
    data: BaseModel,
    turn: contextlib.AsyncExitStack,
) -> Charge | Reply | None:
    """The charge; or the answer that ends it here; or None when this payer has paid for the same already."""
    services, means = context.services, context.means
    if means.payment is not None:
        order = read_order(means.payment)
        if order is not None:
            return await charger.by_order(bill, order)
        payload = decode_payment_header(means.payment)
        payment, short = await asyncio.to_thread(verified, services, bill.sats * USAT_PER_SAT, payload)
        note(means, payment, is_call=True)
        return await charger.by_payment(means, bill, payload, payment, short)
    if means.is_v1:
        raise SatboxError("payment_v1_unsupported")
    payer = await context.payer()
    if payer is None:
        return await _offer(services, means, bill)
    address, key = payer
    wall_ms = services.clock.wall_ms()
    account = account_of(address, key.key_id if key is not None else "")
    if isinstance(operation.price, Metered):
        if key is not None:
            check_key(key, bill, wall_ms)
        return await charger.by_account(bill, unsigned_order(bill, means, account, operation.name, wall_ms))
    # The same question at a fixed price is the same purchase for an hour, whatever it is named.
    once = hourly_order(bill, account, f"{operation.name} {data.model_dump_json()}", wall_ms)
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
