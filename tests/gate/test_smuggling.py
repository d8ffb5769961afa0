"""Requests that two readers may take for two things: what arrives inside is one request, with the path that was judged and the
caller that was proven, whichever server reads it. Nobody gets a paid path or another's name by it.
"""

import asyncio
import contextlib
import gzip
import hashlib
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from tests.gate.gatehouse import House, gatehouse
from tests.gate.stock_servers import (
    NGINX,
    Seen,
    StockServer,
    aiohttp_server,
    exchange,
    nginx_server,
    node_server,
    python_http_server,
)

HIDDEN = (
    b"GET /paid HTTP/1.1\r\nHost: x\r\nX-Satbox-Payer: FORGED\r\nX-Satbox-Address: FORGED\r\nContent-Length: 0\r\n\r\n"
)
PLACE = b"@PLACE@"


class Loopback:
    """A node whose sandboxes' ports are this host's loopback."""

    async def connect(self, runtime_id: str, port: int, *, seconds: float) -> socket.socket:
        connection = socket.socket()
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        return connection


@dataclass
class Site:
    """A gate in front of the stock servers."""

    house: House
    address: str
    servers: dict[str, StockServer]

    def place(self, server: StockServer) -> bytes:
        return f"/sandbox/proxy/{self.address}/{server.port}".encode()


@contextlib.asynccontextmanager
async def open_site(folder: Path) -> AsyncIterator[Site]:
    async with contextlib.AsyncExitStack() as stack:
        made = [python_http_server(), aiohttp_server()]
        made += [node_server()] if shutil.which("node") else []
        made += [nginx_server(folder)] if NGINX else []
        servers = [await stack.enter_async_context(each) for each in made]
        house = await stack.enter_async_context(gatehouse(folder, open_requests_per_second=0, body_seconds_max=0.25))
        house.node.processes = Loopback()  # type: ignore[attr-defined]
        seller = await house.agent()
        await house.created(seller, 5_000)
        routes = []
        for server in servers:
            routes += [Route(server.port, "/paid", sats=5), Route(server.port, "/free/*", rate_per_minute=100_000)]
        house.services.views.put(await house.services.system.ask(seller.address, SetRoutes(tuple(routes))))
        yield Site(house, seller.address, {server.name: server for server in servers})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Site]]:
    with asyncio.Runner() as runner:
        opened = open_site(tmp_path_factory.mktemp("site"))
        site = runner.run(opened.__aenter__())
        try:
            yield runner, site
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.fixture(params=["http.server", "aiohttp", "node", "nginx"])
def server(request: pytest.FixtureRequest, running: tuple[asyncio.Runner, Site]) -> StockServer:
    found = running[1].servers.get(request.param)
    if found is None:
        pytest.skip(f"needs {request.param}: just node-packages")
    return found


def chunked(body: bytes, extension: bytes = b"", end: bytes = b"\r\n") -> bytes:
    return b"%x%b%b%b%b0%b%b" % (len(body), extension, end, body, end, end, end)


LENGTH = b"Content-Length: %d" % len(HIDDEN)
BODIES = {
    "hidden": HIDDEN,
    "none": b"",
    "gzip": gzip.compress(HIDDEN, mtime=0),
    "gzip of much": gzip.compress(HIDDEN + b"x" * 5_000, mtime=0),
    "chunks": chunked(HIDDEN),
    "chunks with an extension": chunked(HIDDEN, b";a=b"),
    "chunks with a quoted extension": chunked(HIDDEN, b';a="\r\n0\r\n\r\n"'),
    "chunks with bare LF": chunked(HIDDEN, end=b"\n"),
    "chunks with a space": chunked(HIDDEN, b" "),
    "no chunks, then hidden": b"0\r\n\r\n" + HIDDEN,
    "trailers": b"1\r\nx\r\n0\r\nX-Satbox-Payer: FORGED\r\nContent-Length: 9\r\n\r\n" + HIDDEN,
    "a huge chunk": b"ffffffffffffffff0\r\n" + HIDDEN,
    "a signed chunk": b"+5\r\nhello\r\n0\r\n\r\n" + HIDDEN,
    "line ends, then hidden": b"\r\n\r\n" + HIDDEN,
}
FIELDS = [
    LENGTH, b"Content-Length: 0", b"Content-Length: 5", b"Content-Length : 5", b"Content-Length:\t5", b"Content-Length: +5",
    b"Content-Length: 5, 5", b"Content-Length: 0x5", b"Content-Length: 5\r\n 0", b"Content-Length: -1", b"Content-Length:",
    b"Content-Length: 99999999999999999999", b"Content_Length: 5", b"Content-Length\x00: 5",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: CHUNKED", b"Transfer-Encoding:\r\n chunked",
    b" Transfer-Encoding: chunked", b"Transfer_Encoding: chunked", b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked", b"TE: chunked", b"Trailer: X-Satbox-Payer",
    b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br", b"Expect: 100-continue",
    b"Connection: close", b"Connection: keep-alive", b"Connection: X-Satbox-Address, X-Forwarded-For",
    b"Connection: Content-Length", b"Connection: Transfer-Encoding", b"Connection: Upgrade", b"Upgrade: websocket",
    b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"X-Satbox-Payer: FORGED", b"X_Satbox_Payer: FORGED", b"X-Satbox-Payer : FORGED", b"X.Satbox.Payer: FORGED",
    b"X: y\r\n X-Satbox-Payer: FORGED", b"X: y\nX-Satbox-Payer: FORGED", b"x-satbox-address: FORGED",
    b"X-Forwarded-For: FORGED", b"X-Original-URL: /paid", b"X-HTTP-Method-Override: PUT", b"Host: other", b"Host : other",
]  # fmt: skip
VERSIONS = [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 "]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request for a free path, in a shape that may be no request at all, and perhaps something behind it."""
    method = draw(
        st.sampled_from([b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"get", b"TRACE", b"CONNECT"])
    )
    before = draw(st.sampled_from([b"", b"", b"", b"http://other", b"http://x@other:1", b"//other"]))
    tail = draw(
        st.sampled_from(
            [b"/free/x", b"/free/x?y=/paid", b"/free/x#/paid", b"/free/../paid", b"/free/%2e%2e/paid", b"/paid"]
        )
    )
    space = draw(st.sampled_from([b" ", b" ", b" ", b"  ", b"\t"]))
    line = space.join([method, before + PLACE + tail, draw(st.sampled_from(VERSIONS))])
    fields = [b"Host: x", *draw(st.lists(st.sampled_from(FIELDS), max_size=5))]
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]))
    body = draw(st.sampled_from(sorted(BODIES.values())))
    cut = draw(st.sampled_from([None, None, None, 1, 9]))
    return end.join([line, *fields, b"", b""]) + (body if cut is None else body[:-cut])


