"""SIGKILL of the gate while calls are under way: what was set aside goes back, and an order is paid once."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from operations.errors import SatboxError
from operations.routes import RouteInput
from tests.service.market import Market, open_market
from tests.service.running_service import RunningService, eventually

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

SELLER = """
import http.server, json, socketserver, threading
begun, ended, may_answer = [], [], threading.Event()
class Seller(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/free/let-go":
            may_answer.set()
        elif self.path.startswith("/held"):
            begun.append(self.path)
            may_answer.wait()
            ended.append(self.path)
        told = json.dumps({"begun": len(begun), "ended": len(ended)}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(told))); self.end_headers()
        self.wfile.write(told)
    def log_message(self, *_): pass
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer.request_queue_size = 64
socketserver.ThreadingTCPServer(("127.0.0.1", 8000), Seller).serve_forever()
"""
ROUTES = [RouteInput(port=8000, path="/free/*", rate_per_minute=100_000), RouteInput(port=8000, path="/*", sats=5)]
SATS = 1_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def market(service: RunningService) -> AsyncIterator[Market]:
    async with open_market(service, ROUTES, program=SELLER, bucket_sats=2_000) as made:
        yield made


async def test_a_call_whose_gate_dies_before_its_answer_costs_nothing(market: Market) -> None:
    before, earned = await market.settled(), await market.earned_usat()
    calling = asyncio.create_task(market.buy("/held"))

    async def is_under_way() -> bool:
        _, told = await market.get("/free/count")
        accounts = (await market.buyer.client.sandbox_ledger(limit=1)).accounts
        return bool(told["begun"] == 1 and accounts["reserved"] >= 5 * SATS)

    await eventually(is_under_way)
    await market.service.kill("gate")
    with pytest.raises(SatboxError) as caught:
        await calling
    assert (caught.value.code, caught.value.funds_moved) == ("ambiguous", "unknown")
    await market.seller.status()  # the next gate is there

    async def has_answered_nobody() -> bool:
        return bool((await market.get("/free/let-go"))[1]["ended"] == 1)

    async def is_given_back() -> bool:
        return (await market.settled())["reserved"] == 0

    await eventually(has_answered_nobody)
    await eventually(is_given_back)
    after = await market.settled()
    assert (after["bucket"], after["spent"]) == (before["bucket"], before["spent"])
    assert await market.earned_usat() == earned
    await market.buyer.books()
    await market.seller.books()


async def test_orders_that_a_gate_died_over_are_each_paid_once_when_they_are_shown_again(market: Market) -> None:
    before, earned = await market.settled(), await market.earned_usat()
    orders = [market.order("/quick", 5) for _ in range(30)]
    answers: list[int] = []

    async def show(order: dict[str, str]) -> str:
        async with market.session.get(market.url("/quick"), headers=order) as answer:
            answers.append(answer.status)
            return "paid" if answer.status == 200 else str((await answer.json())["error"]["code"])

    async def show_at_once(order: dict[str, str]) -> str:
        try:
            return await show(order)
        except aiohttp.ClientError:
            return "lost"

    showing = [asyncio.create_task(show_at_once(order)) for order in orders]

    async def first_answer() -> None:
        async with asyncio.timeout(120):
            while not answers:
                await asyncio.sleep(0)

    await market.service.kill("gate", first_answer())  # the others are somewhere between their order and their answer
    first = await asyncio.gather(*showing)
    await market.seller.status()
    again = [await show(order) for order in orders]

    assert "lost" in first
    assert set(first) <= {"lost", "paid"}
    assert set(again) <= {"order_used", "paid"}
    assert all(later == "order_used" for told, later in zip(first, again, strict=True) if told == "paid")

    async def is_posted() -> bool:
        moved = (await market.settled())["spent"] - before["spent"]
        assert moved <= len(orders) * 5 * SATS
        return moved == len(orders) * 5 * SATS

    await eventually(is_posted)
    await market.seller.until(lambda now: now.earnings.earned_usat == earned + len(orders) * 5 * SATS)
    await market.buyer.books()
    await market.seller.books()
