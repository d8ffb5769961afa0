"""A websocket through the proxy: messages whole, and an end that says what it was."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from gate.reach.websocket_ends import MESSAGE_BYTES_MAX, end_of
from gate.reach.websocket_messages import UNCHARGED_BYTES, MessageRelay
from gate.wire.answers import BUDGET
from gate.wire.byte_budget import OVERDRAFT_BYTES, OWNER_BYTES, ByteBudget
from tests.gate.gatehouse import House
from tests.gate.inside import serving

ADDRESSES: list[str] = []
PASSES: list[dict[str, str]] = []


@contextlib.asynccontextmanager
async def connected(house: House, ends: list[int | None]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket to a server that sends so many bytes as it is asked for, or echoes, or drops the connection."""

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.data == "drop":
                assert request.transport is not None
                request.transport.abort()
            else:
                await socket.send_bytes(bytes(int(message.data)))
        ends.append(socket.close_code)
        return socket

    seller = await house.agent()
    await house.created(seller)
    ADDRESSES.append(seller.address)
    PASSES.append(house.bearer(seller))
    async with serving(house, serve):
        path = f"/sandbox/proxy/{seller.address}/8000/ws"
        async with house.client.ws_connect(path, headers=house.bearer(seller), max_msg_size=0) as socket:
            yield socket


async def test_a_message_of_the_limit_passes_whole_both_ways(house: House) -> None:
    async with connected(house, []) as socket, asyncio.timeout(120):
        data = bytes(range(256)) * (MESSAGE_BYTES_MAX // 256)
        await socket.send_bytes(data)
        assert (await socket.receive()).data == data


async def test_a_larger_one_ends_with_1009_on_both_sides(house: House) -> None:
    ends: list[int | None] = []
    async with connected(house, ends) as socket, asyncio.timeout(120):
        await socket.send_str(str(MESSAGE_BYTES_MAX + 1))
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)
        assert str(MESSAGE_BYTES_MAX) in str(message.extra)
    async with connected(house, ends) as socket, asyncio.timeout(120):
        await socket.send_bytes(bytes(MESSAGE_BYTES_MAX + 1))
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)
        while len(ends) < 2:
            await asyncio.sleep(0.01)
    assert ends == [1009, 1009]


async def test_messages_in_flight_are_charged_and_one_without_room_ends_with_1013(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = ByteBudget(total=4 * MESSAGE_BYTES_MAX, per_owner=2 * MESSAGE_BYTES_MAX, wait_seconds=0)
    monkeypatch.setattr("gate.wire.byte_budget.OVERDRAFT_BYTES", 0)
    monkeypatch.setattr("gate.proxy.websockets.MessageRelay", lambda _budget, address: MessageRelay(budget, address))
    async with connected(house, []) as idle, asyncio.timeout(120):
        await idle.send_bytes(bytes(MESSAGE_BYTES_MAX))
        assert len((await idle.receive()).data) == MESSAGE_BYTES_MAX
        await house.until(lambda: budget.held_bytes == 0)
        with budget.lease(f"sockets of {ADDRESSES[-1]}") as stalled:
            assert await stalled.grow(MESSAGE_BYTES_MAX)
            await idle.send_bytes(bytes(UNCHARGED_BYTES))
            assert len((await idle.receive()).data) == UNCHARGED_BYTES
            await idle.send_bytes(bytes(MESSAGE_BYTES_MAX))
            message = await idle.receive()
    assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 1013, "overloaded")
    assert budget.held_bytes == 0


async def test_text_is_held_as_the_bytes_it_came_in(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a string, one character outside of the basic plane makes a message four times as large in memory."""
    seen: list[object] = []
    real = MessageRelay.send

    async def send(self: MessageRelay, message: aiohttp.WSMessage, target: object) -> None:
        seen.append(message.data)
        await real(self, message, target)  # type: ignore[arg-type]

    monkeypatch.setattr(MessageRelay, "send", send)

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        await socket.send_str(await socket.receive_str())
        await socket.close()
        return socket

    seller, text = await house.agent(), "\U0001f600" + "a" * 100_000
    await house.created(seller)
    async with serving(house, serve), asyncio.timeout(60):
        path = f"/sandbox/proxy/{seller.address}/8000/ws"
        async with house.client.ws_connect(path, headers=house.bearer(seller)) as socket:
            await socket.send_str(text)
            assert await socket.receive_str() == text
    assert seen == [text.encode()] * 2


@pytest.mark.nightly
async def test_readers_that_stall_hold_no_more_than_their_share(house: House) -> None:
    budget = house.client.server._app[BUDGET]  # type: ignore[attr-defined]
    rss, most = _rss(), 0
    sockets = 48
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(120):
        ends: list[int | None] = []
        first = await stack.enter_async_context(connected(house, ends))
        path = f"/sandbox/proxy/{ADDRESSES[-1]}/8000/ws"
        who = PASSES[-1]
        more = [house.client.ws_connect(path, headers=who, max_msg_size=0) for _ in range(sockets - 1)]
        for socket in (first, *[await stack.enter_async_context(one) for one in more]):
            for _ in range(16):
                await socket.send_str(str(MESSAGE_BYTES_MAX))  # and none of it is read
        for _ in range(200):
            most = max(most, budget.held_bytes)
            await asyncio.sleep(0.01)
        grown = _rss() - rss
    print(f"{grown >> 20} MiB for {sockets} sockets, client and server included; {most >> 20} MiB charged")
    assert 0 < most <= OWNER_BYTES + OVERDRAFT_BYTES
    # Up to two messages of each direction are in the gate's readers; the client and the server are in this process too.
    assert grown < OWNER_BYTES + OVERDRAFT_BYTES + sockets * 8 * MESSAGE_BYTES_MAX


def _rss() -> int:
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmRSS"))


async def test_a_connection_that_drops_is_no_normal_end(house: House) -> None:
    async with connected(house, []) as socket, asyncio.timeout(120):
        await socket.send_str("drop")
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1011)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (aiohttp.WSMessage(WSMsgType.CLOSE, 4001, "own"), 4001),
        (aiohttp.WSMessage(WSMsgType.CLOSE, 0, ""), 1000),
        (aiohttp.WSMessage(WSMsgType.CLOSED, None, None), 1011),
        (aiohttp.WSMessage(WSMsgType.ERROR, aiohttp.WebSocketError(1009, "large"), None), 1009),
        (aiohttp.WSMessage(WSMsgType.ERROR, aiohttp.WebSocketError(1002, "broken"), None), 1011),
        (aiohttp.WSMessage(WSMsgType.ERROR, OSError(), None), 1011),
    ],
)
def test_ends(message: aiohttp.WSMessage, code: int) -> None:
    assert end_of(message)[0] == code
