"""A call that is paid on chain and fails: its payer has the money here, and pays for the next call with it."""

import asyncio

import pytest
from aiohttp import web

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from actors.wallet_sinks import WalletSink
from relay_client.sink import Credit
from stacks import Transaction
from tests.gate.gatehouse import SATS, Answer, House, Who, header_of
from tests.gate.inside import serving


async def serve(request: web.Request) -> web.Response:
    return web.Response(text="served", status=500 if request.path == "/500" else 200)


async def sold(house: House) -> Who:
    seller = await house.agent()
    await house.created(seller, 500)
    routes = SetRoutes((Route(8000, "/*", sats=10, deliver_on="mempool"),))
    house.services.views.put(await house.services.system.ask(seller.address, routes))
    return seller


async def call(house: House, seller: Who, tx: Transaction, path: str = "/x") -> Answer:
    url = f"/sandbox/proxy/{seller.address}/8000{path}"
    return await house.ask("GET", url, headers={"payment-signature": header_of(tx)})


def deposited(house: House, who: Who) -> int:
    return -house.state(who).accounts.deposits


async def failed(
    house: House, seller: Who, payer: Who, inside: object, *, path: str = "/x"
) -> tuple[Transaction, Answer]:
    tx = house.sbtc(payer, 10)
    inside.is_listening = path == "/500"  # type: ignore[attr-defined]
    answer = await call(house, seller, tx, path)
    inside.is_listening = True  # type: ignore[attr-defined]
    return tx, answer


async def test_a_failed_call_says_where_its_money_is_and_is_served_by_the_same_payment(house: House) -> None:
    seller, payer = await sold(house), await house.agent()
    async with serving(house, serve) as inside:
        tx, answer = await failed(house, seller, payer, inside)
        assert (answer.status, answer.code, answer.funds_moved) == (502, "port_closed", True)
        details = answer.body["error"]["details"]
        assert (details["creditedTo"], details["paymentId"][:4]) == (payer.address, "pay_")
        await house.settled(details["paymentId"])
        again = await call(house, seller, tx)
        assert (again.status, again.headers["X-Satbox-Payment"]) == (200, details["paymentId"])
        assert (await call(house, seller, tx)).code == "order_used"
        fresh = await call(house, seller, house.sbtc(payer, 10))
        assert fresh.status == 200, "what has paid stands for nothing any more"
    await house.until(lambda: house.state(payer).accounts.spent >= 10 * SATS)
    assert deposited(house, payer) >= 10 * SATS


@pytest.mark.parametrize("path", ["/x", "/500"])
@pytest.mark.parametrize("is_confirmed", [True, False])
async def test_a_client_that_signs_anew_is_charged_once(house: House, path: str, is_confirmed: bool) -> None:
    """What an x402 client without our buckets does: each 402 is answered by a new payment."""
    seller, payer = await sold(house), await house.agent()
    async with serving(house, serve) as inside:
        _, answer = await failed(house, seller, payer, inside, path=path)
        assert answer.status in (500, 502)
        first = answer.headers.get("X-Satbox-Payment") or answer.body["error"]["details"]["paymentId"]
        if is_confirmed:
            await house.settled(first)
            await house.until(lambda: deposited(house, payer) == 10 * SATS)
        new = house.sbtc(payer, 10)
        served = await call(house, seller, new, "/other")
        assert (served.status, served.headers["X-Satbox-Payment"]) == (200, first), served.raw
        assert (await call(house, seller, new, "/other")).code == "order_used", "its bytes are never sent later"
        await house.settled(first)
        await house.until(lambda: house.state(payer).accounts.spent == 10 * SATS)
        assert deposited(house, payer) == 10 * SATS, "one payment, one call"
        paid = await call(house, seller, house.sbtc(payer, 10))
        assert paid.status == 200
        assert paid.headers["X-Satbox-Payment"] != first, "the next call is paid for again"


