"""What a caller is told when nobody knows whether the call was paid: unknown is not failure."""

from dataclasses import replace

import pytest

from actors.hosting.requests import Pay, Request, Response
from actors.system import ActorSystem, LocalTransport
from actors.wallet.calls import Route
from actors.wallet.commands import PayOrder, SetRoutes
from gate.calls.guest import Call, Guest
from gate.charging.charge import REFUSED
from gate.charging.charger import from_bucket, on_chain
from gate.charging.exposure import Exposure
from gate.charging.till import Till
from gate.parts.orders import Held
from operations.errors import SatboxError
from tests.gate.gatehouse import SATS, House, Who, header_of


class FaultyTransport(LocalTransport):
    """Loses the answers to payments: before the wallet heard of them, or after it has paid."""

    error: Exception
    is_after: bool

    async def send(self, request: Request) -> Response:
        if isinstance(request, Pay) and isinstance(request.command, PayOrder):
            if self.is_after:
                await super().send(request)
            raise self.error
        return await super().send(request)


def faulty(house: House, error: Exception, *, is_after: bool) -> ActorSystem:
    transport = FaultyTransport(house.transport.host)
    transport.error, transport.is_after = error, is_after
    return ActorSystem(transport)


async def called(house: House, till: Till, error: Exception, *, is_after: bool = False) -> tuple[Who, Guest]:
    """A call that is paid on chain, by a payer whose wallet does not answer as it should."""
    payer, payee = await house.agent(), await house.agent()
    paid = await house.created(payer, 500)
    report = await house.settled(paid.body["paymentId"])
    call = Call(payee.address, 8000, "GET", "GET /x", Route(8000, "/*", sats=5), 0)
    services = replace(house.services, system=faulty(house, error, is_after=is_after))
    exposure = Exposure(house.settlements.report, house.clock, 0)
    return payer, Guest(call, payer.address, on_chain(services, till, exposure, call.bill, report, "gate_1.p1"))


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SatboxError("timeout"), "timeout"),
        (SatboxError("internal"), "internal"),
        (SatboxError("overloaded"), "overloaded"),
        (ConnectionResetError("the host is gone"), "internal"),
        (TypeError("a host answered something else"), "internal"),
    ],
)
async def test_an_answer_that_is_lost_leaves_it_unknown(
    house: House, till: Till, error: Exception, code: str, is_after: bool
) -> None:
    payer, guest = await called(house, till, error, is_after=is_after)

    with pytest.raises(SatboxError) as caught:
        await guest.settle(200)

    assert (caught.value.code, caught.value.funds_moved) == (code, "unknown")
    moved = house.state(payer).accounts.in_transit + house.state(payer).accounts.spent
    assert moved == (5 * SATS if is_after else 0)


@pytest.mark.parametrize("code", sorted(REFUSED))
async def test_a_payment_on_chain_has_moved_even_when_its_call_is_refused(house: House, till: Till, code: str) -> None:
    _, guest = await called(house, till, SatboxError(code))

    with pytest.raises(SatboxError) as caught:
        await guest.settle(200)

    assert (caught.value.code, caught.value.funds_moved) == (code, True)


async def test_a_log_that_cannot_be_written_leaves_it_unknown_and_an_order_that_was_used_does_not(
    house: House, till: Till
) -> None:
    payer, payee = await house.agent(), await house.agent()
    await house.created(payer, 500)
    call = Call(payee.address, 8000, "GET", "GET /x", Route(8000, "/*", sats=5), 0)
    held = [
        Held(f"ord_{n}", payer.address, payee.address, call.usat, house.clock.wall_ms() + 60_000) for n in (1, 1, 2)
    ]
    told = []
    for one in held:
        till.forget("ord_1")  # as if at another time: only the log knows of it
        await till.hold(one)
        if one.order_id == "ord_2":
            till._log._db.execute("PRAGMA query_only = 1")
        try:
            await from_bucket(house.services, till, call.bill, one).settle(200)
        except SatboxError as error:
            told.append((error.code, error.funds_moved))
    assert told == [("order_used", False), ("internal", "unknown")]


async def test_a_payment_whose_call_the_bucket_could_not_pay_may_be_shown_again(house: House, till: Till) -> None:
    payer, payee = await house.agent(), await house.agent()
    paid = await house.created(payer, 500)
    report = await house.settled(paid.body["paymentId"])
    call = Call(payee.address, 8000, "GET", "GET /x", Route(8000, "/*", sats=9_000), 0)
    order_id = f"call_{report.payment_id}"
    till.take(order_id)

    exposure = Exposure(house.settlements.report, house.clock, 0)
    with pytest.raises(SatboxError, match="credit_insufficient"):
        await on_chain(house.services, till, exposure, call.bill, report, "gate_1.p1").settle(200)

    till.take(order_id)


async def test_a_payment_that_has_paid_a_call_is_refused_before_it_is_forwarded(house: House, till: Till) -> None:
    payer, seller = await house.agent(), await house.agent()
    await house.created(payer, 500)
    await house.created(seller, 500)
    priced = SetRoutes((Route(8000, "/*", sats=4, deliver_on="confirmed"),))
    house.services.views.put(await house.services.system.ask(seller.address, priced))
    headers = {"payment-signature": header_of(house.sbtc(payer, 4))}
    url = f"/sandbox/proxy/{seller.address}/8000/x"
    first = await house.ask("GET", url, headers=headers)
    assert first.status == 202, first.raw
    report = await house.settled(first.body["paymentId"])
    order_id = f"call_{report.payment_id}"
    assert not await house.services.system.has_order(payer.address, order_id)

    # Another gate forwards the call, and the wallet pays for it; this one knows nothing of that.
    call = Call(seller.address, 8000, "GET", "GET /x", Route(8000, "/*", sats=4), 0)
    exposure = Exposure(house.settlements.report, house.clock, 0)
    await on_chain(house.services, till, exposure, call.bill, report, "gate_2.p1").settle(200)

    again = await house.ask("GET", url, headers=headers)
    assert (again.status, again.code, again.body["error"]["funds_moved"]) == (409, "order_used", True)
    assert "x-satbox-origin" not in {name.lower() for name in again.headers}
