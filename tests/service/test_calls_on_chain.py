"""Calls paid by a transaction, a sandbox that traffic wakes, and a service that dies between a call and its payment."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from operations.routes import RouteInput
from satbox.agent.paying import Limits, choose
from tests.service.market import SELLER, Market, open_market, sell
from tests.service.running_service import Owner, RunningService, eventually

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

ROUTES = [
    RouteInput(port=8000, path="/free", wakes=True, wakes_per_hour=100, rate_per_minute=100_000),
    RouteInput(port=8000, path="/final", sats=5, deliver_on="confirmed"),
    RouteInput(port=8000, path="/dear", sats=1_001, deliver_on="mempool"),
    RouteInput(port=8000, path="/*", sats=4, deliver_on="mempool", wakes=True, wakes_per_hour=100),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def market(service: RunningService) -> AsyncIterator[Market]:
    async with open_market(service, ROUTES, sats=3_000) as made:
        yield made


async def header(market: Market, path: str, *, asset: str = "sBTC", buyer: Owner | None = None) -> dict[str, str]:
    """A payment for what the 402 of this path asks."""
    client = (buyer or market.buyer).client
    async with market.session.get(market.url(path)) as unpaid:
        assert unpaid.status == 402, await unpaid.text()
        required = await unpaid.json()
    offer = choose(required, client.settings.network, Limits(10_000, asset), int(client.now_seconds() * 1000))
    signer = client._payer()
    assert signer is not None
    signed = await signer.sign(offer, sponsored=False)
    return {"payment-signature": signed.header}


@pytest.mark.parametrize("asset", ["sBTC", "STX"])
async def test_a_call_paid_on_chain_is_answered_and_earned_once_it_confirms(market: Market, asset: str) -> None:
    before = (await market.seller.status()).earnings
    paid = await header(market, "/chain", asset=asset)
    async with market.session.get(market.url("/chain"), headers=paid) as answer:
        told, receipt = await answer.json(content_type=None), answer.headers["X-Satbox-Receipt"]
        assert (answer.status, told["headers"]["X-Satbox-Payer"]) == (200, market.buyer.address)
    async with market.session.get(market.url("/chain"), headers=paid) as again:
        assert (again.status, (await again.json())["error"]["code"]) == (409, "order_used")

    statement = json.loads(base64.urlsafe_b64decode(receipt))["statement"]
    assert (statement["kind"], statement["usat"]) == ("call", "4000000")
    assert before is not None
    await market.seller.until(lambda now: now.earnings.earned_usat == before.earned_usat + 4_000_000)
    assert (await market.buyer.status()).state == "none"


async def test_a_call_that_failed_leaves_the_payment_in_the_payers_bucket(market: Market) -> None:
    before = await market.settled()
    paid = await header(market, "/status/500")
    async with market.session.get(market.url("/status/500"), headers=paid) as answer:
        assert (answer.status, answer.headers["X-Satbox-Credited"]) == (500, market.buyer.address)

    async def credited() -> bool:
        return (await market.settled())["deposits"] == before["deposits"] - 4_000_000

    await eventually(credited)
    after = await market.settled()
    assert (after["bucket"], after["spent"]) == (before["bucket"] + 4_000_000, before["spent"])


async def test_a_route_that_waits_for_confirmation_waits(market: Market) -> None:
    before = await market.seller.status()
    paid = await header(market, "/final")
    await market.service.devnet("faults", {"kind": "hold_confirmations"})
    try:
        async with market.session.get(market.url("/final"), headers=paid) as answer:
            told = await answer.json()
            assert (answer.status, told["status"], answer.headers["Retry-After"]) == (202, "mempool", "3")
    finally:
        await market.service.heal()
    await market.buyer.confirmed(told["paymentId"])
    async with market.session.get(market.url("/final"), headers=paid) as answer:
        assert answer.status == 200
    assert before.earnings is not None
    earned = before.earnings.earned_usat + 5_000_000
    await market.seller.until(lambda now: now.earnings.earned_usat == earned)


async def test_traffic_wakes_a_sandbox_with_credit_once_for_all_who_wait(market: Market) -> None:
    await market.seller.client.sandbox_reap()
    answers = await asyncio.gather(*(market.get("/free") for _ in range(5)))
    assert {status for status, _ in answers} == {200}
    assert sorted(told["served"] for _, told in answers) == [1, 2, 3, 4, 5]


async def test_a_paid_call_wakes_it_too(market: Market) -> None:
    deposit = await market.buyer.client.bucket_deposit(address=market.buyer.address, sats=500)
    await market.buyer.confirmed(deposit.paymentId)
    await market.buyer.until(lambda now: now.balance_sats >= 400)
    await market.seller.client.sandbox_reap()
    answer = await market.buy("/woken")
    assert (answer.status, answer.sats) == (200, 4)


async def test_without_credit_an_unpaid_call_is_offered_the_price_of_a_wake(market: Market) -> None:
    poor = await market.service.agent()
    await poor.client.sandbox_create(sats=100)
    await poor.until(lambda now: now.state == "alive")
    await poor.client.routes_set(routes=[RouteInput(port=8000, path="/*", wakes=True)])
    await sell(poor, SELLER)
    operator = market.service.client(None)
    await operator.operator_rate(address=poor.address, rate_usat_per_second=30_000_000)
    await poor.until(lambda now: now.state == "reaped")
    await operator.operator_rate(address=poor.address, rate_usat_per_second=7_000)
    url = market.url("/x").replace(market.seller.address, poor.address)
    async with market.session.get(url) as unpaid:
        required = await unpaid.json()
        assert (unpaid.status, required["accepts"][0]["extra"]["purpose"]) == (402, "wake")
    limits, client = Limits(10_000, "sBTC"), market.buyer.client
    offer = choose(required, client.settings.network, limits, int(client.now_seconds() * 1000))
    signer = client._payer()
    assert signer is not None
    signed = await signer.sign(offer, sponsored=False)
    async with market.session.get(url, headers={"payment-signature": signed.header}) as paid:
        assert paid.status in (201, 202), await paid.text()

    async def served() -> int | None:
        async with market.session.get(url) as answer:
            told = await answer.json(content_type=None)
            assert answer.status in (200, 409), told  # never another 402: a client would pay again
            return told["served"] if answer.status == 200 else None

    assert await eventually(served) == 1
    await poor.client.sandbox_reap(destroy=True)
    async with market.session.get(url) as gone:
        assert gone.status == 410
    for each in (poor.client, operator):
        await each.close()


async def test_a_payment_survives_the_death_of_every_part_after_the_call(market: Market) -> None:
    before = (await market.seller.status()).earnings
    assert before is not None
    paid = await header(market, "/survive")
    await market.service.devnet("faults", {"kind": "hold_confirmations"})
    try:
        async with market.session.get(market.url("/survive"), headers=paid) as answer:
            assert answer.status == 200
        await market.service.kill("hosts")
        await market.service.kill("settlements")
    finally:
        await market.service.heal()
    await market.seller.until(lambda now: now.earnings.earned_usat == before.earned_usat + 4_000_000)
    await market.settled()
    books: dict[str, Any] = await market.buyer.books()
    assert books["in_transit"] == 0
