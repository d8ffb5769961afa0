"""Each port has an origin of its own: how a browser comes in, what no other page gets by it, and that nothing else is there."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from actors.wallet.calls import Route
from actors.wallet.commands import Expose, SetRoutes, Unexpose
from gate.identity.port_tokens import token_hash
from operations.catalogue import REGISTRY
from tests.gate.gatehouse import House, Who, gatehouse, header_of
from tests.gate.inside import Inside
from tests.gate.stock_servers import exchange
from tests.gate.test_smuggling import Loopback

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "ports.test"
LABEL = "8000-sp2j6zy48gv1ez5v2v5rb9mp66sw86pykknrv9ej7"
TOKEN = "pt_" + "aB3-_" * 8 + "xyz"


@dataclass
class Site:
    """A gate, an agent whose port shows its token, and what its server inside was asked."""

    house: House
    owner: Who
    port: int
    asked: list[tuple[str, str, dict[str, str]]]
    session: aiohttp.ClientSession
    scheme: str = "http"

    @property
    def host(self) -> str:
        return f"{self.port}-{self.owner.address.lower()}.{self.house.services.settings.ports_host}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def cookie(self) -> dict[str, str]:
        name = "__Host-satbox-port" if self.scheme == "https" else "satbox-port"
        return {"Cookie": f"{name}={TOKEN}"}

    async def ask(self, path: str = "/", method: str = "GET", *, host: str | None = None, **headers: str) -> Any:
        """One request at the port's origin; `_` in a header's name stands for a dash."""
        sent = {"Host": host or self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        url = URL(f"http://127.0.0.1:{self.house.client.port}{path}", encoded=True)
        async with self.session.request(method, url, headers=sent, allow_redirects=False) as answer:
            await answer.read()
            return answer

    async def tell(self, *commands: Any) -> None:
        for command in commands:
            self.house.services.views.put(await self.house.services.system.ask(self.owner.address, command))

    @property
    def ends_ms(self) -> int:
        return self.house.clock.wall_ms() + 60_000


ANSWERED = {
    "Set-Cookie": "sid=1; Domain=ports.test; Path=/app; HttpOnly",
    "Content-Security-Policy": "default-src 'self'",
    "Service-Worker-Allowed": "/",
    "WWW-Authenticate": 'Basic realm="mine"',
    "Access-Control-Allow-Origin": "https://friend.example",
    "Clear-Site-Data": "*",
    "X-Satbox-Payer": "forged",
    "Payment-Required": "forged",
}


@contextlib.asynccontextmanager
async def open_site(folder: Path, **changes: Any) -> AsyncIterator[Site]:
    asked: list[tuple[str, str, dict[str, str]]] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked.append((request.method, request.path_qs, dict(request.headers)))
        if "Upgrade" in request.headers:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str("hello")
            await socket.close()
            return socket
        if request.path == "/moved":
            raise web.HTTPFound(f"http://localhost:{port}/there")
        response = web.Response(text="inside", headers=ANSWERED)
        for name in ("satbox-port=evil", "__Host-satbox-port=evil; Path=/; Secure", "=satbox-port=evil"):
            response.headers.add("Set-Cookie", name)
        return response

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with gatehouse(folder, **{"ports_host": HOST, "public_url": "http://gate.test", **changes}) as house:
        house.node.processes = Loopback()  # type: ignore[attr-defined]
        owner = await house.agent()
        await house.created(owner)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            site = Site(house, owner, port, asked, session, house.services.settings.public_url.partition(":")[0])
            await site.tell(Expose(port, token_hash(TOKEN), site.ends_ms))
            yield site
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with open_site(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def site(running: Site) -> Site:
    """The port is open by the token, there are no routes, and nothing was asked yet."""
    token = Expose(running.port, token_hash(TOKEN), running.ends_ms)
    await running.tell(SetRoutes(()), Unexpose(running.port), token)
    running.asked.clear()
    return running


NAVIGATES = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}


async def test_a_browser_comes_in_once_by_a_token_and_stays_by_a_cookie(site: Site) -> None:
    came = await site.ask(f"//a/b?x=%20y&satbox_token={TOKEN}&z", **NAVIGATES, Sec_Fetch_Site="cross-site")
    cookie = came.headers.getall("Set-Cookie")
    page = await site.ask("/a/b?x", **site.cookie, **NAVIGATES, Sec_Fetch_Site="cross-site")
    part = await site.ask("/style.css", **site.cookie, Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="no-cors")
    post = await site.ask("/form", "POST", **site.cookie, Origin=site.origin, Sec_Fetch_Site="same-origin")

    assert (came.status, came.headers["Location"]) == (303, f"{site.origin}//a/b?x=%20y&z")
    assert (came.headers["Cache-Control"], came.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert re.fullmatch(rf"satbox-port={TOKEN}; Path=/; Max-Age=(59|60); HttpOnly; SameSite=Lax", cookie[0])
    assert len(cookie) == 1
    assert [each.status for each in (page, part, post)] == [200, 200, 200]
    assert [each[:2] for each in site.asked] == [("GET", "/a/b?x"), ("GET", "/style.css"), ("POST", "/form")]
    assert TOKEN not in json.dumps(site.asked)


async def test_a_program_with_the_token_is_answered_at_once(site: Site) -> None:
    by_query = await site.ask(f"/x?satbox_token={TOKEN}", Accept="*/*")
    by_header = await site.ask("/x", X_Satbox_Token=TOKEN, Accept="text/html")
    posted = await site.ask(f"/x?satbox_token={TOKEN}", "POST", **NAVIGATES)
    wrong = await site.ask("/x?satbox_token=pt_wrong", **NAVIGATES)

    assert [each.status for each in (by_query, by_header, posted, wrong)] == [200, 200, 200, 404]
    assert "satbox-port" not in str(by_query.headers.getall("Set-Cookie"))


async def test_the_cookie_is_worth_what_its_token_is(site: Site) -> None:
    other = {**site.cookie, "host": site.host.replace(f"{site.port}-", "81-")}
    statuses = [(await site.ask(**site.cookie)).status, (await site.ask(**other)).status]
    path_form = f"/sandbox/proxy/{site.owner.address}/{site.port}/"
    statuses.append((await site.ask(path_form, host="gate.test", **site.cookie)).status)
    site.house.clock.ahead_ms += 60_000
    statuses.append((await site.ask(**site.cookie)).status)
    await site.tell(Expose(site.port, token_hash(TOKEN), site.ends_ms))
    statuses.append((await site.ask(**site.cookie)).status)
    await site.tell(Unexpose(site.port))
    statuses.append((await site.ask(**site.cookie)).status)

    assert statuses == [200, 404, 404, 404, 200, 404]


BY_WORKER = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "empty"}
"""What Chromium 156 says of a page that a service worker fetches: of a link, and of a frame in a sibling's page."""
OTHERS = {
    "an image in a sibling": {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
    "a script elsewhere": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"},
    "a frame in a sibling": {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
    "a fetch by a sibling": {"Sec_Fetch_Site": "same-site", "Origin": "http://81-x.ports.test"},
    "a fetch of an old browser": {"Origin": "http://81-x.ports.test"},
    "a sandboxed page": {"Origin": "null"},
    "the same host by another scheme": {"Origin": "https://HOST"},
    "the same host and another port": {"Origin": "http://HOST:81"},
    "a form in a sibling": {"method": "POST", "Origin": "http://81-x.ports.test", "Sec_Fetch_Site": "same-site", **NAVIGATES},
    "a form of an odd browser": {"method": "POST", "Sec_Fetch_Site": "cross-site", **NAVIGATES},
    "a form of nobody": {"method": "POST"},
    "a form through a worker": {"method": "POST", "Origin": "http://81-x.ports.test", "Sec_Fetch_Site": "same-site", **BY_WORKER},
    "a prefetch of a sibling": {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "empty"},
    "a preflight": {"method": "OPTIONS", "Origin": "http://81-x.ports.test", "Access_Control_Request_Method": "PUT"},
    "an unknown word": {"Sec_Fetch_Site": "odd"},
    "a socket of a sibling": {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": "http://81-x.ports.test"},
    "a socket of nobody": {"Connection": "Upgrade", "Upgrade": "websocket"},
    "a socket of a sibling without Origin": {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_Fetch_Site": "same-site"},
}  # fmt: skip
SOCKET = {"Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}


async def test_a_request_of_another_page_does_not_ride_on_the_cookie(site: Site) -> None:
    statuses = {}
    for who, said in OTHERS.items():
        headers = {name: value.replace("HOST", site.host) for name, value in said.items()}
        statuses[who] = (await site.ask(**site.cookie, **headers, **(SOCKET if "Upgrade" in headers else {}))).status
    assert statuses == dict.fromkeys(OTHERS, 404)
    assert site.asked == []


@pytest.mark.parametrize("where", ["same-site", "cross-site"])
async def test_a_link_that_a_worker_passes_on_opens_and_is_in_nobody_elses_frame(site: Site, where: str) -> None:
    answer = await site.ask(**site.cookie, Sec_Fetch_Site=where, **BY_WORKER)
    assert answer.status == 200
    assert answer.headers.getall("Content-Security-Policy") == ["default-src 'self'", "frame-ancestors 'self'"]
    plain = await site.ask(**site.cookie, Sec_Fetch_Site=where, **NAVIGATES)
    assert plain.headers.getall("Content-Security-Policy") == ["default-src 'self'"]


async def test_a_token_in_the_url_of_a_page_lets_in_what_that_page_asks(site: Site) -> None:
    """A service worker may answer the link itself, so that no request ever has the token in its own query."""
    page = {"Referer": f"{site.origin}/?a=1&satbox_token={TOKEN}"}
    first = await site.ask("/api", **page, Sec_Fetch_Site="same-origin")
    assert first.status == 200
    kept = next(each for each in first.headers.getall("Set-Cookie") if TOKEN in each)
    assert kept.startswith(f"{site.cookie['Cookie']}; Path=/; Max-Age=")
    assert TOKEN not in str(site.asked)

    for refused in (
        {**page, "Sec_Fetch_Site": "same-site"},
        {**page, "Sec_Fetch_Site": "none"},
        page,
        {"Referer": f"http://81-x.ports.test/?satbox_token={TOKEN}", "Sec_Fetch_Site": "same-origin"},
        {"Referer": f"{site.origin}.evil.test/?satbox_token={TOKEN}", "Sec_Fetch_Site": "same-origin"},
        {"Referer": f"{site.origin}/?satbox_token={TOKEN[:-1]}x", "Sec_Fetch_Site": "same-origin"},
    ):
        assert (await site.ask("/api", **refused)).status == 404, refused
    await site.tell(Unexpose(site.port))
    assert (await site.ask("/api", **page, Sec_Fetch_Site="same-origin")).status == 404


async def test_pages_of_this_origin_open_sockets(site: Site) -> None:
    url = site.house.client.make_url("/ws")
    headers = {"Host": site.host, "Origin": site.origin, **site.cookie}
    async with site.session.ws_connect(url, headers=headers) as socket:
        assert (await socket.receive(timeout=10)).data == "hello"
    inner = site.asked[0][2]
    assert (inner["Host"], inner["Origin"]) == (f"localhost:{site.port}", f"http://localhost:{site.port}")
    async with site.session.ws_connect(f"{url}?satbox_token={TOKEN}", headers={"Host": site.host}) as socket:
        assert (await socket.receive(timeout=10)).data == "hello"


async def test_at_its_own_origin_a_server_is_as_at_home(site: Site) -> None:
    sent = {
        "Origin": site.origin,
        "Referer": f"{site.origin}/page?x",
        "X_Forwarded_Host": "forged",
        "Sec_Fetch_Site": "same-origin",
    }
    answer = await site.ask("/x", **site.cookie, **sent)
    moved = await site.ask("/moved", **site.cookie)
    inner = site.asked[0][2]

    home = f"localhost:{site.port}"
    assert (inner["Host"], inner["Origin"], inner["Referer"]) == (home, f"http://{home}", f"http://{home}/page?x")
    assert (inner["X-Satbox-Public-Origin"], inner["X-Satbox-Address"]) == (site.origin, site.owner.address)
    assert not {"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Cookie"} & set(inner)
    kept = ("Content-Security-Policy", "Service-Worker-Allowed", "WWW-Authenticate", "Access-Control-Allow-Origin")
    assert {name: answer.headers.getall(name) for name in kept} == {name: [ANSWERED[name]] for name in kept}
    assert not {"Clear-Site-Data", "X-Satbox-Payer", "Payment-Required", "Access-Control-Expose-Headers"} & set(
        answer.headers
    )
    assert answer.headers.getall("Set-Cookie") == ["sid=1; Path=/app; HttpOnly"]
    assert moved.headers["Location"] == f"{site.origin}/there"


async def test_a_form_of_a_page_without_referrer_is_its_own(site: Site) -> None:
    """`Referrer-Policy: no-referrer` makes browsers say `Origin: null` of it, and a sandboxed frame says that too."""
    own = await site.ask("/x", "POST", Origin="null", Sec_Fetch_Site="same-origin", **site.cookie)
    others = [
        await site.ask("/x", "POST", Origin="null", **more, **site.cookie)
        for more in ({}, {"Sec_Fetch_Site": "same-site"}, {"Sec_Fetch_Site": "none"})
    ]
    assert (own.status, [each.status for each in others]) == (200, [404, 404, 404])


async def test_a_person_who_is_not_let_in_sees_a_page(site: Site) -> None:
    person = {**NAVIGATES, "Accept": "text/html,*/*;q=0.8"}
    for who in (person, {"Accept": "text/html"}, {**person, "Cookie": "satbox-port=pt_wrong"}):
        page = await site.ask("/a", **who)
        text = await page.text()
        assert (page.status, page.content_type, page.headers["Cache-Control"]) == (404, "text/html", "no-store"), who
        assert "This port is not open to you" in text
        assert "satbox_token=" in text
        assert page.headers["x-request-id"] in text
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    wrong = await site.ask(f"/?satbox_token=<script>{TOKEN[:-1]}", **person)
    assert ("<script>" in await wrong.text(), TOKEN[:-1] in await wrong.text(), wrong.status) == (False, False, 404)
    nobody = await site.ask("/", host=f"8000-nobody.{HOST}", **person)
    unknown = await site.ask("/", host=f"8000-{site.house.services.settings.pay_to.lower()}.{HOST}", **person)
    for other in (nobody, unknown):
        assert (other.status, "This port is not open to you" in await other.text()) == (404, True)
    programs: list[dict[str, str]] = [
        {}, {"Accept": "*/*"}, {"Accept": "application/json"}, {**person, "Sec_Fetch_Mode": "cors"}, {**person, "method": "POST"},
        {**person, "payment-signature": "e30="},
    ]  # fmt: skip
    for program in programs:
        answer = await site.ask("/a", **program)
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found"), program
    assert site.asked == []


async def test_a_person_sees_why_nobody_answers(site: Site) -> None:
    nobody = Inside("127.0.0.1", 0)
    nobody.is_listening, listening = False, site.house.node.processes  # type: ignore[attr-defined]
    site.house.node.processes = nobody  # type: ignore[attr-defined]
    try:
        page = await site.ask("/", **site.cookie, **NAVIGATES, Accept="text/html")
        answer = await site.ask("/", **site.cookie)
    finally:
        site.house.node.processes = listening  # type: ignore[attr-defined]
    error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (502, "port_closed")
    text = await page.text()
    assert (page.status, page.content_type, "Not now" in text, error["message"] in text) == (
        502,
        "text/html",
        True,
        True,
    )


async def test_over_https_the_cookie_is_the_host_s_alone(tmp_path: Path) -> None:
    async with open_site(tmp_path, public_url="https://gate.test") as site:
        came = await site.ask(f"/?satbox_token={TOKEN}", **NAVIGATES)
        assert came.headers["Set-Cookie"].startswith(f"__Host-satbox-port={TOKEN}; Path=/; ")
        assert came.headers["Set-Cookie"].endswith("; Secure")
        assert came.headers["Location"] == f"https://{site.host}/"
        assert (await site.ask(**site.cookie)).status == 200
        assert (await site.ask(Cookie=f"satbox-port={TOKEN}")).status == 404  # a sibling could have set that one


async def test_a_page_may_have_many_files(tmp_path: Path) -> None:
    async with open_site(tmp_path, open_requests_per_second=1e-6, open_requests_burst=2) as site:
        statuses = [(await site.ask(f"/{number}", **site.cookie)).status for number in range(6)]
        strangers = [(await site.ask(f"/{number}")).status for number in range(3)]
    assert (statuses, strangers) == ([200] * 6, [404, 404, 429])


async def test_nothing_of_the_gate_is_at_a_port_s_host(site: Site) -> None:
    """Every operation's path, the pages, and path form itself go to the server inside, or nowhere."""
    paths = {(op.method, op.path) for op in REGISTRY.values()} | {
        ("GET", p) for p in ("/", "/health", "/openapi.json", "/dashboard")
    }
    paths |= {("GET", f"/sandbox/proxy/{site.owner.address}/{site.port}/x"), ("GET", "/sandbox/proxy/swift-raven/80/x")}
    owner = site.house.bearer(site.owner)
    strange = site.house.bearer(await site.house.agent())
    for method, path in sorted(paths):
        plain = re.sub(r"\{[^}]*\}", "1", path)
        assert (await site.ask(plain, method, **strange)).status == 404
        site.asked.clear()
        answer = await site.ask(plain, method, **owner)
        assert (answer.status, answer.headers["X-Satbox-Origin"]) == (200, "sandbox")
        assert [each[:2] for each in site.asked] == [(method, plain)]


async def test_one_connection_carries_requests_for_both(site: Site) -> None:
    def head(host: str, path: str = "/health", more: str = "") -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Satbox-Token: {TOKEN}\r\n{more}\r\n".encode()

    assert site.house.client.port is not None
    port_s, gate_s = site.host, "gate.test"
    said = await exchange(
        site.house.client.port,
        head(port_s) + head(gate_s) + head(port_s.upper()) + head(f"{port_s}.") + head(port_s, f"http://{gate_s}/health")
        + head(gate_s, more="Connection: close\r\n"),
    )  # fmt: skip
    twice = await exchange(site.house.client.port, head(gate_s, more=f"Host: {port_s}\r\n"))
    assert [int(each) for each in re.findall(rb"HTTP/1\.1 (\d+)", said)] == [200, 200, 200, 404, 400, 200]
    assert twice.split(b" ")[1] == b"400"
    assert len(re.findall(rb"X-Satbox-Origin: sandbox", said)) == 2
    assert [each[1] for each in site.asked] == ["/health", "/health"]


async def test_a_priced_route_is_priced_as_in_path_form(site: Site) -> None:
    await site.tell(SetRoutes((Route(site.port, "/paid", sats=4, deliver_on="mempool"), Route(site.port, "/free"))))
    payer = await site.house.agent()
    await site.house.created(payer)
    asked = {"Origin": "https://shop.example", "Access_Control_Request_Method": "GET"}
    preflights = [await site.ask(path, "OPTIONS", **asked) for path in ("/paid", "/free")]
    free = await site.ask("/free")
    odd = await site.ask("/free/../paid")
    unpaid = await site.ask("/paid", Origin="https://shop.example")
    path = f"/sandbox/proxy/{site.owner.address}/{site.port}/paid"
    in_path_form = await site.house.ask("GET", path)
    paid = await site.ask("/paid", payment_signature=header_of(site.house.sbtc(payer, 4)))

    assert [each.headers.get("Access-Control-Allow-Origin") for each in preflights] == ["*", "https://friend.example"]
    assert (free.status, unpaid.status, in_path_form.status) == (200, 402, 402)
    assert odd.status in (400, 404)
    offers = [json.loads(await unpaid.text())["accepts"], in_path_form.body["accepts"]]
    messages = [[entry["extra"]["message"] for entry in each if "message" in entry["extra"]] for each in offers]
    assert messages[0] == messages[1] != []
    assert messages[0][0]["resource"] == f"GET {path}"
    assert paid.status == 200
    assert "X-Satbox-Receipt" in paid.headers
    assert paid.headers["Access-Control-Allow-Origin"] == "*"


async def test_expose_and_routes_say_where_a_browser_goes(tmp_path: Path) -> None:
    async with gatehouse(tmp_path, ports_host="localhost", public_url="http://127.0.0.1:4020") as house:
        owner = await house.agent()
        await house.created(owner)
        given = (await house.ask("POST", "/sandbox/ports/8000/expose", who=owner, json={})).body
        set_ = await house.ask("PUT", "/sandbox/routes", who=owner, json={"routes": [{"port": 8000, "path": "/*"}]})
        origin = f"http://8000-{owner.address.lower()}.localhost:4020"
        assert given["url"] == f"{origin}/?satbox_token={given['token']}"
        path_url = f"http://127.0.0.1:4020/sandbox/proxy/{owner.address}/8000/?satbox_token={given['token']}"
        assert given["path_url"] == path_url
        assert set_.body["items"][0]["origin"] == origin


async def test_a_gate_without_such_origins_gives_paths(tmp_path: Path) -> None:
    async with gatehouse(tmp_path) as house:
        owner = await house.agent()
        await house.created(owner)
        given = (await house.ask("POST", "/sandbox/ports/8000/expose", who=owner, json={})).body
        ours = await house.ask("GET", "/health", headers={"Host": f"{LABEL}.gate.test"})
        assert (given["url"], ours.status) == (given["path_url"], 200)