async def test_credit_on_its_way_is_not_taken_for_spent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a block already, while its wallet has yet to be told."""
    tell, may_tell = WalletSink.credit, asyncio.Event()

    async def told_later(sink: WalletSink, credit: Credit) -> None:
        await may_tell.wait()
        await tell(sink, credit)

    seller, payer = await sold(house), await house.agent()
    monkeypatch.setattr(WalletSink, "credit", told_later)
    async with serving(house, serve) as inside:
        _, answer = await failed(house, seller, payer, inside)
        first = answer.body["error"]["details"]["paymentId"]
        await house.settled(first)
        served = await call(house, seller, house.sbtc(payer, 10), "/other")
        assert (served.status, served.headers["X-Satbox-Payment"], deposited(house, payer)) == (200, first, 0)
        may_tell.set()
        await house.until(lambda: house.state(payer).accounts.spent == 10 * SATS)
    assert deposited(house, payer) == 10 * SATS


async def test_two_calls_at_once_take_what_is_left_once(house: House) -> None:
    seller, payer = await sold(house), await house.agent()
    async with serving(house, serve) as inside:
        _, answer = await failed(house, seller, payer, inside)
        await house.settled(answer.body["error"]["details"]["paymentId"])
        nonce = house.nonce(payer)
        both = await asyncio.gather(
            *(call(house, seller, house.sbtc(payer, 10, nonce=nonce), path) for path in ("/a", "/b"))
        )
        assert [each.status for each in both] == [200, 200]
        assert len({each.headers["X-Satbox-Payment"] for each in both}) == 2


async def test_bytes_that_the_chain_knows_are_no_order_on_what_is_left(house: House) -> None:
    """Anybody can copy them: they must not spend their payer's credit on the copier's choice."""
    seller, payer = await sold(house), await house.agent()
    async with serving(house, serve) as inside:
        _, answer = await failed(house, seller, payer, inside)
        await house.settled(answer.body["error"]["details"]["paymentId"])
        public = house.sbtc(payer, 10)
        async with house.devnet.post("/stacks/v2/transactions", data=public.serialize()) as reply:
            assert reply.status == 200
        shown = await call(house, seller, public, "/thief")
        assert shown.headers.get("X-Satbox-Payment") != answer.body["error"]["details"]["paymentId"]


async def test_a_payment_that_stood_for_another_and_was_sent_by_its_payer_is_credited_when_it_is_shown(
    house: House,
) -> None:
    """We never send it; a payer who does so by other means has paid, and need not be registered to have it."""
    seller, payer = await sold(house), await house.agent()
    async with serving(house, serve) as inside:
        _, answer = await failed(house, seller, payer, inside)
        await house.settled(answer.body["error"]["details"]["paymentId"])
        new = house.sbtc(payer, 10)
        assert (await call(house, seller, new, "/other")).status == 200
    async with house.devnet.post("/stacks/v2/transactions", data=new.serialize()) as reply:
        assert reply.status == 200
    house.world.mine()
    deposit = {"address": payer.address, "sats": 10}
    shown = await house.ask("POST", "/bucket/deposit", headers={"payment-signature": header_of(new)}, json=deposit)
    assert shown.status in (201, 202), shown.raw
    await house.settled(shown.body["paymentId"])
    await house.until(lambda: deposited(house, payer) == 20 * SATS)


async def test_what_is_on_chain_goes_into_no_bucket_but_its_payer_s(house: House) -> None:
    payer, other = await house.agent(), await house.agent()
    sent = house.sbtc(payer, 10)
    async with house.devnet.post("/stacks/v2/transactions", data=sent.serialize()) as reply:
        assert reply.status == 200
    house.world.mine()
    headers = {"payment-signature": header_of(sent)}
    shown = await house.ask("POST", "/bucket/deposit", headers=headers, json={"address": other.address, "sats": 10})
    assert (shown.status, shown.code) == (409, "payment_nonce_stale")
