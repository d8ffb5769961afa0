"""A page behind `ports expose` in a real browser: all of it works at the port's own origin, and no other page gets at it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser

from actors.wallet.calls import Route
from actors.wallet.commands import Expose, SetRoutes
from gate.identity.port_tokens import token_hash
from tests.gate.gatehouse import House, gatehouse
from tests.gate.test_smuggling import Loopback
from tests.pages.browsing import visiting

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "pt_" + "aB3-_" * 8 + "xyz"
PAGE = """<!doctype html><title>home</title><link rel="stylesheet" href="/style.css"><link rel="icon" href="data:,">
<main id="app">plain</main><script src="/app.js"></script>"""
SCRIPT = """
const app = document.getElementById("app");
localStorage.setItem("kept", "1");
document.cookie = "mine=1; path=/";
const socket = new WebSocket(`ws://${location.host}/ws`);
socket.onmessage = async (message) => {
  await navigator.serviceWorker.register("/worker.js", {scope: "/"});
  const back = await (await fetch("/echo", {method: "POST", body: "x"})).text();
  app.textContent = [message.data, back, document.cookie, localStorage.getItem("kept"), location.href].join(" | ");
};
"""
TAKES_OVER = """
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
"""
PASSES_ON = TAKES_OVER + 'addEventListener("fetch", (event) => event.respondWith(fetch(event.request)));'
HAS_ALL = (
    TAKES_OVER
    + """
addEventListener("install", (event) => event.waitUntil(caches.open("1").then((all) => all.add("/shell"))));
addEventListener("fetch", (event) => { if (event.request.mode === "navigate") event.respondWith(caches.match("/shell")); });
"""
)
"""Of an app that works offline: no page of it is ever asked of the network again."""
SHELL = """<!doctype html><link rel="icon" href="data:,"><main id="app"></main><script>
fetch("/echo").then((answer) => { document.getElementById("app").textContent = answer.status; });</script>"""
REGISTER = """
async (script) => {
  await navigator.serviceWorker.register(script);
  await navigator.serviceWorker.ready;
  while (!navigator.serviceWorker.controller) await new Promise((done) => setTimeout(done, 20));
}
"""
FILES = {
    "/": (PAGE, "text/html"),
    "/style.css": ("main { color: rgb(1, 2, 3); }", "text/css"),
    "/app.js": (SCRIPT, "text/javascript"),
    "/worker.js": ("", "text/javascript"),
    "/quiet": ('<!doctype html><link rel="icon" href="data:,"><main>quiet</main>', "text/html"),
    "/passes-on.js": (PASSES_ON, "text/javascript"),
    "/has-all.js": (HAS_ALL, "text/javascript"),
    "/shell": (SHELL, "text/html"),
}


@contextlib.asynccontextmanager
async def served(asked: list[tuple[str, str]]) -> AsyncIterator[int]:
    """A site that expects to have its origin for itself; answers with its port."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked.append((request.method, request.path_qs))
        if "Upgrade" in request.headers:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str(f"socket {request.cookies.get('sid')}")
            await socket.receive()
            return socket
        if request.path == "/login":
            response = web.Response(status=302, headers={"Location": f"http://localhost:{port}/"})
            response.set_cookie("sid", "7", httponly=True)
            return response
        if request.path == "/echo":
            return web.Response(text=f"{request.method} {request.cookies.get('sid')} {request.headers['Host']}")
        text, kind = FILES[request.path]
        return web.Response(text=text, content_type=kind)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    yield port
    await runner.cleanup()


async def exposed(house: House, port: int, *commands: Any) -> str:
    """A fresh wallet's origin of a port that the token opens."""
    owner = await house.agent()
    await house.created(owner)
    for command in (Expose(port, token_hash(TOKEN), house.clock.wall_ms() + 600_000), *commands):
        house.services.views.put(await house.services.system.ask(owner.address, command))
    return f"http://{port}-{owner.address.lower()}.localhost:{house.client.port}"


ATTACK = """
async (origin) => {
  const told = {};
  for (const credentials of ["omit", "include"])
    told[credentials] = await fetch(origin + "/echo", {method: "POST", credentials, mode: "no-cors"}).then((a) => a.type, String);
  told.socket = await new Promise((done) => {
    const socket = new WebSocket(origin.replace("http", "ws") + "/ws");
    socket.onmessage = () => done("open"); socket.onerror = () => done("refused");
  });
  told.script = await new Promise((done) => {
    const script = document.createElement("script");
    script.onload = () => done("ran"); script.onerror = () => done("refused");
    script.src = origin + "/app.js"; document.body.append(script);
  });
  await new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.onload = done; frame.src = origin + "/"; document.body.append(frame);
  });
  return told;
}
"""


