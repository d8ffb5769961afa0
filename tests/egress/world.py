"""A proxy in this process, with a made-up internet on this host's loopback: names, addresses that count as public, servers."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

from sandboxes.egress.addresses import Address, AddressCheck, OwnAddresses, why_refused
from sandboxes.egress.budget import Meter
from sandboxes.egress.dialing import Dialer
from sandboxes.egress.guest import Guest, HeaderSecret
from sandboxes.egress.proxy import Proxy
from sandboxes.egress.rules import Rules
from sandboxes.egress.settings import EgressSettings

PUBLIC = IPv4Address("127.7.7.7")
"""Counts as public here; all else is judged as it is."""
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Names:
    """A resolver whose answers change from one question to the next: the last one stays."""

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._answers = {name: list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, name: str) -> list[Address]:
        self.asked.append(name)
        answers = self._answers.get(name, [[]])
        texts = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ip_address(text) for text in texts]


def judge(address: Address) -> str | None:
    return None if address == PUBLIC else why_refused(address)


@dataclass
class World:
    """What one test needs; `close` at its end."""

    proxy: Proxy
    names: Names
    guest: Guest
    port: int
    servers: list[asyncio.Server] = field(default_factory=list)

    async def serve(self, handler: Serve, tls: ssl.SSLContext | None = None) -> int:
        """A server on the public address; its port."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handler(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(handle, str(PUBLIC), 0, ssl=tls, limit=1 << 20)
        self.servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)

    async def ask(self, request: bytes | str, *, end: bool = False) -> bytes:
        """Everything the proxy answers to some bytes, until it hangs up."""
        reader, writer = await self.connect()
        writer.write(request.encode() if isinstance(request, str) else request)
        if end:
            writer.write_eof()
        try:
            async with asyncio.timeout(120):
                return await reader.read()
        finally:
            writer.close()

    async def close(self) -> None:
        for server in self.servers:
            server.close()
        await self.proxy.close()


opened: list[World] = []


async def make_world(
    *,
    allow: Iterable[str] = ("*",),
    answers: Mapping[str, Sequence[Sequence[str]]] | None = None,
    ports: Iterable[int] = range(1, 65_536),
    tls: ssl.SSLContext | None = None,
    rate: float = 1e12,
    bytes_max: int | None = None,
    secrets: Iterable[HeaderSecret] = (),
    own: frozenset[Address] = frozenset(),
    **settings: object,
) -> World:
    loop = asyncio.get_running_loop()
    chosen = EgressSettings.model_validate(settings)
    names = Names({"origin.test": [[str(PUBLIC)]], **(answers or {})})
    here = OwnAddresses(loop.time, read=lambda: own, routed_here=lambda _address: False)
    dialer = Dialer(chosen, names, AddressCheck(here, chosen.refuse, judge=judge))
    proxy = Proxy(chosen, dialer, tls or ssl.create_default_context(), loop.time)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = listener.getsockname()[1]
    guest = Guest("rt-1", listener, Rules(allow, ports), Meter(rate, bytes_max, loop.time), loop.time)
    proxy.attach(guest)
    proxy.set_secrets("rt-1", secrets)
    world = World(proxy, names, guest, port)
    opened.append(world)
    return world


async def settled(world: World) -> None:
    """Until no connection is served any more."""
    async with asyncio.timeout(120):
        while world.guest.tasks:
            await asyncio.wait(list(world.guest.tasks))
            await asyncio.sleep(0)
