"""Strangers call what runs inside a real sandbox, and pay for it: from a bucket, on chain, or not at all."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from operations.errors import SatboxError
from operations.routes import RouteInput
from tests.service.market import Market, open_market
from tests.service.running_service import RunningService

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

ROUTES = [
    RouteInput(port=8000, path="/free*", rate_per_minute=100_000),
    RouteInput(port=8000, path="/limited", rate_per_minute=2),
    RouteInput(port=8000, path="/genesis", callers="genesis"),
    RouteInput(port=8000, path="/get", methods=["GET"], sats=3),
    RouteInput(port=8000, path="/final", sats=5, deliver_on="confirmed"),
    RouteInput(port=8000, path="/*", sats=2),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def market(service: RunningService) -> AsyncIterator[Market]:
    async with open_market(service, ROUTES, bucket_sats=2_000) as made:
        yield made


async def test_a_deposit_fills_a_bucket_and_starts_nothing(market: Market) -> None:
    status = await market.buyer.until(lambda now: now.balance_sats >= 1_900)
    assert (status.state, status.deposited_usat) == ("none", 2_000_000_000)


async def test_what_is_free_is_free_and_what_has_no_route_is_not_there(market: Market) -> None:
    assert (await market.get("/free/x?y=1"))[1]["path"] == "/free/x?y=1"
    async with market.session.get(market.url("/free").replace("/8000/", "/8001/")) as answer:
        assert answer.status == 404
    async with market.session.post(market.url("/genesis")) as answer:
        assert answer.status == 404
    bearer = f"Bearer {(await market.buyer.client.prove()).token}"
    status, told = await market.get("/genesis", Authorization=bearer)
    assert (status, "Authorization" in told["headers"]) == (200, False)
    assert told["headers"]["X-Satbox-Payer"] == market.buyer.address


@pytest.mark.parametrize(
    "path", ["/free/../get", "/free/%2e%2e/get", "/free//get", "/free%2f..%2fget", "/free/..%5cget", "/free/%252e%252e/get",
             "/free/;/get"],
)  # fmt: skip
async def test_a_path_that_reads_in_two_ways_goes_nowhere(market: Market, path: str) -> None:
    from yarl import URL

    before = await market.served()
    async with market.session.get(URL(market.url(path), encoded=True)) as answer:
        told = await answer.json()
    assert (answer.status, told["error"]["code"]) == (400, "path_ambiguous")
    assert await market.served() == before + 1


async def test_a_limit_is_for_each_caller(market: Market) -> None:
    seen = [(await market.get("/limited"))[0] for _ in range(3)]
    assert seen == [200, 200, 429]


async def test_an_unpaid_call_is_told_its_price_and_never_reaches_the_server(market: Market) -> None:
    before = await market.served()
    async with market.session.get(market.url("/get")) as answer:
        told = await answer.json()
    assert answer.status == 402
    assert [entry["scheme"] for entry in told["accepts"]][-1] == "satbox-bucket"
    assert told["accepts"][0]["amount"] == told["accepts"][-1]["amount"] == "3"
    assert await market.served() == before + 1


async def test_a_call_is_paid_from_the_bucket_and_earned(market: Market) -> None:
    before, earned = await market.settled(), (await market.seller.status()).earnings
    answer = await market.buy("/get")
    told, after = json.loads(answer.body), await market.settled()

    assert (answer.status, answer.sats) == (200, 3)
    assert told["headers"]["X-Satbox-Payer"] == market.buyer.address
    assert "payment-signature" not in {name.lower() for name in told["headers"]}
    assert answer.receipt is not None
    assert answer.receipt["statement"]["usat"] == "3000000"
    assert answer.headers["payment-response"] != "forged"
    assert after["spent"] - before["spent"] == 3_000_000
    assert earned is not None
    await market.seller.until(lambda now: now.earnings.earned_usat == earned.earned_usat + 3_000_000)
    assert (await market.seller.status()).earnings.fees_usat == earned.fees_usat + 60_000


@pytest.mark.parametrize("status", [500, 503])
async def test_a_call_that_fails_costs_nothing(market: Market, status: int) -> None:
    before = await market.settled()
    answer = await market.buy(f"/status/{status}")
    assert (answer.status, answer.sats, answer.receipt) == (status, 0, None)
    assert (await market.settled())["spent"] == before["spent"]


async def test_a_call_that_is_cut_off_before_its_first_byte_costs_nothing(market: Market) -> None:
    before = await market.settled()
    with pytest.raises(SatboxError, match="bad_gateway"):
        await market.buy("/cut")
    assert (await market.settled())["spent"] == before["spent"]


async def test_a_call_at_fault_itself_is_paid(market: Market) -> None:
    before = await market.settled()
    assert (await market.buy("/status/404")).status == 404
    assert (await market.settled())["spent"] == before["spent"] + 2_000_000


async def test_too_dear_is_not_signed(market: Market) -> None:
    with pytest.raises(SatboxError, match="max_sats_exceeded"):
        await market.buy("/get", max_sats=2)


async def test_an_order_pays_once_for_the_call_it_names(market: Market) -> None:
    from satbox.client import paid_calls

    async with market.session.get(market.url("/get")) as unpaid:
        required = await unpaid.json()
    where = paid_calls._where(market.buyer.client, market.url("/get"))
    order, _sats = paid_calls._order(market.buyer.client, "GET", where, required, 10)

    def header(**changes: Any) -> dict[str, str]:
        network = market.buyer.client.settings.network
        payload = {
            "order": {**order.wire(), **changes},
            "signature": order.signed(market.buyer.agent.stacks_key, network),
        }
        return {
            "payment-signature": base64.b64encode(json.dumps({"x402Version": 2, "payload": payload}).encode()).decode()
        }

    codes = []
    for path, changes in (("/get", {"maxSats": 2}), ("/get", {"nonce": "0" * 32}), ("/other", {}), ("/get", {})):
        status, told = await market.get(path, **header(**changes))
        codes.append(told["error"]["code"] if status != 200 else "ok")
    again = await asyncio.gather(*(market.get("/get", **header()) for _ in range(5)))

    assert codes == ["order_too_small", "stx_signature_invalid", "order_invalid", "ok"]
    assert {status for status, _ in again} == {409}
    assert {told["error"]["code"] for _, told in again} == {"order_used"}


async def test_nobody_calls_on_an_empty_bucket(market: Market) -> None:
    poor = await market.service.agent()
    with pytest.raises(SatboxError) as caught:
        await poor.client.call(market.url("/get"))
    assert caught.value.code in ("wallet_not_found", "credit_insufficient")
    await poor.client.close()


async def test_many_calls_at_once_are_all_paid_and_earned(market: Market) -> None:
    before, earned = await market.settled(), (await market.seller.status()).earnings
    answers = []
    for first in (0, 30):  # one caller has half of a seller's places at most
        answers += await asyncio.gather(*(market.buy(f"/n/{number}") for number in range(first, first + 30)))
    after = await market.settled()

    assert [answer.status for answer in answers] == [200] * 60
    assert after["spent"] - before["spent"] == 120_000_000
    assert earned is not None
    await market.seller.until(lambda now: now.earnings.earned_usat == earned.earned_usat + 120_000_000)
    await market.buyer.books()
    await market.seller.books()
