"""Heads of requests under way: what they hold in memory is bounded, for a peer and for all, and usual heads are never refused."""

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncIterator

from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gate.front.connections import (
    FREE_HEAD_BYTES,
    HEAD_COPIES,
    MESSAGE_BYTES,
    UNDER_WAY_SHARE,
    ConnectionLimits,
    Connections,
    HeldHead,
)
from gate.front.server import GateRunner, is_loopback
from operations.errors import SatboxError
from tests.gate.test_connections import HEAD, OPEN, Peer, Seat, refused

LARGE = 50_000
COST = HEAD_COPIES * LARGE + MESSAGE_BYTES


def head(size: int = LARGE, lines: int = 1) -> bytes:
    return HEAD + b"".join(b"X-%d: %b\r\n" % (i, b"y" * (size // lines)) for i in range(lines)) + b"\r\n"


class Held:
    """A gate's listener whose requests wait until they may end."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.under_way = 0
        self.port = 0
        self.places: Connections

    async def answer(self, _request: web.Request) -> web.Response:
        self.under_way += 1
        await self.may_end.wait()
        self.under_way -= 1
        return web.Response(text="done")

    async def until(self, under_way: int) -> None:
        async with asyncio.timeout(120):
            while self.under_way != under_way:
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def holding(limits: ConnectionLimits, *, exempts_loopback: bool = True) -> AsyncIterator[Held]:
    held = Held()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", held.answer)
    runner = GateRunner(app, limits, is_loopback if exempts_loopback else lambda _peer: False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    held.port = int(runner.addresses[0][1])
    assert runner.server is not None
    held.places = runner.server._places  # type: ignore[attr-defined]
    try:
        yield held
    finally:
        held.may_end.set()
        for peer in OPEN:
            peer.writer.close()
        OPEN.clear()
        await runner.cleanup()


async def test_large_heads_under_way_share_a_budget_and_usual_ones_pass() -> None:
    async with holding(ConnectionLimits(under_way_bytes=3 * COST + 1_000)) as held:
        large = [await Peer.open(held.port) for _ in range(3)]
        for peer in large:
            await peer.send(head())
        await held.until(3)
        for _ in range(2):
            assert refused(await (await Peer.open(held.port)).whole(head())) == (503, "overloaded")
        usual = await Peer.open(held.port)
        await usual.send(head(FREE_HEAD_BYTES // 2))
        await held.until(4)
        assert held.places.under_way_bytes <= 3 * COST + 1_000
        held.may_end.set()
        for peer in (*large, usual):
            assert b"200 OK" in await peer.reader.readuntil(b"done")
        assert held.places.under_way_bytes == 0
        assert b"200 OK" in await (await Peer.open(held.port)).whole(
            HEAD + b"Connection: close\r\n" + head()[len(HEAD) :]
        )


async def test_heads_that_wait_behind_a_request_are_counted_whatever_their_size() -> None:
    usual = head(4_000)
    async with holding(ConnectionLimits(under_way_bytes=50_000)) as held:
        peer = await Peer.open(held.port)
        await peer.send(usual * 8)
        await held.until(1)
        assert 0 < held.places.under_way_bytes <= 50_000
        held.may_end.set()
        answers = await peer.rest()
        assert (answers.count(b" 200 OK"), answers.count(b" 503 "), answers.count(b'"overloaded"')) == (4, 1, 1)
        assert answers.index(b" 503 ") > answers.rindex(b" 200 OK"), "what came before it is answered before"
    assert held.places.under_way_bytes == 0


async def test_a_peer_has_its_share_and_what_it_held_is_given_back_when_it_leaves() -> None:
    limits = ConnectionLimits(under_way_bytes=UNDER_WAY_SHARE * (2 * COST + 1_000))
    async with holding(limits, exempts_loopback=False) as held:
        mine = [await Peer.open(held.port) for _ in range(2)]
        for peer in mine:
            await peer.send(head())
        await held.until(2)
        assert refused(await (await Peer.open(held.port)).whole(head())) == (503, "overloaded")
        other = await Peer.open(held.port, "127.0.0.9")
        await other.send(head())
        await held.until(3)
        queued = await Peer.open(held.port, "127.0.0.8")
        await queued.send(head(100) + head(200))
        await held.until(4)
        for peer in (*mine, other, queued):
            peer.writer.close()
        held.may_end.set()
        await held.until(0)
        async with asyncio.timeout(120):
            while held.places.under_way_bytes:
                await asyncio.sleep(0.001)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100_000), st.booleans())), st.data())
def test_what_is_counted_is_within_limits_and_comes_back(
    asked: list[tuple[str, int, bool]], data: st.DataObject
) -> None:
    total = 400_000
    places = Connections(ConnectionLimits(under_way_bytes=total), lambda peer: peer == "c")
    seats = {peer: Seat() for peer in "abc"}
    for peer, seat in seats.items():
        places.enter(seat, peer)
    held: list[HeldHead] = []
    for peer, size, waits in asked:
        with contextlib.suppress(SatboxError):
            kept = places.hold(seats[peer], size, waits=waits)
            assert (kept is None) == (size <= FREE_HEAD_BYTES and not waits)
            held += [] if kept is None else [kept]
        if held and data.draw(st.booleans()):
            places.let_go(held.pop(data.draw(st.integers(0, len(held) - 1))))
        assert places.under_way_bytes == sum(each.size for each in held) <= total
        assert all(sum(e.size for e in held if e.peer == p) <= total // UNDER_WAY_SHARE for p in "ab")
    for each in held:
        places.let_go(each)
    assert places.under_way_bytes == 0


async def test_what_a_head_is_counted_as_is_what_it_takes() -> None:
    """Measured: the memory that requests with large heads take is what is counted, and 16 KiB for each besides."""
    count, besides = 24, 16_384
    for lines in (1, 100):
        async with holding(ConnectionLimits()) as held:
            await (await Peer.open(held.port)).send(head(lines=lines))  # what is made once is made
            await held.until(1)
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                for number in range(count):
                    await (await Peer.open(held.port)).send(head(lines=lines))
                    await held.until(number + 2)
                gc.collect()
                taken = tracemalloc.get_traced_memory()[0] - before
            finally:
                tracemalloc.stop()
            assert taken <= count * (COST + besides), (lines, taken // count)
