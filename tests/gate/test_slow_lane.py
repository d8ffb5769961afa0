"""Bodies in chunks of one byte, and sockets with thousands of small messages, hold up nobody else."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import StreamReader, WSMessage, WSMsgType, web

from gate.front.connections import ConnectionLimits
from gate.front.server import GateRunner
from gate.proxy.websockets import _Idle, _pump
from gate.reach.websocket_messages import MESSAGES_AT_ONCE, MessageRelay
from gate.wire import slow_lane
from gate.wire.byte_budget import ByteBudget
from gate.wire.slow_lane import SlowLane, Waiting
from tests.gate.gatehouse import House
from tests.gate.test_smuggling import Loopback

AT_ONCE = 520
"""Chunks, with the one that makes it too many."""
CHUNKS = 15_000
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"1\r\nx\r\n" * CHUNKS + b"0\r\n\r\n"


class Rounds:
    """How much more a number grew within one round of the event loop than in any other."""

    def __init__(self, number: Callable[[], int]) -> None:
        self._number, self.most = number, 0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        before = self._number()
        while True:
            await asyncio.sleep(0)
            now = self._number()
            self.most, before = max(self.most, now - before), now

    def stop(self) -> int:
        self._task.cancel()
        return self.most


class OneByOne:
    """An event loop's part that a lane uses, and a clock that stands still unless a turn takes time."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.seconds = 0.0

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    def round(self) -> None:
        calls, self.soon = self.soon, []
        for call in calls:
            call()


def test_turns_are_taken_one_after_another_for_a_share_of_each_round() -> None:
    loop, had = OneByOne(), ""
    lane = SlowLane(loop, lambda: loop.seconds)  # type: ignore[arg-type]

    def turn(name: str, seconds: float, again: int = 0) -> Callable[[], None]:
        def take() -> None:
            nonlocal had
            had += name
            loop.seconds += seconds
            if again:
                lane.enter(turn(name, seconds, again - 1))

        return take

    for name in "abc":
        lane.enter(turn(name, 0.0015, again=1))
    loop.round()
    assert had == "ab"
    loop.round()
    assert had == "abca"
    loop.round()
    loop.round()
    assert (had, loop.soon) == ("abcabc", [])
    lane.enter(turn("d", 9.0))
    lane.enter(turn("e", 0.0, again=3))
    loop.round()
    assert had.endswith("d"), "one that takes too long is the last of its round"
    for left in (3, 2, 1, 0):
        loop.round()
        assert had.count("e") == 4 - left, "who waits again waits for another round"


def test_a_place_is_waited_for_once() -> None:
    loop, had = OneByOne(), []
    place = Waiting(SlowLane(loop, lambda: 0.0), lambda: had.append(1))  # type: ignore[arg-type]
    for _ in range(3):
        place.resume()
    loop.round()
    place.resume()
    loop.round()
    assert (len(had), loop.soon) == (2, [])


async def test_many_bodies_in_chunks_of_one_byte_leave_the_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_lane, "SLICE_SECONDS", 0.0)  # one turn in each round
    bodies: list[StreamReader] = []

    async def serve(request: web.Request) -> web.Response:
        bodies.append(request.content)
        return web.Response(text=str(len(await request.read())))

    async def send(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(HEAD + BODY)
            return (await reader.read()).rpartition(b"\r\n")[2]
        finally:
            writer.close()

    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/", serve)
    runner = GateRunner(app, ConnectionLimits())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rounds = Rounds(lambda: sum(body.total_bytes for body in bodies))
    async with asyncio.timeout(120):
        answers = await asyncio.gather(*(send(runner.addresses[0][1]) for _ in range(8)))
    most = rounds.stop()
    await runner.cleanup()
    assert answers == [b"%d" % CHUNKS] * 8
    # The first chunks of a read are parsed with it, and there may be one of each connection in a round.
    assert most <= AT_ONCE * (8 + 1)


async def test_an_answer_in_chunks_of_one_byte_arrives_whole_and_in_turns(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY)
        await writer.drain()
        writer.close()

    turns = 0
    turn = Waiting._turn

    def counted(place: Waiting) -> None:
        nonlocal turns
        turns += 1
        turn(place)

    monkeypatch.setattr(Waiting, "_turn", counted)
    owner = await house.agent()
    await house.created(owner)
    house.node.processes = Loopback()  # type: ignore[attr-defined]
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        answered = await house.ask("GET", f"/sandbox/proxy/{owner.address}/{port}/x", who=owner)
    assert (answered.status, answered.raw) == (200, b"x" * CHUNKS)
    assert turns >= CHUNKS // AT_ONCE


async def test_small_messages_make_way() -> None:
    passed = 0

    class Source:
        left = 1_000

        async def receive(self, _seconds: float) -> WSMessage:
            if not self.left:
                return WSMessage(WSMsgType.CLOSE, 1000, "")
            self.left -= 1
            return WSMessage(WSMsgType.PING if self.left % 2 else WSMsgType.BINARY, b"x", None)

    class Target:
        async def send_frame(self, *_frame: Any) -> None:
            nonlocal passed
            passed += 1

        async def ping(self, _data: bytes) -> None:
            nonlocal passed
            passed += 1

        async def close(self, **_said: Any) -> None:
            return

    rounds = Rounds(lambda: passed)
    await _pump(Source(), Target(), _Idle(), MessageRelay(ByteBudget(), "a"))  # type: ignore[arg-type]
    assert (passed, rounds.stop() <= MESSAGES_AT_ONCE) == (1_000, True)
