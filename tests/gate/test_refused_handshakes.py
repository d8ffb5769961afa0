"""A websocket handshake that the server inside refuses is answered as the server says, and billed as any other answer."""

import asyncio

import pytest
from aiohttp import web

from gate.proxy.websockets import REFUSAL_BYTES_MAX
from tests.gate.gatehouse import Answer, House, Who, header_of
from tests.gate.inside import serving
from tests.gate.test_handshakes_and_heads import sold
from tests.gate.test_smuggling import Loopback

HANDSHAKE = {
    "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
asked: list[str] = []


async def answer(request: web.Request) -> web.StreamResponse:
    asked.append(request.path)
    status = int(request.path.strip("/"))
    headers = {"X-Mine": "yes", "Location": "/elsewhere"} if status == 302 else {"X-Mine": "yes"}
    return web.Response(status=status, text=f"no: {status}", headers=headers)


async def shaken(house: House, owner: Who, port: int, path: str) -> Answer:
    headers = {**house.bearer(owner), **HANDSHAKE}
    return await house.ask(
        "GET", f"/sandbox/proxy/{owner.address}/{port}{path}", headers=headers, allow_redirects=False
    )


async def test_the_answer_passes_as_it_is(house: House) -> None:
    owner = await house.agent()
    await house.created(owner)
    async with serving(house, answer):
        for status in (200, 302, 401, 403, 404, 426, 429, 500, 503):
            asked.clear()
            answered = await shaken(house, owner, 8000, f"/{status}")
            assert (answered.status, answered.raw, answered.headers["X-Mine"]) == (
                status,
                f"no: {status}".encode(),
                "yes",
            )
            assert answered.headers["X-Satbox-Origin"] == "sandbox"
            assert asked == [f"/{status}"], "a redirect is the caller's to follow"
            if status == 302:
                assert answered.headers["Location"] == f"/sandbox/proxy/{owner.address}/8000/elsewhere"


NO = b"HTTP/1.1 404 Not Found\r\n"
RAW = [
    (NO + b"Content-Length: 2\r\n\r\nno", 404),
    (NO + b"\r\nno", 404),
    (NO + b"Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 404),
    (NO + b"Content-Length: 5\r\n\r\nno", 502),
    (NO + b"\r\n" + b"x" * (REFUSAL_BYTES_MAX + 1), 502),
    (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n", 502),
]


async def test_it_is_whole_or_an_error(house: House) -> None:
    said = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    owner = await house.agent()
    await house.created(owner)
    house.node.processes = Loopback()  # type: ignore[attr-defined]
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for said, status in RAW:
            answered = await shaken(house, owner, port, "/x")
            assert answered.status == status, said[:80]
            assert answered.code == "bad_gateway" if status == 502 else answered.raw == b"no"


@pytest.mark.parametrize(("status", "is_paid"), [(404, True), (503, False)])
async def test_it_is_billed_as_any_other_answer(house: House, status: int, is_paid: bool) -> None:
    async with serving(house, answer):
        seller, payer = await sold(house), await house.agent()
        sent = {"payment-signature": header_of(house.sbtc(payer, 10)), **HANDSHAKE}
        answered = await house.ask("GET", f"/sandbox/proxy/{seller.address}/8000/{status}", headers=sent)
    assert (answered.status, answered.raw) == (status, f"no: {status}".encode())
    assert ("X-Satbox-Receipt" in answered.headers, len(house.state(payer).promises)) == (is_paid, int(is_paid))
