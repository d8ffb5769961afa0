"""Payments whose fee the relay pays: offered while it can, refused at once when it cannot, and patient while it holds them."""

import asyncio

from tests.gate.gatehouse import House, Who


async def fee_payers(house: House, who: Who) -> set[str | None]:
    """Who pays the fee, by the offers for a create, once the relay was asked again."""
    await house.advance(6)
    async with asyncio.timeout(120):
        while await house.settlements.can_sponsor() == bool(house.world.faults.active()):
            await asyncio.sleep(0.01)
    offers = await house.offers("/sandbox/create", who, {"sats": 500})
    return {offer["extra"].get("feePayer") for offer in offers.values()}


async def test_a_fee_payer_is_offered_only_while_the_relay_can_sponsor(house: House) -> None:
    who = await house.agent()
    assert await fee_payers(house, who) == {"relay"}
    await house.fault("cold_relay")
    assert await fee_payers(house, who) == {None}


async def test_a_second_sponsored_payment_waits_and_nobody_is_advised_to_sign_again(house: House) -> None:
    who = await house.agent()
    created = await house.pay("/sandbox/create", who, house.sbtc(who, 500, sponsored=True), {"sats": 500})
    await house.settled(created.body["paymentId"])

    extended = await house.pay("/sandbox/extend", who, house.sbtc(who, 400, nonce=1, sponsored=True), {"sats": 400})

    payment = extended.body["payment"]
    assert (extended.status, payment["status"], payment["nextSteps"]) == (202, "queued", "wait_for_confirmation")
    assert int(extended.headers["Retry-After"]) >= 10
    assert "same nonce 1" in payment["detail"]
    again = await house.pay("/sandbox/extend", who, house.sbtc(who, 300, nonce=1, sponsored=True), {"sats": 300})
    assert (again.status, again.body["error"]["code"]) == (409, "payment_in_flight")
    assert again.body["error"]["details"]["paymentId"] == payment["paymentId"]
    assert int(again.headers["Retry-After"]) > 0


async def test_a_sponsored_payment_is_refused_at_once_when_the_relay_sponsors_nothing(house: House) -> None:
    who = await house.agent()
    await house.fault("relay_error", error_reason="sponsored_unsupported", status=422)
    answer = await house.pay("/sandbox/create", who, house.sbtc(who, 500, sponsored=True), {"sats": 500})
    error = answer.body["error"]
    assert (answer.status, error["code"], error["funds_moved"]) == (422, "sponsored_unsupported", False)
    assert error["details"]["nextSteps"] == "fix_and_resend"
    paid = await house.pay("/sandbox/create", who, house.sbtc(who, 500), {"sats": 500})
    assert paid.status == 201
