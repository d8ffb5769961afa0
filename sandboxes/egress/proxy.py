"""The proxy: takes connections from inside sandboxes, and answers or carries each. See `forward` for plain requests."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from functools import partial

import structlog

from sandboxes.egress.dialing import Dialer
from sandboxes.egress.forward import Forwarder
from sandboxes.egress.guest import Guest, HeaderSecret, read_origin
from sandboxes.egress.heads import Framing, HeadInvalid, RequestHead, read_request, request_body
from sandboxes.egress.refusals import Refusal, answer
from sandboxes.egress.rules import read_authority
from sandboxes.egress.settings import EgressSettings
from sandboxes.egress.streams import Patience, Side

LINGER_BYTES_MAX, LINGER_SECONDS_MAX = 1 << 20, 1.0
FULL_PAUSE_SECONDS = 0.02
_TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"
_FULL = answer(Refusal("egress_limit", "too many connections"))


class Proxy:
    """All guests of one node. Only the node calls `attach` and `detach`, and only those decide who is served."""

    def __init__(
        self, settings: EgressSettings, dialer: Dialer, tls: ssl.SSLContext, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._dialer = dialer
        self._clock = clock
        self._patience = Patience(settings.idle_seconds_max, settings.stall_seconds_max)
        internal = {alias: read_origin(url) for alias, url in settings.internal.items()}
        self._forwarder = Forwarder(settings, dialer, tls, internal, self._patience)
        self._guests: dict[str, Guest] = {}
        self._accepting: dict[str, asyncio.Task[None]] = {}
        self._connections = 0

    @property
    def guests(self) -> Iterable[Guest]:
        """Who is served now."""
        return list(self._guests.values())

    def attach(self, guest: Guest) -> None:
        """Serve a runtime's listener; it is the proxy's from here on."""
        self.detach(guest.runtime_id)
        self._guests[guest.runtime_id] = guest
        accepting = asyncio.get_running_loop().create_task(self._accept(guest))
        accepting.add_done_callback(lambda _done: guest.listener.close())  # not before the loop has let go of it
        self._accepting[guest.runtime_id] = accepting

    def set_secrets(self, runtime_id: str, secrets: Iterable[HeaderSecret]) -> None:
        """Replace a runtime's header secrets, for requests from now on."""
        guest = self._guests.get(runtime_id)
        if guest is not None:
            guest.secrets = {secret.alias: secret for secret in secrets if secret.alias not in self._settings.internal}

    def detach(self, runtime_id: str) -> Guest | None:
        """Cut a runtime off, connections and all; its last counters, if it was served."""
        guest = self._guests.pop(runtime_id, None)
        if guest is None:
            return None
        self._accepting.pop(runtime_id).cancel()
        for task in guest.tasks:
            task.cancel()
        return guest

    async def close(self) -> None:
        """Cut everybody off."""
        guests = [self.detach(guest.runtime_id) for guest in self.guests]
        for guest in guests:
            if guest is not None:
                await asyncio.gather(*guest.tasks, return_exceptions=True)

    async def _accept(self, guest: Guest) -> None:
        loop = asyncio.get_running_loop()
        guest.listener.setblocking(False)
        while True:
            try:
                connection, _peer = await loop.sock_accept(guest.listener)
            except OSError as error:  # of a client that left, or no descriptor is free: neither lasts
                structlog.get_logger().warning("egress.accept_failed", runtime_id=guest.runtime_id, error=str(error))
                await asyncio.sleep(FULL_PAUSE_SECONDS)
                continue
            settings = self._settings
            if (
                len(guest.tasks) >= settings.connections_per_sandbox_max
                or self._connections >= settings.connections_max
            ):
                self._refuse_full(guest, connection)
                await asyncio.sleep(FULL_PAUSE_SECONDS)  # the rest wait in the listener's queue, which is theirs
                continue
            self._connections += 1
            task = loop.create_task(self._serve(guest, connection))
            guest.tasks.add(task)
            task.add_done_callback(partial(self._done, guest, connection))

    def _done(self, guest: Guest, connection: socket.socket, task: asyncio.Task[None]) -> None:
        guest.tasks.discard(task)
        self._connections -= 1
        if task.cancelled():
            connection.close()  # perhaps before it began
            return
        if task.exception() is not None:
            kind = type(task.exception()).__name__  # its text could hold a secret
            structlog.get_logger().error("egress.connection_failed", runtime_id=guest.runtime_id, kind=kind)

    @staticmethod
    def _refuse_full(guest: Guest, connection: socket.socket) -> None:
        if guest.count_refusal("egress_limit"):
            structlog.get_logger().warning("egress.refused", runtime_id=guest.runtime_id, code="egress_limit")
        with connection, contextlib.suppress(OSError):
            connection.setblocking(False)
            connection.send(_FULL)

    async def _serve(self, guest: Guest, connection: socket.socket) -> None:
        """One connection, one request or one tunnel: nothing is left in it that a second one could be made of."""
        try:
            side = await Side.accepted(connection, self._patience)
        except OSError:
            connection.close()
            return
        try:
            async with asyncio.timeout(self._settings.connection_seconds_max):
                await self._answer(guest, side)
        except (TimeoutError, OSError):
            side.abort()
        except BaseException:
            side.abort()
            raise
        else:
            await side.close()

    async def _answer(self, guest: Guest, side: Side) -> None:
        try:
            try:
                data = await side.head(self._settings.head_bytes_max, self._settings.head_seconds_max)
                if not data:
                    return
                head = read_request(data, self._settings.head_fields_max)
                if head.method == "CONNECT":
                    await self._tunnel(guest, side, head)
                else:
                    await self._forwarder.forward(guest, side, head)
            except HeadInvalid as error:
                raise Refusal("egress_bad_request", str(error)) from error
        except Refusal as refusal:
            if guest.count_refusal(refusal.code):
                structlog.get_logger().info(
                    "egress.refused", runtime_id=guest.runtime_id, code=refusal.code, message=refusal.message[:200]
                )
            await side.send(answer(refusal))
            await side.linger(LINGER_BYTES_MAX, LINGER_SECONDS_MAX)

    async def _tunnel(self, guest: Guest, side: Side, head: RequestHead) -> None:
        destination = read_authority(head.target, None)
        if request_body(head).framing is not Framing.NONE:
            raise Refusal("egress_bad_request", "CONNECT has no body")
        upstream = await Side.connected(await self._dialer.public(guest, destination), self._patience)
        try:
            await side.send(_TUNNEL)
            await _both_ways(side, upstream, guest)
        except BaseException:
            upstream.abort()
            raise
        await upstream.close()


async def _both_ways(inner: Side, outer: Side, guest: Guest) -> None:
    """Carry until both ends have ended, one has broken, or nothing moved either way for too long."""
    loop = asyncio.get_running_loop()
    moved_at = loop.time()

    async def carry(source: Side, target: Side, count: Callable[[int], float]) -> None:
        nonlocal moved_at
        while not guest.meter.is_spent:
            try:
                data = await source.some()
            except TimeoutError:
                if loop.time() - moved_at >= source.patience.idle:
                    raise
                continue  # the other way is busy
            if not data:
                target.end()
                return
            moved_at = loop.time()
            wait = count(len(data))
            if wait > 0:
                await asyncio.sleep(wait)
            await target.send(data)
            moved_at = loop.time()
        raise ConnectionAbortedError("used up")

    ways = [
        asyncio.ensure_future(carry(inner, outer, guest.meter.count_out)),
        asyncio.ensure_future(carry(outer, inner, guest.meter.count_in)),
    ]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
