"""What is carried, and how it looks on the other side."""

import asyncio
import json

import pytest

from tests.egress.world import make_world, settled


class Origin:
    """Takes one request per connection, remembers its bytes, answers what it was told."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") -> None:
        self.answer = answer
        self.seen: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.seen.append(head)
        if b"content-length" in head.lower():
            size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            self.seen[-1] += await reader.readexactly(size)
        elif b"chunked" in head.lower():
            self.seen[-1] += await reader.readuntil(b"0\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()


def code(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"])


async def test_a_plain_request_and_its_answer_are_carried_and_counted() -> None:
    world, origin = await make_world(), Origin()
    port = await world.serve(origin)

    answer = await world.ask(
        f"POST http://origin.test:{port}/a?b HTTP/1.1\r\nHost: origin.test\r\nX-One: 1\r\nContent-Length: 3\r\n\r\nabc"
    )

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nhello")
    assert origin.seen[0].startswith(b"POST /a?b HTTP/1.1\r\n")
    assert origin.seen[0].endswith(b"\r\n\r\nabc")
    assert f"Host: origin.test:{port}\r\n".encode() in origin.seen[0]
    assert b"X-One: 1\r\n" in origin.seen[0]
    assert (world.guest.meter.out_bytes, world.guest.meter.in_bytes) == (len(origin.seen[0]), len(answer))


async def test_the_host_field_is_the_target_s_whatever_was_sent() -> None:
    world, origin = await make_world(), Origin()
    port = await world.serve(origin)

    await world.ask(f"GET http://origin.test:{port}/ HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n")

    assert b"elsewhere" not in origin.seen[0]


async def test_fields_between_neighbours_stay_there() -> None:
    world = await make_world()
    origin = Origin(
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\nX-Kept: 1\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    port = await world.serve(origin)

    answer = await world.ask(
        f"GET http://origin.test:{port}/ HTTP/1.1\r\nHost: o\r\nProxy-Authorization: x\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
        "Upgrade: websocket\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    )

    for name in (b"proxy-authorization", b"x-hop", b"upgrade", b"x-forwarded-for"):
        assert name not in origin.seen[0].lower()
    assert b"X-Private" not in answer
    assert b"Keep-Alive" not in answer
    assert b"X-Kept: 1" in answer


async def test_chunks_are_carried_both_ways() -> None:
    world = await make_world()
    origin = Origin(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
    )
    port = await world.serve(origin)

    answer = await world.ask(
        f"POST http://origin.test:{port}/ HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n0\r\n\r\n"
    )
    old = await world.ask(f"GET http://origin.test:{port}/ HTTP/1.0\r\n\r\n")

    assert origin.seen[0].endswith(b"4\r\nwiki\r\n0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert b"chunked" not in old
    assert old.endswith(b"\r\n\r\nabcde")


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    world, origin = await make_world(), Origin(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000)
    port = await world.serve(origin)

    answer = await world.ask(f"GET http://origin.test:{port}/ HTTP/1.1\r\nHost: o\r\n\r\n")

    assert answer.endswith(b"\r\n\r\n" + b"x" * 300_000)


async def test_an_answer_to_head_has_its_length_and_no_body() -> None:
    world, origin = await make_world(), Origin(b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n")
    port = await world.serve(origin)

    answer = await world.ask(f"HEAD http://origin.test:{port}/ HTTP/1.1\r\nHost: o\r\n\r\n")

    assert b"Content-Length: 77\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_who_expects_to_be_told_to_continue_is_told() -> None:
    world, origin = await make_world(), Origin()
    port = await world.serve(origin)
    reader, writer = await world.connect()

    head = f"POST http://origin.test:{port}/ HTTP/1.1\r\nHost: o\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ok")

    assert (await reader.read()).endswith(b"hello")
    assert origin.seen[0].endswith(b"ok")
    writer.close()


async def test_a_tunnel_carries_bytes_both_ways_until_both_ends_have_ended() -> None:
    world = await make_world()

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()  # until the other side says that no more follows
        writer.write(data.upper() * 1000)
        await writer.drain()

    port = await world.serve(shout)
    reader, writer = await world.connect()
    writer.write(f"CONNECT origin.test:{port} HTTP/1.1\r\nHost: x\r\n\r\nwhat ".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
    writer.write(b"else" + b"." * 991)
    writer.write_eof()

    assert await reader.read() == (b"WHAT ELSE" + b"." * 991) * 1000
    writer.close()
    await settled(world)
    assert (world.guest.meter.out_bytes, world.guest.meter.in_bytes) == (1000, 1_000_000)


@pytest.mark.parametrize(
    "answer",
    [
        b"not http at all\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 200 OK\r\nA : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n", b"HTTP/1.1 103 Hints\r\n\r\n" * 20, b"HTTP/1.1 200 OK\r\nX: 1",
    ],
)  # fmt: skip
async def test_an_answer_that_could_be_read_in_two_ways_is_not_passed_on(answer: bytes) -> None:
    world, origin = await make_world(), Origin(answer)
    port = await world.serve(origin)

    seen = await world.ask(f"GET http://origin.test:{port}/ HTTP/1.1\r\nHost: o\r\n\r\n")

    assert seen.startswith(b"HTTP/1.1 502 ")
    assert code(seen) == "egress_bad_answer"


async def test_an_answer_cut_short_is_not_passed_on_as_a_whole_one() -> None:
    world, origin = await make_world(), Origin(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
    port = await world.serve(origin)

    with pytest.raises(ConnectionResetError):
        await world.ask(f"GET http://origin.test:{port}/ HTTP/1.1\r\nHost: o\r\n\r\n")


async def test_an_answer_may_come_before_the_request_is_whole() -> None:
    world = await make_world()

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    port = await world.serve(hasty)

    answer = await world.ask(f"PUT http://origin.test:{port}/ HTTP/1.1\r\nHost: o\r\nContent-Length: 10\r\n\r\nabc")

    assert answer.startswith(b"HTTP/1.1 413 No\r\n")


async def test_detaching_cuts_connections_and_closes_the_listener() -> None:
    world = await make_world()
    silent = asyncio.Event()

    async def wait(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await silent.wait()

    port = await world.serve(wait)
    reader, writer = await world.connect()
    writer.write(f"CONNECT origin.test:{port} HTTP/1.1\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")

    assert world.proxy.detach("rt-1") is world.guest
    assert world.proxy.detach("rt-1") is None

    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    with pytest.raises(ConnectionRefusedError):
        await world.connect()
    writer.close()
    silent.set()
