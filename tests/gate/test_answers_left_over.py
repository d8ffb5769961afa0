"""What a server inside sends beyond its answer is nobody's: the next caller on the same connection gets their own answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from tests.gate.gatehouse import House
from tests.gate.test_smuggling import Loopback

STRAY = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Forged: 1\r\n\r\nforged"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ANSWERS: dict[str, tuple[bytes, bytes]] = {
    "an answer to HEAD with a body": (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(STRAY), STRAY),
    "a 204 with a body": (b"HTTP/1.1 204 No Content\r\n\r\n", STRAY),
    "a 304 with a body": (b"HTTP/1.1 304 Not Modified\r\n\r\n", STRAY),
    "a length too short": (OK, STRAY),
    "a length of nothing": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", STRAY),
    "chunks and more": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", STRAY),
    "two answers": (OK, STRAY + STRAY),
    "half an answer": (OK, STRAY[:20]),
}


class Server:
    """Answers `/odd` by what it is made to say, in one piece or with what is beyond it a little later; else by the path."""

    def __init__(self, said: bytes, stray: bytes, *, is_later: bool) -> None:
        self._said, self._stray, self._is_later = said, stray, is_later
        self.has_sent = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
                if path != b"/odd":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))
                    continue
                writer.write(self._said if self._is_later else self._said + self._stray)
                await writer.drain()
                if self._is_later:
                    await asyncio.sleep(0.03)
                    writer.write(self._stray)
                    await writer.drain()
                self.has_sent.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.has_sent.set()
        finally:
            writer.close()


@pytest.fixture
async def servers() -> AsyncIterator[list[asyncio.Server]]:
    """Closed at the end."""
    made: list[asyncio.Server] = []
    yield made
    for server in made:
        server.close()


@pytest.mark.parametrize("is_later", [False, True])
@pytest.mark.parametrize("name", ANSWERS)
async def test_the_next_caller_gets_their_own_answer(
    house: House, servers: list[asyncio.Server], name: str, is_later: bool
) -> None:
    said, stray = ANSWERS[name]
    server = Server(said, stray, is_later=is_later)
    servers.append(await asyncio.start_server(server, "127.0.0.1", 0))
    port = servers[0].sockets[0].getsockname()[1]
    house.node.processes = Loopback()  # type: ignore[attr-defined]
    seller = await house.agent()
    await house.created(seller)
    house.services.views.put(await house.services.system.ask(seller.address, SetRoutes((Route(port, "/*"),))))
    place = f"/sandbox/proxy/{seller.address}/{port}"

    first = await house.ask("HEAD" if "HEAD" in name else "GET", f"{place}/odd")
    async with asyncio.timeout(120):
        await server.has_sent.wait()
    after = [await house.ask("GET", f"{place}/own-{number}") for number in range(3)]

    assert first.status in (200, 204, 304) or (first.status == 502 and not is_later)
    assert b"forged" not in first.raw
    assert [(answer.status, answer.raw) for answer in after] == [(200, b"/own-%d" % number) for number in range(3)]
