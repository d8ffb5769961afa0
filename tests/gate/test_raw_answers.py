"""Heads of a tenant's answers that are not UTF-8 arrive byte for byte, whole or in pieces."""

import asyncio

import pytest

from gate.proxy.raw_answers import stream, whole
from tests.gate.gatehouse import House
from tests.gate.test_smuggling import Loopback

HEAD = (
    b"X-Latin: caf\xe9\r\nX-Utf8: caf\xc3\xa9\r\nX-Odd: \xff\xfe\x80\r\n"
    b'Content-Disposition: attachment; filename="r\xe9sum\xe9.pdf"\r\n'
)


@pytest.mark.parametrize("pause", [False, True], ids=["at once", "in pieces"])
async def test_bytes_that_are_not_utf8_in_a_head_arrive_as_they_were(house: House, pause: bool) -> None:
    go_on = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 Tr\xe8s bien\r\nContent-Length: 9\r\n" + HEAD + b"\r\n")
        if pause:
            await go_on.wait()
        writer.write(b"the body.")
        writer.close()

    house.node.processes = Loopback()  # type: ignore[attr-defined]
    seller = await house.agent()
    await house.created(seller)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(house.client.host, house.client.port)
        (name, value), *_ = house.bearer(seller).items()
        path = f"/sandbox/proxy/{seller.address}/{port}/"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")  # a stream's head does not wait for its body
        go_on.set()
        body = await reader.readexactly(9)
        writer.close()
    assert head.startswith(b"HTTP/1.1 200 Tr\xe8s bien\r\n")
    for line in HEAD.split(b"\r\n"):
        assert line in head
    assert body == b"the body."


def test_only_what_needs_it_is_written_by_us() -> None:
    plain = {"status": 200, "reason": "OK", "headers": {"X": "caf\u00e9"}}
    assert (type(stream(**plain)).__name__, type(whole(b"", **plain)).__name__) == ("StreamResponse", "Response")
