"""A page of another origin pays for a call to a server inside a sandbox and reads the answer as it comes, in a real browser."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from tests.gate.gatehouse import gatehouse, header_of
from tests.gate.test_smuggling import Loopback

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALL = """
async ([url, method, headers]) => {
  const answer = await fetch(url, {method, headers, body: method === "PATCH" ? "{}" : undefined});
  const pieces = [], reader = answer.body ? answer.body.getReader() : null;
  while (reader) {
    const {done, value} = await reader.read();
    if (done) break;
    pieces.push(new TextDecoder().decode(value));
    if (pieces.length === 1 && answer.ok) await fetch(url.replace("/pieces", "/next"));   // only then the rest is sent
  }
  return {status: answer.status, headers: Object.fromEntries(answer.headers), body: pieces.join("")};
}
"""


async def test_a_page_of_another_origin_pays_and_reads_a_stream(browser: Browser, tmp_path: Path) -> None:
    may_go_on = asyncio.Event()
    methods: list[str] = []

    async def sell(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/next":
            may_go_on.set()
            return web.Response()
        methods.append(request.method)
        response = web.StreamResponse(headers={"X-Mine": "here", "X-Got": request.headers.get("X-Own", "")})
        await response.prepare(request)
        await response.write(b"first ")
        async with asyncio.timeout(120):
            await may_go_on.wait()
        await response.write(b"second")
        return response

    async def page_of_others(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="<!doctype html><title>elsewhere</title>", content_type="text/html")

    runners = [web.ServerRunner(web.Server(handler)) for handler in (sell, page_of_others)]
    for runner in runners:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    port, elsewhere = (runner.addresses[0][1] for runner in runners)
    async with gatehouse(tmp_path) as house:
        house.node.processes = Loopback()  # type: ignore[attr-defined]
        seller, payer = await house.agent(), await house.agent()
        await house.created(seller)
        await house.created(payer)
        routes = (Route(port, "/pieces", sats=4, deliver_on="mempool"), Route(port, "/next"))
        house.services.views.put(await house.services.system.ask(seller.address, SetRoutes(routes)))
        url = str(house.client.make_url(f"/sandbox/proxy/{seller.address}/{port}/pieces"))
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{elsewhere}/")

        async def call(method: str, **headers: str) -> dict[str, Any]:
            answer: dict[str, Any] = await page.evaluate(CALL, [url, method, headers])
            return answer

        unpaid = await call("PATCH")
        paid = await call("PATCH", **{"payment-signature": header_of(house.sbtc(payer, 4)), "X-Own": "mine"})
        await context.close()
    for runner in runners:
        await runner.cleanup()

    assert (unpaid["status"], unpaid["headers"]["cache-control"]) == (402, "no-store")
    assert {"payment-required", "x-request-id"} <= set(unpaid["headers"])
    assert (paid["status"], paid["body"], methods) == (200, "first second", ["PATCH"])
    assert {"x-satbox-receipt", "payment-response", "x-request-id", "x-mine"} <= set(paid["headers"])
    assert paid["headers"]["x-got"] == "mine"
