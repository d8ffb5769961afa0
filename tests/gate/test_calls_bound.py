"""A transaction is public once it is in a block: whoever copies it out must not be able to spend its payer's bucket with it."""

from typing import Any

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from stacks import Transaction
from tests.gate.gatehouse import SATS, Answer, House, Who, header_of


async def sold(house: House, seller: Who, sats: int) -> None:
    priced = SetRoutes((Route(8000, "/*", sats=sats, deliver_on="confirmed"),))
    house.services.views.put(await house.services.system.ask(seller.address, priced))


async def call(house: House, seller: Who, path: str, tx: Transaction, **other: Any) -> Answer:
    url = f"/sandbox/proxy/{seller.address}/8000{path}"
    return await house.ask("GET", url, headers={"payment-signature": header_of(tx)}, **other)


async def test_a_payment_for_something_else_pays_for_no_call(house: House) -> None:
    victim, seller = await house.agent(), await house.agent()
    await house.created(victim, 500)
    await house.created(seller, 500)
    tx = house.sbtc(victim, 300)
    paid = await house.pay("/sandbox/extend", victim, tx, {"sats": 300})
    await house.settled(paid.body["paymentId"])
    await house.until(lambda: house.state(victim).accounts.deposits == -800 * SATS)
    await sold(house, seller, 700)

    stolen = await call(house, seller, "/x", tx)
    assert (stolen.status, stolen.code) == (409, "payment_target_conflict")
    assert house.state(victim).accounts.spent == 0


async def test_a_payment_for_one_call_pays_for_no_other_and_for_no_dearer_one(house: House) -> None:
    victim, seller, thief = await house.agent(), await house.agent(), await house.agent()
    for who in (victim, seller, thief):
        await house.created(who, 500)
    await sold(house, seller, 4)
    await sold(house, thief, 4)
    tx = house.sbtc(victim, 4)
    first = await call(house, seller, "/x", tx)
    assert first.status == 202, first.raw
    await house.settled(first.body["paymentId"])

    assert (await call(house, thief, "/x", tx)).code == "payment_target_conflict"
    assert (await call(house, seller, "/y", tx)).code == "payment_target_conflict"
    await sold(house, seller, 400)
    assert (await call(house, seller, "/x", tx)).code == "payment_amount_insufficient"
    assert house.state(victim).accounts.spent == 0
