"""A real server inside a simulated sandbox: the node hands out sockets to it, as a real one does."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from aiohttp.test_utils import TestServer

from sandboxes.protocol import SandboxError
from tests.gate.gatehouse import House

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Inside:
    """What a node has for connections: each goes to the server, or nobody listens."""

    def __init__(self, host: str, port: int) -> None:
        self._at = (host, port)
        self.is_listening = True

    async def connect(self, runtime_id: str, port: int, *, seconds: float) -> socket.socket:
        if not self.is_listening:
            raise SandboxError("nobody listens", code="port_closed")
        peer = await asyncio.to_thread(socket.create_connection, self._at, seconds)
        peer.setblocking(False)
        return peer


@contextlib.asynccontextmanager
async def serving(house: House, serve: Serve) -> AsyncIterator[Inside]:
    """Have `serve` answer every request that reaches a port inside."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    async with TestServer(app) as server:
        assert server.port is not None
        inside = house.node.processes = Inside(server.host, server.port)  # type: ignore[attr-defined]
        yield inside