async def test_a_site_works_at_its_own_origin_and_no_other_page_gets_at_it(browser: Browser, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    async with (
        served(asked) as port,
        gatehouse(tmp_path, ports_host="localhost", public_url="http://127.0.0.1") as house,
    ):
        house.node.processes = Loopback()  # type: ignore[attr-defined]
        origin = await exposed(house, port)
        sibling = await exposed(
            house, port, SetRoutes((Route(port, "/*"),))
        )  # free for anybody, also at its own origin
        async with visiting(browser, origin) as visit:
            await visit.open(f"/login?satbox_token={TOKEN}")
            await visit.until("document.getElementById('app').textContent.startsWith('socket')")
            text = await visit.text("#app")
            colour = await visit.page.evaluate("getComputedStyle(document.querySelector('main')).color")
            cookies = {each["name"]: each for each in await visit.context.cookies(origin)}

            seen = list(asked)
            page = await visit.context.new_page()
            await page.goto(sibling)
            # The sibling asks the same server for the same paths: only when it has all of its own is the rest the attack's.
            await page.wait_for_function("document.getElementById('app').textContent.startsWith('socket')")
            asked.clear()
            told = await page.evaluate(ATTACK, origin)
            by_attack = list(asked)
            link = await visit.context.new_page()
            await link.goto(sibling)
            await link.evaluate(f"location.href = '{origin}/'")
            await link.wait_for_url(f"{origin}/")
            linked = await link.inner_text("#app")

    assert text == f"socket 7 | POST 7 localhost:{port} | mine=1 | 1 | {origin}/"
    assert colour == "rgb(1, 2, 3)"
    assert cookies["satbox-port"]["value"] == TOKEN
    assert (cookies["satbox-port"]["httpOnly"], cookies["satbox-port"]["sameSite"]) == (True, "Lax")
    assert all(each["domain"] == origin.removeprefix("http://").partition(":")[0] for each in cookies.values())
    assert seen[:2] == [("GET", "/login"), ("GET", "/")]
    assert {("GET", "/style.css"), ("GET", "/app.js"), ("GET", "/ws"), ("GET", "/worker.js"), ("POST", "/echo")} <= set(
        seen
    )
    assert TOKEN not in str(seen)
    assert (told["socket"], told["script"]) == ("refused", "refused")
    assert by_attack == []
    assert linked == "plain" or linked.startswith("socket")


async def test_a_service_worker_keeps_nobody_out(browser: Browser, tmp_path: Path) -> None:
    async with (
        served([]) as port,
        gatehouse(tmp_path, ports_host="localhost", public_url="http://127.0.0.1") as house,
    ):
        house.node.processes = Loopback()  # type: ignore[attr-defined]
        origin, other = await exposed(house, port), await exposed(house, port, SetRoutes((Route(port, "/*"),)))
        async with visiting(browser, origin) as visit:
            await visit.open(f"/quiet?satbox_token={TOKEN}")
            await visit.page.evaluate(REGISTER, "/passes-on.js")
            elsewhere = await visit.context.new_page()
            await elsewhere.goto(f"{other}/quiet")
            await elsewhere.evaluate(f"location.href = '{origin}/quiet?linked'")
            await elsewhere.wait_for_url("**/quiet?linked")
            assert await elsewhere.inner_text("main") == "quiet"

            await visit.context.clear_cookies()
            await visit.open(f"/quiet?satbox_token={TOKEN}")
            assert visit.page.url == f"{origin}/quiet", "through a worker a token comes in as ever"

            await visit.page.evaluate(REGISTER, "/has-all.js")
            await visit.until("navigator.serviceWorker.controller?.scriptURL.endsWith('/has-all.js')")
            await visit.open("/anything")
            await visit.until("document.getElementById('app').textContent === '200'")
            await visit.context.clear_cookies()
            await visit.open("/anything")
            await visit.until("document.getElementById('app').textContent === '404'")
            await visit.open(f"/?satbox_token={TOKEN}")
            await visit.until("document.getElementById('app').textContent === '200'")
            await visit.open("/anything")
            await visit.until("document.getElementById('app').textContent === '200'")
