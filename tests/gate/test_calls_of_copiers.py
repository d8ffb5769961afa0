"""What a stranger may do in a payer's name, with an order that the payer never signed, or with bytes that are on chain for
anybody to copy: nothing. It uses up nothing of the payer's, and learns nothing.
"""

import asyncio
import base64
import json
import secrets

from aiohttp import web

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from relay_client.orders import Order
from tests.gate.gatehouse import DEPLOYMENT, NETWORK, Answer, House, Who, header_of
from tests.gate.inside import serving

PATH = "/x"


async def serve(request: web.Request) -> web.Response:
    return web.Response(text="served")


async def sold(house: House, *buyers: Who, **route: object) -> Who:
    seller = await house.agent()
    await house.created(seller, 500)
    routes = SetRoutes((Route(8000, "/*", sats=10, **{"rate_per_minute": 3, **route}),))  # type: ignore[arg-type]
    house.services.views.put(await house.services.system.ask(seller.address, routes))
    return seller


def url(seller: Who) -> str:
    return f"/sandbox/proxy/{seller.address}/8000{PATH}"


def order(house: House, payer: Who, seller: Who, *, signer: Who | None = None) -> dict[str, str]:
    made = Order(
        DEPLOYMENT, payer.address, seller.address, 10, f"GET {url(seller)}", secrets.token_hex(16),
        house.clock.wall_ms() // 1000 + 60,
    )  # fmt: skip
    payload = {"order": made.wire(), "signature": made.signed((signer or payer).key, NETWORK)}
    document = json.dumps({"x402Version": 2, "payload": payload}).encode()
    return {"payment-signature": base64.b64encode(document).decode()}


async def call(house: House, seller: Who, headers: dict[str, str]) -> Answer:
    return await house.ask("GET", url(seller), headers=headers)


async def test_orders_that_somebody_else_signed_use_up_nothing_of_the_payer_s_rate(house: House) -> None:
    payer, forger = await house.agent(), await house.agent()
    seller = await sold(house)
    await house.created(payer, 500)
    async with serving(house, serve):
        for _ in range(6):
            forged = await call(house, seller, order(house, payer, seller, signer=forger))
            assert forged.code == "stx_signature_invalid"
        own = [(await call(house, seller, order(house, payer, seller))).status for _ in range(4)]
    assert own == [200, 200, 200, 429]


async def test_bytes_copied_from_the_chain_use_up_nothing_of_the_payer_s_rate(house: House) -> None:
    payer = await house.agent()
    seller = await sold(house)
    await house.created(payer, 500)
    public = house.sbtc(payer, 300)
    paid = await house.pay("/sandbox/extend", payer, public, {"sats": 300})
    await house.settled(paid.body["paymentId"])
    async with serving(house, serve):
        for _ in range(6):
            assert (await call(house, seller, {"payment-signature": header_of(public)})).status == 409
        own = [(await call(house, seller, order(house, payer, seller))).status for _ in range(4)]
    assert own == [200, 200, 200, 429]


async def test_a_list_is_not_shown_to_a_caller_who_only_names_its_members(house: House) -> None:
    listed, other, forger = await house.agent(), await house.agent(), await house.agent()
    seller = await sold(house, callers="list", addresses=(listed.address,))
    async with serving(house, serve):
        codes = {
            (await call(house, seller, order(house, named, seller, signer=forger))).code for named in (listed, other)
        }
        assert codes == {"stx_signature_invalid"}
        assert (await call(house, seller, order(house, other, seller))).status == 404


async def mempool(house: House, payer: Who) -> bool:
    async with house.devnet.get(f"/stacks/extended/v1/tx/mempool?sender_address={payer.address}") as reply:
        return bool((await reply.json())["results"])


async def test_a_call_that_waits_for_its_payment_is_answered_to_who_came_first(house: House) -> None:
    """Its bytes are in the mempool for anybody to copy, and a copier who asks all the time is there when they confirm."""
    payer = await house.agent()
    seller = await sold(house)
    headers = {"payment-signature": header_of(house.sbtc(payer, 10))}
    async with serving(house, serve):
        own = asyncio.create_task(call(house, seller, headers))
        while not await mempool(house, payer):
            await asyncio.sleep(0)
        house.world.mine()
        copied = []
        while not own.done():
            copied.append((await call(house, seller, headers)).status)
        assert (await own).status == 200, (await own).raw
    assert copied
    assert set(copied) <= {202, 409}, "how the payment stands, or that it is used"


async def test_a_payment_that_came_with_an_identifier_pays_only_with_it(house: House) -> None:
    """Also when its payer was told to come again: an identifier is in no block."""
    payer = await house.agent()
    seller = await sold(house, rate_per_minute=100)
    tx = house.sbtc(payer, 10)
    own = {"payment-signature": header_of(tx, identifier="a" * 16)}
    async with serving(house, serve):
        under_way = await call(house, seller, own)
        assert under_way.status == 202, under_way.raw
        await house.settled(under_way.body["paymentId"])
        for identifier in (None, "b" * 16):
            refused = await call(house, seller, {"payment-signature": header_of(tx, identifier=identifier)})
            assert (refused.code, refused.funds_moved) == ("payment_identifier_conflict", True)
        assert (await call(house, seller, own)).status == 200
        assert (await call(house, seller, own)).code == "order_used"


async def test_a_copier_gives_no_identifier_to_a_payment_that_came_without(house: House) -> None:
    payer = await house.agent()
    seller = await sold(house, rate_per_minute=100)
    tx = house.sbtc(payer, 10)
    under_way = await call(house, seller, {"payment-signature": header_of(tx)})
    assert under_way.status == 202, under_way.raw
    copied = await call(house, seller, {"payment-signature": header_of(tx, identifier="b" * 16)})
    assert copied.status == 202, copied.raw
    await house.settled(under_way.body["paymentId"])
    async with serving(house, serve):
        assert (await call(house, seller, {"payment-signature": header_of(tx)})).status == 200
