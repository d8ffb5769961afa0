"""Callers that leave while their request waits: the place is free at once, and what was done for them alone has ended."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
from aiohttp import web

from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from gate.proxy.serve import PAYING, PROXY_CROWD, STRANGERS
from gate.wire import departures
from gate.wire.answers import CROWD
from gate.wire.crowd import Crowd
from operations.catalogue import REGISTRY
from operations.registry import Body
from tests.gate.gatehouse import SATS, GateServer, House
from tests.gate.inside import serving
from tests.gate.test_callers import call
from tests.gate.test_failed_calls import call as paid_call
from tests.gate.test_failed_calls import sold

ENDS = [operation.name for operation in REGISTRY.values() if operation.ends_with_caller]
NODE = ("exec", "exec_bytes", "stat_file", "pack_folder", "watch_files")


class Endless:
    """An answer of the node that never comes, whole or in pieces."""

    def __init__(self, node: "Silent") -> None:
        self._node = node

    async def _wait(self) -> None:
        self._node.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._node.ended.set()

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    def __aiter__(self) -> "Endless":
        return self

    async def __anext__(self) -> None:
        await self._wait()


class Silent:
    """A part of the node that takes every request and answers none."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return lambda *_given, **_options: Endless(self)


@pytest.fixture(autouse=True)
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "LOOK_SECONDS", 0.01)


@contextlib.asynccontextmanager
async def asked(question: Any, has_begun: asyncio.Event) -> AsyncIterator[asyncio.Task[Any]]:
    """A request that has arrived; its connection is closed at the end."""
    asking = asyncio.ensure_future(question)
    try:
        async with asyncio.timeout(60):
            await has_begun.wait()
        assert not asking.done()
        yield asking
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


def under_way(house: House, key: Any = CROWD) -> int:
    """Requests that take a place."""
    server = house.client.server
    assert isinstance(server, GateServer)
    places = server._app[key]
    return int((places._under_way if isinstance(places, Crowd) else places._taken).total())


async def test_a_caller_that_leaves_gives_the_place_back_and_ends_the_work(house: House) -> None:
    who = await house.agent()
    await house.created(who)
    values: dict[str, dict[str, Any]] = {"processes.write": {"data": "aGVsbG8="}, "processes.wait": {"until": "exit"}}
    for name in ENDS:
        if name == "sandbox.events":  # its stream has begun; the wallet is what is silent
            answer = await house.client.get("/sandbox/events?follow=true", headers=house.bearer(who))
            assert under_way(house) == 1
            answer.close()
        else:
            node = Silent()
            for method in NODE:
                setattr(house.node, method, getattr(node, method))
            house.node.processes = house.node.contexts = node  # type: ignore[attr-defined]
            async with asked(call(house, name, house.bearer(who), **values.get(name, {})), node.begun):
                assert under_way(house) == 1, name
            await house.until(node.ended.is_set)
        await house.until(lambda: under_way(house) == 0)


def test_whatever_waits_at_a_callers_wish_ends_with_the_caller() -> None:
    """One that is added and waits is marked too; a process's timeout is how long it runs, and its start answers at once."""
    waits = {
        operation.name
        for operation in REGISTRY.values()
        if {"timeout_seconds", "follow"} & set(operation.input.model_fields) or operation.body is Body.EVENTS
    } - {"processes.start"}
    assert waits - set(ENDS) == set()
    assert not any(REGISTRY[name].is_on_chain for name in ENDS)


async def test_a_caller_that_leaves_a_silent_server_inside_gives_the_place_back(house: House) -> None:
    begun = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if request.path == "/stream":
            await response.prepare(request)
            await response.write(b"data: 1")
        begun.set()
        await asyncio.Event().wait()
        return response

    owner = await house.agent()
    await house.created(owner)
    house.services.views.put(await house.services.system.ask(owner.address, SetRoutes((Route(8000, "/*"),))))
    async with serving(house, silent):
        path = f"/sandbox/proxy/{owner.address}/8000"
        for who, places in ((owner, PROXY_CROWD), (None, STRANGERS)):
            begun.clear()
            async with asked(house.ask("GET", f"{path}/nothing", who=who), begun):
                assert under_way(house, places) == 1
            await house.until(lambda places=places: under_way(house, places) == 0)  # type: ignore[misc]
        answer = await house.client.get(f"{path}/stream", headers=house.bearer(owner))
        assert await answer.content.readany()
        assert under_way(house, PROXY_CROWD) == 1
        answer.close()
        await house.until(lambda: under_way(house, PROXY_CROWD) == 0)


async def test_a_paid_call_goes_on_without_its_caller(house: House) -> None:
    """Its seller may have done the work: who leaves before the answer pays all the same."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        begun.set()
        await may_end.wait()
        return web.Response(text="served")

    seller, payer = await sold(house), await house.agent()
    async with serving(house, slow):
        async with asked(paid_call(house, seller, house.sbtc(payer, 10)), begun):
            assert under_way(house, PAYING) == 1
        runner = house.client.server.runner  # type: ignore[union-attr]
        connections = runner.server.connections  # type: ignore[union-attr]
        looks = itertools.count()
        await house.until(lambda: any(one.transport is None for one in connections) and next(looks) > 20)
        assert under_way(house, PAYING) == 1
        may_end.set()
        await house.until(lambda: house.world.mine() and house.state(payer).accounts.spent == 10 * SATS)
    assert under_way(house, PAYING) == 0
