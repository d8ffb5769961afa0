"""What is wrong with a call's own head, or with the head of its answer, is found before anybody has paid."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from gate.front.connections import KEPT_HEAD_BYTES_MAX
from tests.gate.gatehouse import House, Who, gatehouse, header_of
from tests.gate.inside import serving
from tests.gate.test_smuggling import Loopback


async def sold(house: House, port: int = 8000, deliver_on: str = "mempool") -> Who:
    seller = await house.agent()
    await house.created(seller, 500)
    routes = SetRoutes((Route(port, "/*", sats=10, deliver_on=deliver_on),))
    house.services.views.put(await house.services.system.ask(seller.address, routes))
    return seller


async def test_a_handshake_that_is_none_reaches_nobody_and_costs_nothing(house: House) -> None:
    asked: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        return socket

    seller, payer = await sold(house), await house.agent()
    async with serving(house, serve):
        sent = {"payment-signature": header_of(house.sbtc(payer, 10)), "Upgrade": "websocket", "Connection": "Upgrade"}
        answer = await house.ask("GET", f"/sandbox/proxy/{seller.address}/8000/x", headers=sent)
    assert (answer.status, answer.code, answer.body["error"]["details"]["creditedTo"]) == (
        400, "invalid_request", payer.address,
    )  # fmt: skip
    assert (asked, house.state(payer).promises) == ([], ())


async def test_a_reason_that_cannot_be_written_is_no_paid_answer(house: House) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 O\x1b[31mK\r\nContent-Length: 2\r\n\r\nhi")
        writer.close()

    house.node.processes = Loopback()  # type: ignore[attr-defined]
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, asyncio.timeout(60):
        port = server.sockets[0].getsockname()[1]
        seller, payer = await sold(house, port), await house.agent()
        sent = {"payment-signature": header_of(house.sbtc(payer, 10))}
        answer = await house.ask("GET", f"/sandbox/proxy/{seller.address}/{port}/x", headers=sent)
    assert (answer.status, answer.code, house.state(payer).promises) == (502, "bad_gateway", ())


async def test_one_payment_shown_many_times_keeps_nobody_out(tmp_path: Path) -> None:
    async def serve(_request: web.Request) -> web.Response:
        return web.Response(text="served")

    async with gatehouse(tmp_path, call_wait_seconds=600.0) as house, serving(house, serve), asyncio.timeout(120):
        seller, payer = await sold(house, deliver_on="confirmed"), await house.agent()
        path, sent = f"/sandbox/proxy/{seller.address}/8000/x", {"payment-signature": header_of(house.sbtc(payer, 10))}
        shown = [asyncio.create_task(house.ask("GET", path, headers=sent)) for _ in range(64)]
        _, waiting = await asyncio.wait(shown, return_when=asyncio.FIRST_COMPLETED)
        while len(waiting) > 1:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        stranger = await house.ask("GET", path)
        answers = [task.result() for task in shown if task.done()]
        assert stranger.status == 402
        assert {answer.status for answer in answers} <= {202, 429}  # 429: over one caller's share of the places
        under_way = next(answer for answer in answers if answer.status == 202)
        await house.settled(under_way.body["paymentId"])
        assert (await waiting.pop()).status == 200


@pytest.mark.parametrize(("size", "is_kept"), [(100, True), (KEPT_HEAD_BYTES_MAX, False)])
async def test_a_connection_does_not_wait_with_a_large_head(house: House, size: int, is_kept: bool) -> None:
    answer = await house.ask("GET", "/health", headers={"X-Filler": "x" * size})
    assert (answer.status, answer.headers.get("Connection") != "close") == (200, is_kept)
