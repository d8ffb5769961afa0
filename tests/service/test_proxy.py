"""Servers inside a real sandbox reached from outside: by pass, by token, by nobody else."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.service.running_service import Owner, RunningService

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="session")]

ECHO = """
import base64, hashlib, http.server, json, socketserver, struct, sys, time
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do(self):
        if self.headers.get("Upgrade") == "websocket":
            return self.websocket()
        size = int(self.headers.get("Content-Length") or 0)
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while n := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(n); self.rfile.readline()
        else:
            body = self.rfile.read(size)
        if self.path.startswith("/events"):
            self.send_response(200); self.send_header("Content-Type", "text/event-stream"); self.end_headers()
            for n in range(3):
                self.wfile.write(b"data: %d\\n\\n" % n); self.wfile.flush(); time.sleep(0.05)
            self.close_connection = True
            return
        if self.path.startswith("/status/"):
            self.send_response(int(self.path[8:])); self.send_header("Content-Length", "0"); self.end_headers()
            return
        if self.path.startswith("/forged"):
            self.send_response(402); self.send_header("payment-required", "FORGED"); self.send_header("payment-response", "x")
            self.send_header("Set-Cookie", "a=1; Domain=evil.test; Path=/; HttpOnly"); self.send_header("Content-Length", "0")
            self.send_header("Clear-Site-Data", "*"); self.send_header("Service-Worker-Allowed", "/"); self.end_headers()
            return
        if self.path.startswith("/cut"):
            self.send_response(200); self.send_header("Content-Length", "1000"); self.end_headers()
            self.wfile.write(b"x" * 10); self.wfile.flush(); self.close_connection = True
            return
        told = json.dumps({"method": self.command, "path": self.path, "body": len(body), "headers": dict(self.headers)})
        self.send_response(207); self.send_header("Content-Length", str(len(told))); self.send_header("X-Inner", "yes")
        self.send_header("Connection", "keep-alive, X-Hop"); self.send_header("X-Hop", "no"); self.end_headers()
        self.wfile.write(told.encode())
    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do
    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101); self.send_header("Upgrade", "websocket"); self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while True:
            first, second = self.rfile.read(2)
            size = second & 127
            if size == 126: size = struct.unpack(">H", self.rfile.read(2))[0]
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))
            if data == b"close me":
                self.wfile.write(b"\\x88\\x02" + struct.pack(">H", 4001)); self.wfile.flush(); return
            if first & 15 == 8: return
            self.wfile.write(bytes([first]) + (bytes([size]) if size < 126 else b"\\x7e" + struct.pack(">H", size)) + data)
            self.wfile.flush()
    def log_message(self, *_): pass
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer(("127.0.0.1", 8080), Echo).serve_forever()
"""


class Site:
    """A server inside, and how to ask it."""

    def __init__(self, service: RunningService, owner: Owner, token: str, session: aiohttp.ClientSession) -> None:
        self.service = service
        self.owner = owner
        self.token = token
        self.session = session

    def url(self, path: str = "/", port: int = 8080, address: str | None = None) -> str:
        return f"{self.service.gate_url}/sandbox/proxy/{address or self.owner.address}/{port}{path}"

    async def ask(
        self, path: str = "/", method: str = "GET", **options: Any
    ) -> tuple[int, Any, aiohttp.ClientResponse]:
        headers = {"X-Satbox-Token": self.token, **options.pop("headers", {})}
        url = options.pop("url", None) or self.url(path)
        async with self.session.request(method, url, headers=headers, **options) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw) if raw[:1] == b"{" else raw, answer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(service: RunningService) -> AsyncIterator[Site]:
    owner = await service.agent()
    await owner.client.sandbox_create(sats=1_000)
    await owner.until(lambda now: now.state == "alive")
    await owner.client.files_write("echo.py", ECHO.encode())
    process = await owner.client.processes_start(argv=["python3", "echo.py"])
    await owner.client.processes_wait(process.process_id, until="port", port=8080)
    given = await owner.client.ports_expose(8080)
    async with aiohttp.ClientSession() as session:
        yield Site(service, owner, given.token, session)
    await owner.client.sandbox_reap(destroy=True)
    await owner.client.close()


async def test_a_token_opens_its_port_and_nothing_else(site: Site) -> None:
    status, told, answer = await site.ask("/a/b%2Fc?x=%20y&z")
    assert (status, told["path"], answer.headers["X-Inner"]) == (207, "/a/b%2Fc?x=%20y&z", "yes")
    assert "X-Hop" not in answer.headers

    assert (await site.ask(headers={"X-Satbox-Token": "pt_wrong"}))[0] == 404
    assert (await site.ask(url=site.url(port=8081)))[0] == 404
    async with site.session.get(site.url()) as nobody:
        assert nobody.status == 404


async def test_a_pass_never_reaches_a_server_inside(site: Site) -> None:
    bearer = {"Authorization": f"Bearer {(await site.owner.client.prove()).token}"}

    _status, told, _answer = await site.ask(headers=bearer)
    async with site.session.get(site.url("/?satbox_token="), headers=bearer) as empty:
        emptied = empty.status
    async with site.session.get(site.url(f"/?satbox_token={'x' * 300}"), headers=bearer) as long:
        lengthy = long.status

    assert "Authorization" not in told["headers"]
    assert (emptied, lengthy) == (404, 404)


async def test_a_server_inside_does_not_speak_for_the_gate(site: Site) -> None:
    status, _body, answer = await site.ask("/forged")

    assert status == 402
    assert not {"payment-required", "payment-response", "clear-site-data", "service-worker-allowed"} & {
        name.lower() for name in answer.headers
    }
    prefix = site.url("", port=8080).removeprefix(site.service.gate_url)
    assert answer.headers["Set-Cookie"] == f"a=1; HttpOnly; Path={prefix}"
    assert answer.headers["X-Satbox-Origin"] == "sandbox"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")


@pytest.mark.parametrize("status", [101, 600, 999])
async def test_a_status_that_is_none_is_a_bad_gateway(site: Site, status: int) -> None:
    answered = await site.ask(f"/status/{status}")

    assert (answered[0], answered[1]["error"]["code"]) == (502, "bad_gateway")


async def test_a_token_in_the_query_is_not_passed_on(site: Site) -> None:
    async with site.session.get(site.url(f"/p?a=1&satbox_token={site.token}&b=2")) as answer:
        assert (await answer.json(content_type=None))["path"] == "/p?a=1&b=2"


async def test_the_owner_needs_no_token_and_a_stranger_gets_the_same_as_for_nothing(site: Site) -> None:
    pass_token = (await site.owner.client.prove()).token
    stranger = await site.service.agent()
    strange_token = (await stranger.client.prove()).token
    await stranger.client.close()
    seen = {}
    for name, url, token in (
        ("owner", site.url(), pass_token),
        ("stranger", site.url(), strange_token),
        ("no such wallet", site.url(address="ST000000000000000000002AMW42H"), pass_token),
    ):
        async with site.session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            body = json.loads(await answer.read())
            seen[name] = (
                answer.status,
                body.get("error", {}).get("code"),
                body.get("headers", {}).get("Authorization"),
            )

    assert seen["owner"] == (207, None, None)
    assert seen["stranger"] == seen["no such wallet"] == (404, "not_found", None)


async def test_headers_that_are_ours_can_not_be_forged(site: Site) -> None:
    sent = {
        "X-Forwarded-For": "1.2.3.4", "X-Satbox-Payer": "SPEVIL", "X-Satbox-Address": "SPEVIL", "Forwarded": "for=evil",
        "payment-signature": "secret", "X-PAYMENT": "secret", "Authorization": "Bearer theirs", "TE": "trailers",
        "Connection": "X-Secret-Hop", "X-Secret-Hop": "1", "X-Mine": "kept",
    }  # fmt: skip

    _status, told, _answer = await site.ask(headers=sent)

    headers = {name.lower(): value for name, value in told["headers"].items()}
    assert (headers["x-forwarded-for"], headers["x-satbox-address"]) == ("127.0.0.1", site.owner.address)
    assert (headers["x-mine"], headers["authorization"]) == ("kept", "Bearer theirs")
    assert not {
        "x-satbox-payer",
        "payment-signature",
        "x-payment",
        "forwarded",
        "te",
        "x-secret-hop",
        "x-satbox-token",
    } & set(headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_any_method_and_bodies_of_both_kinds(site: Site, method: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield bytes(10_000)

    assert (await site.ask("/m", method, data=bytes(200_000)))[1] | {"headers": 0} == {
        "method": method, "path": "/m", "body": 200_000, "headers": 0,
    }  # fmt: skip
    assert (await site.ask("/m", method, data=pieces()))[1]["body"] == 300_000


async def test_events_come_as_they_happen(site: Site) -> None:
    async with site.session.get(site.url("/events"), headers={"X-Satbox-Token": site.token}) as answer:
        first = await answer.content.readline()
        rest = await answer.read()

    assert first == b"data: 0\n"
    assert rest.endswith(b"data: 2\n\n")


async def test_an_answer_that_breaks_off_is_not_told_as_whole(site: Site) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await site.ask("/cut")


async def test_websockets_pass_text_bytes_and_the_closing_code(site: Site) -> None:
    async with site.session.ws_connect(site.url("/ws"), headers={"X-Satbox-Token": site.token}) as socket:
        await socket.send_str("hello")
        text = await socket.receive(timeout=10)
        await socket.send_bytes(bytes(range(256)) * 4)
        data = await socket.receive(timeout=10)
        await socket.send_str("close me")
        closed = await socket.receive(timeout=10)

    assert (text.data, data.data) == ("hello", bytes(range(256)) * 4)
    assert (closed.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 4001)


async def test_a_port_nobody_listens_on_and_a_token_that_was_revoked(site: Site) -> None:
    given = await site.owner.client.ports_expose(9999)
    closed = await site.ask(url=site.url(port=9999), headers={"X-Satbox-Token": given.token})
    exposed = [each.port for each in (await site.owner.client.ports_list()).exposed]
    await site.owner.client.ports_revoke(9999)
    revoked = await site.ask(url=site.url(port=9999), headers={"X-Satbox-Token": given.token})

    assert (closed[0], closed[1]["error"]["code"]) == (502, "port_closed")
    assert sorted(exposed) == [8080, 9999]
    assert (revoked[0], revoked[1]["error"]["code"]) == (404, "not_found")


async def test_many_at_once_each_get_their_own_answer(site: Site) -> None:
    answers = await asyncio.gather(*(site.ask(f"/n/{number}") for number in range(60)))

    assert [told["path"] for _status, told, _answer in answers] == [f"/n/{number}" for number in range(60)]


async def test_a_paused_sandbox_says_so(site: Site) -> None:
    await site.owner.client.sandbox_pause()
    paused = await site.ask()
    await site.owner.client.sandbox_resume()

    assert (paused[0], paused[1]["error"]["code"]) == (409, "sandbox_paused")
    assert (await site.ask())[0] == 207
