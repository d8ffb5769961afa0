"""Sockets and streams end soon after what let them in is gone: a token, a pass, a route."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from actors.wallet.calls import Route
from actors.wallet.commands import Expose, RevokePasses, SetRoutes, Unexpose
from gate.identity import tenures
from gate.identity.port_tokens import TOKEN_HEADER, token_hash
from tests.gate.gatehouse import House, Who, gatehouse, header_of
from tests.gate.inside import serving

TOKEN = "pt_" + "aB3-_" * 8 + "xyz"
BY_TOKEN = {TOKEN_HEADER: TOKEN}
SILENT_LOOKS = 3
PORT = 8000


@dataclass
class Site:
    """A sandbox whose server echoes over sockets, and streams without end; how its sides of them ended."""

    house: House
    owner: Who
    ends: list[int | None] = field(default_factory=list)
    streams: int = 0

    @property
    def path(self) -> str:
        return f"/sandbox/proxy/{self.owner.address}/{PORT}"

    async def tell(self, *commands: Any) -> None:
        for command in commands:
            self.house.services.views.put(await self.house.services.system.ask(self.owner.address, command))

    async def expose(self, token: str = TOKEN, seconds: int = 3_600) -> None:
        await self.tell(Expose(PORT, token_hash(token), self.house.clock.wall_ms() + seconds * 1_000))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if "Upgrade" not in request.headers:
            return await self._stream(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        self.ends.append(socket.close_code)
        return socket

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: begun\n\n")
        self.streams += 1
        try:
            while request.transport is not None:
                await asyncio.sleep(0.01)
        finally:
            self.streams -= 1
        return response

    @contextlib.asynccontextmanager
    async def socket(self, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self.house.client.ws_connect(f"{self.path}/ws", headers=headers) as socket:
            await socket.send_str("before")
            assert (await socket.receive()).data == "before"
            yield socket


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(tenures, "LOOK_SECONDS", 0.01)
    async with gatehouse(tmp_path) as house, asyncio.timeout(120):
        made = Site(house, await house.agent())
        await house.created(made.owner)
        await made.expose()
        async with serving(house, made.serve):
            yield made


async def expired(site: Site) -> None:
    site.house.clock.ahead_ms += 3_600_000


async def unexposed(site: Site) -> None:
    await site.tell(Unexpose(PORT))


async def exposed_again(site: Site) -> None:
    await site.tell(Unexpose(PORT))
    await site.expose("pt_" + "x" * 43)


async def test_a_socket_and_a_stream_end_with_their_token(site: Site) -> None:
    for end in (expired, unexposed, exposed_again):
        await site.tell(Unexpose(PORT))
        await site.expose()
        async with site.socket(BY_TOKEN) as socket, site.house.client.get(f"{site.path}/s", headers=BY_TOKEN) as stream:
            assert await stream.content.readany() == b"data: begun\n\n"
            await end(site)
            message = await socket.receive()
            assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 1008, "port_token_ended"), end
            with pytest.raises(aiohttp.ClientPayloadError):
                await stream.content.read()
        await site.house.until(lambda: site.ends and not site.streams)
        assert site.ends.pop() == 1008, "the server inside is told so, too"
        assert (await site.house.ask("GET", f"{site.path}/s", headers=BY_TOKEN)).status == 404


async def test_what_still_holds_is_left_alone(site: Site) -> None:
    looks = 0
    look = tenures.Tenures.look

    async def counted(self: tenures.Tenures) -> None:
        nonlocal looks
        await look(self)
        looks += 1

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tenures.Tenures, "look", counted)
        await site.expose("pt_" + "y" * 43)
        async with site.socket(BY_TOKEN) as by_token, site.socket(site.house.bearer(site.owner)) as by_pass:
            await site.tell(
                Expose(PORT + 1, token_hash("pt_other"), site.house.clock.wall_ms() + 1_000), Unexpose(PORT + 1)
            )
            begun = looks
            await site.house.until(lambda: looks >= begun + SILENT_LOOKS)
            for socket in (by_token, by_pass):
                await socket.send_str("after")
                assert (await socket.receive()).data == "after"


async def test_a_revoked_pass_ends_its_sockets_and_streams(site: Site) -> None:
    headers = site.house.bearer(site.owner)
    events = {"Accept": "text/event-stream", **headers}
    async with (
        site.socket(headers) as socket,
        site.house.client.get("/sandbox/events?follow=true", headers=events) as told,
    ):
        assert told.status == 200
        await site.tell(RevokePasses())
        message = await socket.receive()
        assert (message.data, message.extra) == (1008, "pass_revoked")
        with pytest.raises(aiohttp.ClientPayloadError):
            await told.content.read()


async def test_a_route_that_is_taken_away_ends_what_came_by_it(site: Site) -> None:
    await site.tell(SetRoutes((Route(PORT, "/*", sats=10, deliver_on="mempool"),)))
    payer = await site.house.agent()
    async with site.socket({"payment-signature": header_of(site.house.sbtc(payer, 10))}) as socket:
        await site.tell(SetRoutes((Route(PORT, "/*", sats=20),)))
        await socket.send_str("still")
        assert (await socket.receive()).data == "still"
        await site.tell(SetRoutes(()))
        message = await socket.receive()
        assert (message.data, message.extra) == (1008, "route_removed")
    assert len(site.house.state(payer).promises) == 1, "what was delivered is paid"


async def test_a_wallet_that_does_not_answer_ends_nothing_but_what_expires(site: Site) -> None:
    async def silent(*_asked: Any) -> Any:
        raise ConnectionError("the host is gone")

    async with site.socket(BY_TOKEN) as socket:
        site.house.services.system.look = silent  # type: ignore[method-assign]
        site.house.clock.ahead_ms += 5_000  # no view is fresh any more
        await socket.send_str("still")
        assert (await socket.receive()).data == "still"
        site.house.clock.ahead_ms += 3_600_000
        assert (await socket.receive()).data == 1008
