"""Answers that come whole with their head leave in one piece, and are what they would have been piece by piece."""

import asyncio
import socket
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.wallet.state import RuntimeRef
from gate.front.app import create_app as _whole_gate  # noqa: F401 - its parts are only imported together
from gate.parts.nodes import OneNode
from gate.proxy.forward import Forwarder, said_of
from gate.proxy.heads import inward
from operations.errors import SatboxError

OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS: dict[str, tuple[bytes, int, bytes, dict[str, str | None]]] = {
    "plain": (OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello", {"Content-Length": "5"}),
    "chunked": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, b"hello", {"Content-Length": "5"}),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\nX-T: 1\r\n\r\n", 200, b"h", {"X-T": None}),
    "encoded": (OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz", 200, b"xyz", {"Content-Encoding": "gzip"}),
    "a part": (
        b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab",
        206, b"ab", {"Content-Range": "bytes 0-1/9"},
    ),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", {"Content-Type": None}),
    "not modified": (b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 9\r\n\r\n', 304, b"", {"ETag": '"x"'}),
    "early hints": (b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nh", 200, b"h", {"Link": None}),
    "until the end": (OK + b"Connection: close\r\n\r\nhello", 200, b"hello", {}),
    "broken chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\nZZ\r\n", 502, b"bad_gateway", {}),
    "a receipt": (OK + b"X-Satbox-Receipt: forged\r\nContent-Length: 1\r\n\r\nh", 200, b"h", {"X-Satbox-Receipt": "ours"}),
    "a failure": (b"HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\nh", 500, b"h", {}),
}  # fmt: skip


class Inside:
    """A server that says one thing and hangs up; the node hands out sockets to it."""

    processes: "Inside"

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.processes = self

    async def connect(self, runtime_id: str, port: int, *, seconds: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=theirs)

        async def answer() -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.said)
            writer.close()

        self._answering = asyncio.create_task(answer())
        return ours


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_is_paid_once_and_passed_on_as_it_is(name: str) -> None:
    said, status, body, headers = ANSWERS[name]
    settled: list[int] = []

    async def settle(answered: int) -> Mapping[str, str]:
        settled.append(answered)
        return {"X-Satbox-Receipt": "ours"}

    async def handle(request: web.Request) -> web.StreamResponse:
        given = inward(request.headers.items(), said_of(request), keeps_authorization=False)
        try:
            return await forwarder.forward(request, RuntimeRef("rt_1"), 80, "/x", given, "req_1", settle)
        except SatboxError as error:
            return web.Response(status=502, text=error.code)

    app = web.Application()
    app.router.add_get("/sandbox/proxy/{address}/{port}/{path}", handle)
    forwarder = Forwarder(
        OneNode(cast(Any, Inside(said)), cast(Any, None)),
        cast(Any, SimpleNamespace(upload_bytes_max=1_000, body_seconds_max=1)),
    )
    async with TestServer(app) as gate, aiohttp.ClientSession(auto_decompress=False) as client:
        answer = await client.get(gate.make_url("/sandbox/proxy/SP1/80/x"))
        assert (answer.status, await answer.read()) == (status, body)
        assert {name: answer.headers.get(name) for name in headers} == headers
    await forwarder.close()
    assert settled == ([] if status == 502 else [status])
