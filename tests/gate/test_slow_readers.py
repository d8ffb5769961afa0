"""Callers that do not read what they asked for: what is kept for them is counted until it has left, and they lock nobody out."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gate.front.connections import ConnectionLimits
from gate.front.server import GateRunner
from gate.wire import whole_answers
from gate.wire.byte_budget import ByteBudget
from tests.gate.gatehouse import House, Who, gatehouse

ANSWER = bytes(8 << 20)
TCP_CLOSE = 7
"""As `TCP_INFO` begins (Linux, net/tcp_states.h): the other side has reset the connection."""


@contextlib.asynccontextmanager
async def serving(limits: ConnectionLimits) -> AsyncIterator[int]:
    """A server with large answers, one that breaks off, and small ones."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/broken":
            assert request.transport is not None
            request.transport.write(ANSWER)
            request.protocol.force_close()
        return web.Response(body=b"small" if request.path == "/small" else ANSWER)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = GateRunner(app, limits, lambda _peer: False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def asked(port: int, path: str, headers: str = "") -> socket.socket:
    """A connection that asks, and reads no more than the first byte of its answer."""
    peer = socket.socket()
    peer.setblocking(False)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(peer, ("127.0.0.1", port))
    await loop.sock_sendall(peer, f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
    assert await loop.sock_recv(peer, 1)
    return peer


async def small(port: int) -> bool:
    """Whether a newcomer is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    try:
        return b"small" in await reader.read()
    except ConnectionError:
        return False
    finally:
        writer.close()


async def ended(peer: socket.socket) -> None:
    """The connection ends before its answer does."""
    loop, size = asyncio.get_running_loop(), 0
    with contextlib.suppress(ConnectionError):
        while got := await loop.sock_recv(peer, 1 << 16):
            size += len(got)
    assert size < len(ANSWER)


async def test_who_does_not_read_locks_nobody_out() -> None:
    async with serving(ConnectionLimits(total=5, stalled_seconds=0.1)) as port, asyncio.timeout(60):
        peers = [await asked(port, "/large") for _ in range(5)]
        while not await small(port):
            await asyncio.sleep(0.02)
        await ended(peers[0])
        for peer in peers:
            peer.close()


async def test_who_reads_nothing_for_long_loses_the_connection() -> None:
    async with serving(ConnectionLimits(stalled_seconds=0.05, stalled_seconds_max=0.1)) as port, asyncio.timeout(60):
        peer = await asked(port, "/large")
        while peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_CLOSE:
            await asyncio.sleep(0.02)
        peer.close()


async def test_a_closed_connection_goes_though_its_peer_takes_nothing() -> None:
    async with serving(ConnectionLimits(total=1, linger_seconds=0.1)) as port, asyncio.timeout(60):
        peer = await asked(port, "/broken")
        while not await small(port):
            await asyncio.sleep(0.02)
        peer.close()


def long_listing(count: int) -> Any:
    async def listing(_runtime_id: str, _path: str) -> dict[str, Any]:
        entries = [{"name": f"{n:0240}", "type": "file", "size_bytes": 0} for n in range(count)]
        return {"entries": entries, "truncated": False}

    return listing


def bearer(house: House, who: Who) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in house.bearer(who).items())


async def test_a_whole_answer_is_counted_until_it_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/sandbox/files/list?path=/workspace"
    async with gatehouse(tmp_path, requests_per_wallet_max=2) as house, asyncio.timeout(120):
        who = await house.agent()
        await house.created(who)
        monkeypatch.setattr(house.node, "list_files", long_listing(9_000), raising=False)
        assert (await house.ask("GET", path, headers=house.bearer(who))).status == 200
        peers = [await asked(house.client.port, path, bearer(house, who)) for _ in range(2)]
        refused = await house.ask("GET", path, headers=house.bearer(who))
        assert (refused.status, refused.code) == (429, "rate_limited")
        for peer in peers:
            peer.close()
        while (await house.ask("GET", path, headers=house.bearer(who))).status == 429:
            await asyncio.sleep(0.02)


async def test_who_reads_too_slowly_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/sandbox/files/list?path=/workspace"
    monkeypatch.setattr(whole_answers, "SECONDS_LEAST", 0.1)
    monkeypatch.setattr(whole_answers, "BYTES_PER_SECOND_LEAST", 1 << 40)
    async with gatehouse(tmp_path, requests_per_wallet_max=1) as house, asyncio.timeout(120):
        who = await house.agent()
        await house.created(who)
        monkeypatch.setattr(house.node, "list_files", long_listing(9_000), raising=False)
        peer = await asked(house.client.port, path, bearer(house, who))
        monkeypatch.setattr(house.node, "list_files", long_listing(1))
        while (await house.ask("GET", path, headers=house.bearer(who))).status == 429:
            await asyncio.sleep(0.02)
        peer.close()


async def test_usual_requests_pass_while_others_hold_the_whole_budget() -> None:
    budget = ByteBudget(total=100, per_owner=50, wait_seconds=0, free_bytes=10)
    with budget.lease("a") as first, budget.lease("b") as second, budget.lease("c") as usual:
        assert await first.grow(50)
        assert await second.grow(50)
        assert await usual.grow(8), "counted for its owner alone"
        assert await usual.grow(22), "and the rest where there is room: 10 of each are free"
        assert not await usual.grow(1)
        assert budget.held_bytes == 100
    assert budget.held_bytes == 0
