"""Callers who would have a paid answer, or a seller's work, for nothing; against a real sandbox, byte by byte."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from operations.routes import RouteInput
from tests.service.market import Market, open_market
from tests.service.running_service import RunningService

BURST, PER_SECOND = 200, 50
"""Open requests of one peer, as the gate has them when nobody says otherwise."""
pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

SELLER = """
import http.server, json, socketserver, time
served = []
class Seller(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path.startswith("/slow"):
            time.sleep(3)
        served.append(self.path)
        told = json.dumps({"path": self.path, "served": served}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(told))); self.end_headers()
        self.wfile.write(told)
    do_POST = do_GET
    def log_message(self, *_): pass
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer(("127.0.0.1", 8000), Seller).serve_forever()
"""
ROUTES = [
    RouteInput(port=8000, path="/paid", methods=["GET"], sats=3),
    RouteInput(port=8000, path="/slow", sats=7),
    RouteInput(port=8000, path="/*", rate_per_minute=100_000),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def market(service: RunningService) -> AsyncIterator[Market]:
    async with open_market(service, ROUTES, program=SELLER, bucket_sats=500) as made:
        yield made


async def raw(market: Market, line: str, *headers: str) -> str:
    """A request as it is written here, and its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", market.service.settings.gate.port)
    writer.write("\r\n".join([line, "Host: x", *headers, "", ""]).encode())
    async with asyncio.timeout(120):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head.decode("latin-1")


@pytest.mark.parametrize("tail", ["/paid#", "/paid#x?y", "/PAID", "/paid/"])
@pytest.mark.parametrize("before", ["", "http://elsewhere"])
async def test_a_paid_path_in_disguise_is_not_served_as_a_free_one(market: Market, tail: str, before: str) -> None:
    prefix = f"{before}/sandbox/proxy/{market.seller.address}/8000"
    head = await raw(market, f"GET {prefix}{tail} HTTP/1.1", "Connection: close")
    assert head.startswith("HTTP/1.1 400 ")
    assert "/paid" not in (await market.get("/free"))[1]["served"]


async def test_a_handshake_is_no_get_where_another_method_is_free(market: Market) -> None:
    before = (await market.get("/free"))[1]["served"].count("/other")
    prefix = f"/sandbox/proxy/{market.seller.address}/8000"
    await market.seller.client.routes_set(
        routes=[RouteInput(port=8000, path="/other", methods=["GET"], sats=3), *ROUTES]
    )
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
    head = await raw(market, f"PUT {prefix}/other HTTP/1.1", "Connection: Upgrade", *upgrade)
    await market.seller.client.routes_set(routes=ROUTES)
    assert head.startswith("HTTP/1.1 501 ")  # this server knows no PUT
    assert (await market.get("/free"))[1]["served"].count("/other") == before


async def test_a_call_asked_for_as_a_websocket_is_paid_like_any_other(market: Market) -> None:
    before = await market.settled()
    upgrade = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    headers = {**upgrade, **market.order("/paid", 3)}
    async with market.session.get(market.url("/paid"), headers=headers) as answer:
        assert (answer.status, "X-Satbox-Receipt" in answer.headers) == (200, True)
    assert (await market.settled())["spent"] == before["spent"] + 3_000_000


async def test_an_order_that_ends_while_it_is_served_is_paid(market: Market) -> None:
    before = await market.settled()
    async with market.session.get(market.url("/slow"), headers=market.order("/slow", 7, 2)) as answer:
        assert answer.status == 200
    assert (await market.settled())["spent"] == before["spent"] + 7_000_000
    late = market.order("/slow", 7, -1)
    async with market.session.get(market.url("/slow"), headers=late) as answer:
        assert (await answer.json())["error"]["code"] == "order_expired"


async def test_strangers_who_hold_on_do_not_lock_the_owner_out(market: Market) -> None:
    prefix = f"/sandbox/proxy/{market.seller.address}/8000"
    port = market.service.settings.gate.port
    begun = f"POST {prefix}/hold HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
    peers = [("127.0.0.1", 0)] * 40 + [("127.0.0.2", 0)] * 40
    held = [await asyncio.open_connection("127.0.0.1", port, local_addr=peer) for peer in peers]
    try:
        for _, writer in held:
            writer.write(begun)
        answers = await asyncio.gather(
            *(asyncio.wait_for(reader.read(12), 2) for reader, _ in held), return_exceptions=True
        )
        assert answers.count(b"HTTP/1.1 429") >= 16
        bearer = f"Bearer {(await market.seller.client.prove()).token}"
        assert (await market.get("/free", Authorization=bearer))[0] == 200
        other = await market.buyer.client.call(market.url("/paid"))
        assert other.status == 200
    finally:
        for _, writer in held:
            writer.close()


async def test_a_payment_for_show_is_no_way_around_the_limit_of_a_peer(market: Market) -> None:
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.3", 0), limit=8)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(path: str, **headers: str) -> int:
            async with session.get(market.url(path), headers={"payment-signature": "e30=", **headers}) as answer:
                return answer.status

        clock = asyncio.get_running_loop().time
        began = clock()
        free = await asyncio.gather(*(ask("/free") for _ in range(400)))
        admitted = BURST + PER_SECOND * (clock() - began + 1)
        assert free.count(200) <= admitted
        assert 429 in free or admitted >= 400, "as on a machine that takes longer for them than the limit does"
        guessed = await asyncio.gather(*(ask("/free", **{"X-Satbox-Token": "guess"}) for _ in range(200)))
        assert set(guessed) == {404, 429}
