"""Payments on chain that wait for a relay or a chain that does not answer keep nobody out who needs neither."""

import asyncio

from aiohttp import web

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from gate.proxy.serve import REQUESTS_PER_WALLET_MAX
from tests.gate.gatehouse import Answer, House, Who, header_of
from tests.gate.inside import serving
from tests.gate.test_calls_of_copiers import order


def payment_named(answer: Answer) -> str:
    """By its header when the server inside has answered, else by our document."""
    return str(answer.headers.get("X-Satbox-Payment") or answer.body["paymentId"])


async def serve(request: web.Request) -> web.Response:
    return web.Response(text="served")


async def call(house: House, seller: Who, path: str, headers: dict[str, str] | None = None) -> Answer:
    return await house.ask("GET", f"/sandbox/proxy/{seller.address}/8000{path}", headers=headers)


async def test_payments_that_wait_for_the_relay_keep_no_other_caller_out(house: House) -> None:
    seller, payer = await house.agent(), await house.agent()
    for who in (seller, payer):
        await house.created(who, 500)
    routes = SetRoutes((Route(8000, "/free"), Route(8000, "/*", sats=10)))
    house.services.views.put(await house.services.system.ask(seller.address, routes))
    payers = [await house.agent() for _ in range(REQUESTS_PER_WALLET_MAX)]
    await house.fault("down", routes="relay", mode="hang")
    async with serving(house, serve):
        shown = [{"payment-signature": header_of(house.sbtc(each, 10))} for each in payers]
        waiting = [asyncio.create_task(call(house, seller, "/x", payment)) for payment in shown]
        while len(house.settlements._presenting) + sum(each.done() for each in waiting) < len(waiting):
            await asyncio.sleep(0)  # each waits for the relay, or was told that too many do
        assert (await call(house, seller, "/free")).status == 200
        assert (await call(house, seller, "/x")).status == 402
        assert (await call(house, seller, "/x", order(house, payer, seller))).status == 200
        taken = next(number for number, each in enumerate(waiting) if not each.done())
        again = await call(house, seller, "/x", shown[taken])
        error = again.body["error"]
        assert (again.status, error["code"], error["funds_moved"]) == (429, "rate_limited", "unknown")
        await house.heal()
        answers = await asyncio.gather(*waiting)
        assert answers[taken].status in (200, 202)
        assert error["details"]["paymentId"] == payment_named(answers[taken])
    assert {answer.status for answer in answers} <= {200, 202, 429}