def at(*fields: bytes, body: bytes = HIDDEN, method: bytes = b"POST") -> bytes:
    return b"\r\n".join([method + b" " + PLACE + b"/free/x HTTP/1.1", b"Host: x", *fields, b"", b""]) + body


async def attack(site: Site, server: StockServer, sent: bytes) -> tuple[list[Seen], bytes]:
    """What a server has seen of one attack; behind it two callers who are honest get their own answers."""
    before = len(await server.seen())
    port = site.house.client.port
    assert port is not None
    place = site.place(server)
    answer = await exchange(port, sent.replace(PLACE, place), 0.3, 0.05)
    honest = [f"/free/honest-{before}-{number}" for number in range(2)]
    for path in honest:
        async with asyncio.timeout(120), site.house.client.get(place.decode() + path) as own:
            assert (own.status, await own.text()) == (200, path), answer
    async with asyncio.timeout(120):
        while True:
            seen = (await server.seen())[before:]
            if sum(each.path in honest for each in seen) == len(honest):
                return [each for each in seen if each.path not in honest], answer
            await asyncio.sleep(0.01)


def judge(site: Site, seen: list[Seen], sent: bytes, answer: bytes) -> None:
    paths = sorted(each.path for each in seen)
    # A second request may be seen when a second one was judged: it names the gate's own path, which what is hidden does not.
    assert len(seen) <= 1, (paths, sent, answer)
    for each in seen:
        assert each.path.startswith("/free/"), (each, sent)
        assert ".." not in each.path.replace("%2e", "."), (each, sent)
        assert each.payers == (), (each, sent)
        assert each.addresses == (site.address,), (each, sent)
        assert each.method == sent.partition(b" ")[0].partition(b"\t")[0].decode(), (each, sent)


def drive(running: tuple[asyncio.Runner, Site], server: StockServer, examples: int) -> None:
    runner, site = running

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @example(at(LENGTH))
    @example(at(LENGTH, method=b"GET"))
    @example(at(b"Content-Encoding: gzip", b"Content-Length: %d" % len(BODIES["gzip"]), body=BODIES["gzip"]))
    @example(at(b"Transfer-Encoding: chunked", body=BODIES["chunks"]))
    @example(at(b"Transfer-Encoding: chunked", LENGTH, body=BODIES["no chunks, then hidden"]))
    @example(at(b"Transfer-Encoding: chunked", body=BODIES["trailers"]))
    @example(at(b"Content-Length: 5", LENGTH))
    @example(at(LENGTH, b"Expect: 100-continue"))
    @example(at(LENGTH, b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", method=b"GET"))  # fmt: skip
    @given(requests())
    def check(sent: bytes) -> None:
        seen, answer = runner.run(attack(site, server, sent))
        judge(site, seen, sent, answer)

    check()


def test_nothing_hides_in_a_request(running: tuple[asyncio.Runner, Site], server: StockServer) -> None:
    drive(running, server, 60)


@pytest.mark.nightly
def test_nothing_hides_in_a_request_of_very_many(running: tuple[asyncio.Runner, Site], server: StockServer) -> None:
    drive(running, server, 3_000)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-unknown"])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_arrives_byte_for_byte_whatever_its_encoding(
    house: House, encoding: str, is_chunked: bool
) -> None:
    """Also one that is not what its Content-Encoding says: that is between caller and server."""
    got: list[tuple[Any, ...]] = []

    async def note(request: web.BaseRequest) -> web.Response:
        headers = request.headers
        data = await request.read()
        got.append((hashlib.sha256(data).hexdigest(), headers["Content-Encoding"], headers.get("Content-Length")))
        return web.Response()

    runner = web.ServerRunner(web.Server(note, auto_decompress=False))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    house.node.processes = Loopback()  # type: ignore[attr-defined]
    seller = await house.agent()
    await house.created(seller)
    house.services.views.put(await house.services.system.ask(seller.address, SetRoutes((Route(port, "/*"),))))
    for data in (gzip.compress(b"word " * 50_000), b"\x00none of these" * 9):

        async def pieces(data: bytes = data) -> AsyncIterator[bytes]:
            yield data[:7]
            yield data[7:]

        answer = await house.ask(
            "POST", f"/sandbox/proxy/{seller.address}/{port}/x", headers={"Content-Encoding": encoding},
            data=pieces() if is_chunked else data,
        )  # fmt: skip
        assert answer.status == 200, answer.raw
        length = None if is_chunked else str(len(data))
        assert got.pop() == (hashlib.sha256(data).hexdigest(), encoding, length)
    await runner.cleanup()
