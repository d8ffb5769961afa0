"""Connections and heads: half-open ones lock nobody out, and what they hold is bounded."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gate.front.connections import HEAD_BYTES_MAX, ConnectionLimits, Connections
from gate.front.server import GateRunner, _Connection, is_loopback
from gate.wire.crowd import peer_of
from operations.errors import SatboxError

OPEN: "list[Peer]" = []
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


class Seat:
    """A connection, as it is counted."""

    is_evicted = False

    def evict(self) -> None:
        self.is_evicted = True


@contextlib.asynccontextmanager
async def serving(
    limits: ConnectionLimits, *, exempts_loopback: bool = False, begun: asyncio.Event | None = None
) -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        if begun is not None:
            begun.set()
        return web.Response(text=str(len(await request.read())))

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = GateRunner(app, limits, is_loopback if exempts_loopback else lambda _peer: False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        for peer in OPEN:
            peer.writer.close()
        OPEN.clear()
        await runner.cleanup()


class Peer:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        OPEN.append(self)

    @classmethod
    async def open(cls, port: int, source: str = "127.0.0.1") -> "Peer":
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def rest(self) -> bytes:
        """All that comes until the end."""
        async with asyncio.timeout(120):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def whole(self, data: bytes = HEAD + b"Connection: close\r\n\r\n") -> bytes:
        await self.send(data)
        return await self.rest()


def refused(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"access-control-allow-origin: *" in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]["code"]


async def test_one_peer_cannot_take_all_connections() -> None:
    async with serving(ConnectionLimits(total=100, per_peer=20)) as port:
        held = [await Peer.open(port) for _ in range(20)]
        for peer in held:
            await peer.send(HEAD)
        assert refused(await (await Peer.open(port)).rest()) == (429, "rate_limited")
        assert b"200 OK" in await (await Peer.open(port, "127.0.0.9")).whole()
        assert b"200 OK" in await held[0].whole(b"Connection: close\r\n\r\n")
        assert b"200 OK" in await (await Peer.open(port)).whole(), "its place is free again"


async def test_half_open_heads_of_many_peers_lock_nobody_out() -> None:
    async with serving(ConnectionLimits(total=50)) as port:
        held = [await Peer.open(port, f"127.0.1.{1 + i % 200}") for i in range(50)]
        for peer in held:
            await peer.send(HEAD)
        for _ in range(60):
            assert b"200 OK" in await (await Peer.open(port)).whole()
        assert refused(await held[0].rest()) == (429, "rate_limited")


async def test_kept_connections_give_their_place_too() -> None:
    async with serving(ConnectionLimits(total=10)) as port:
        held = [await Peer.open(port) for _ in range(10)]
        for peer in held:
            await peer.send(HEAD + b"\r\n")
            await peer.reader.readuntil(b"\r\n\r\n0")
        assert b"200 OK" in await (await Peer.open(port)).whole()
        assert await held[0].rest() == b""


async def test_a_request_under_way_keeps_its_place() -> None:
    begun = asyncio.Event()
    async with serving(ConnectionLimits(total=1), begun=begun) as port:
        busy = await Peer.open(port)
        await busy.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n" + b"x" * 200_000
        )
        async with asyncio.timeout(120):
            await begun.wait()
        assert refused(await (await Peer.open(port)).rest()) == (429, "rate_limited")
        assert (await busy.whole(b"x" * 100_000)).endswith(b"300000")


async def test_a_head_has_a_deadline() -> None:
    async with serving(ConnectionLimits(head_seconds=0.3)) as port:
        silent, dripping = await Peer.open(port), await Peer.open(port)
        await dripping.send(HEAD)
        assert refused(await dripping.rest()) == (408, "request_timeout")
        assert await silent.rest() == b""
        kept = await Peer.open(port)
        await kept.send(HEAD + b"\r\n")
        await kept.reader.readuntil(b"\r\n\r\n0")
        await kept.send(b"GET ")
        assert refused(await kept.rest()) == (408, "request_timeout"), "the second head of a connection, too"


async def test_a_head_is_bounded_as_a_whole() -> None:
    lines = b"".join(b"X-%d: " % i + b"y" * 50_000 + b"\r\n" for i in range(3))
    async with serving(ConnectionLimits()) as port:
        assert refused(await (await Peer.open(port)).whole(HEAD + lines)) == (431, "headers_too_large")
        usual = HEAD + b"payment-signature: " + b"y" * 60_000 + b"\r\nConnection: close\r\n\r\n"
        assert b"200 OK" in await (await Peer.open(port)).whole(usual)
        body = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n" + b"z" * 1_000_000
        assert (await (await Peer.open(port)).whole(body)).endswith(b"1000000"), "a body is none"


async def test_a_loopback_peer_is_a_reverse_proxy() -> None:
    async with serving(ConnectionLimits(per_peer=2), exempts_loopback=True) as port:
        held = [await Peer.open(port) for _ in range(5)]
        assert all([b"200 OK" in await peer.whole() for peer in held])


def test_unfinished_heads_share_one_budget() -> None:
    connections = Connections(ConnectionLimits(heads_bytes=1_000_000), lambda _peer: False)
    seats = [Seat() for _ in range(100)]
    for seat in seats:
        connections.enter(seat, "192.0.2.1")
        assert connections.received(seat, 50_000) == "ok"
        assert connections.heads_bytes <= 1_000_000
    assert [seat.is_evicted for seat in seats] == [True] * 80 + [False] * 20
    for seat in seats:
        connections.leave(seat)
    assert (connections.heads_bytes, len(connections)) == (0, 0)


def test_a_byte_now_and_then_keeps_no_place() -> None:
    connections = Connections(ConnectionLimits(total=2), lambda _peer: False)
    first, second, third = Seat(), Seat(), Seat()
    connections.enter(first, "a")
    connections.enter(second, "b")
    connections.received(first, 1)
    connections.enter(third, "c")
    assert (first.is_evicted, second.is_evicted) == (True, False)
    assert connections.received(second, HEAD_BYTES_MAX + 1) == "too_large"


def test_when_all_are_busy_a_newcomer_is_refused() -> None:
    connections = Connections(ConnectionLimits(total=1), lambda _peer: False)
    seat = Seat()
    connections.enter(seat, "a")
    connections.busy(seat)
    with pytest.raises(SatboxError) as refusal:
        connections.enter(Seat(), "b")
    assert (refusal.value.code, seat.is_evicted) == ("rate_limited", False)


@pytest.mark.parametrize(
    ("remote", "is_local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        (None, True),
    ],
)
def test_what_is_loopback(remote: str | None, is_local: bool) -> None:
    assert is_loopback(peer_of(remote)) is is_local


class Counted:
    """The part of a connection that tells a head from its body."""

    _tail = b""
    size = _Connection._head_size


@given(st.lists(st.integers(0, 40), max_size=8), st.sampled_from([b"", b"x" * 300_000]))
def test_a_body_that_comes_with_its_head_is_no_head(cuts: list[int], body: bytes) -> None:
    head = HEAD + b"\r\n"
    sent, connection, counted = head + body, Counted(), 0
    places = sorted({cut for cut in cuts if cut < len(head)})
    for begin, end in zip([0, *places], [*places, len(sent)], strict=True):
        counted += connection.size(sent[begin:end])
    assert counted == len(head)
