"""Pages of other origins may read every answer with its headers, streamed or not, from us or from inside."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from gate.wire.cors import ASKED_MAX, EXPOSED
from tests.gate.gatehouse import House, Who
from tests.gate.stock_servers import exchange
from tests.gate.test_smuggling import Loopback

ORIGIN = {"Origin": "https://any.example"}


@pytest.fixture
async def inner() -> AsyncIterator[int]:
    """The port of a server that answers at once, in pieces, with an error, or breaks off."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        status = 500 if request.path == "/broken" else 200
        headers = {"X-Mine": "1", "Access-Control-Allow-Origin": "https://only.example", "Set-Cookie": "a=1"}
        if request.path != "/pieces":
            return web.Response(status=status, text=request.method, headers=headers)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for _ in range(3):
            await response.write(b"piece ")
            await asyncio.sleep(0)
        return response

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def opened(house: House, port: int, *routes: Route) -> Who:
    house.node.processes = Loopback()  # type: ignore[attr-defined]
    seller = await house.agent()
    await house.created(seller)
    house.services.views.put(await house.services.system.ask(seller.address, SetRoutes(routes)))
    return seller


@pytest.mark.parametrize(
    ("method", "tail", "status"),
    [
        ("GET", "/whole", 200), ("GET", "/pieces", 200), ("PATCH", "/pieces", 200), ("HEAD", "/whole", 200),
        ("GET", "/broken", 500), ("GET", "/paid", 402), ("GET", "/a//b", 400), ("GET", "@1/closed", 404),
    ],
)  # fmt: skip
async def test_every_answer_through_the_proxy_can_be_read(
    house: House, inner: int, method: str, tail: str, status: int
) -> None:
    seller = await opened(house, inner, Route(inner, "/paid", sats=4), Route(inner, "/*"))
    path = f"/sandbox/proxy/{seller.address}/{inner}{tail}".replace(f"{inner}@", "")
    answer = await house.ask(method, path, headers=ORIGIN)
    assert answer.status == status, answer.raw
    assert answer.headers.getall("Access-Control-Allow-Origin") == ["*"]
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert set(EXPOSED) <= set(exposed)
    assert ("x-mine" in exposed) == ("X-Mine" in answer.headers) == (status in (200, 500))
    assert "set-cookie" not in exposed
    assert (answer.headers.get("Cache-Control") == "no-store") == (status == 402)


async def test_so_can_the_gate_s_own(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    priced = await house.ask("POST", "/sandbox/extend", who=who, json={"sats": 10})
    unknown = await house.ask("GET", "/nothing")
    assert (priced.status, priced.headers["Cache-Control"], unknown.status) == (402, "no-store", 404)
    url = f"/sandbox/events?address={who.address}&follow=true"
    async with house.client.get(url, headers={**house.bearer(who), "Accept": "text/event-stream"}) as events:
        seen = [priced.headers, unknown.headers, events.headers]
    assert house.client.port is not None
    malformed = (await exchange(house.client.port, b"GET / HTTP/1.1\r\nbroken\r\n\r\n")).decode()
    assert malformed.split(" ")[1] == "400"
    assert "Access-Control-Allow-Origin: *\r\n" in malformed
    assert all(headers["Access-Control-Allow-Origin"] == "*" for headers in seen)
    assert all("retry-after" in headers["Access-Control-Expose-Headers"] for headers in seen)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "PUT", "DELETE", "PROPFIND"])
async def test_a_preflight_allows_what_was_asked_for(house: House, method: str) -> None:
    own = "X-Mine, x-satbox-token,payment-signature , X-Api-Key, bad name, bad\x7f"
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": own.rpartition(",")[0]}
    answer = await house.ask("OPTIONS", "/sandbox/proxy/SP1/80/x", headers={**ORIGIN, **asked})
    assert answer.status == 204
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"x-mine", "x-satbox-token", "payment-signature", "x-api-key", "authorization"} <= set(allowed)
    assert "bad name" not in allowed
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_preflight_is_bounded_and_allows_no_echo(house: House) -> None:
    names = ",".join(f"x-{number}" for number in range(500))
    asked = {"Access-Control-Request-Method": "TRACE", "Access-Control-Request-Headers": names}
    answer = await house.ask("OPTIONS", "/x", headers={**ORIGIN, **asked})
    assert "TRACE" not in answer.headers["Access-Control-Allow-Methods"]
    assert len(answer.headers["Access-Control-Allow-Headers"].split(",")) <= ASKED_MAX + 10
