"""The proxy's side of the control channel: does what the node says, tells what was used."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable

import structlog
from pydantic import BaseModel

from sandboxes.egress.budget import Meter
from sandboxes.egress.guest import Guest, HeaderSecret
from sandboxes.egress.messages import (
    MESSAGE_BYTES_MAX,
    Attach,
    Detach,
    Ready,
    Secret,
    Secrets,
    Usage,
    dump,
    from_node,
)
from sandboxes.egress.proxy import Proxy
from sandboxes.egress.rules import Rules

TELL_SECONDS = 1.0


class Control:
    """Serves one node until it hangs up."""

    def __init__(self, proxy: Proxy, channel: socket.socket, clock: Callable[[], float] = time.monotonic) -> None:
        self._proxy = proxy
        self._channel = channel
        self._clock = clock
        self._told: dict[str, tuple[int, int, int]] = {}
        self._arriving: dict[str, tuple[int, list[HeaderSecret]]] = {}

    async def run(self) -> None:
        """Until the node has hung up."""
        self._channel.setblocking(False)
        self._tell(Ready())
        telling = asyncio.ensure_future(self._tell_for_ever())
        try:
            while await self._take():
                continue
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _take(self) -> bool:
        await _readable(self._channel)
        try:
            data, descriptors, _flags, _address = socket.recv_fds(
                self._channel, MESSAGE_BYTES_MAX, 2, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return True
        except OSError:
            return False
        try:
            if not data:
                return False
            self._do(from_node(data), descriptors)
        except (
            LookupError,
            ValueError,
        ) as error:  # the node checks what it sends; still, an invalid pattern must not end the proxy
            # What it says is not logged: it could be a secret.
            structlog.get_logger().error("egress.message_refused", kind=type(error).__name__)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _do(self, message: Attach | Secrets | Secret | Detach, descriptors: list[int]) -> None:
        match message:
            case Attach():
                listener = socket.socket(fileno=descriptors.pop())
                meter = Meter(message.bytes_per_second, message.bytes_max, self._clock)
                rules = Rules(message.allow, message.ports)
                token = message.self_token
                self._proxy.attach(Guest(message.runtime_id, listener, rules, meter, self._clock, self_token=token))
            case Secrets():
                self._arriving[message.runtime_id] = (message.count, [])
                self._arrived(message.runtime_id)
            case Secret():
                _count, secrets = self._arriving[message.runtime_id]
                secrets.append(HeaderSecret(message.alias, message.upstream, message.header, message.value))
                self._arrived(message.runtime_id)
            case Detach():
                self._arriving.pop(message.runtime_id, None)
                guest = self._proxy.detach(message.runtime_id)
                self._told.pop(message.runtime_id, None)
                if guest is not None:
                    self._tell(_usage(guest, is_last=True))

    def _arrived(self, runtime_id: str) -> None:
        count, secrets = self._arriving[runtime_id]
        if len(secrets) >= count:
            del self._arriving[runtime_id]
            self._proxy.set_secrets(runtime_id, secrets)

    async def _tell_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            for guest in self._proxy.guests:
                counters = (guest.meter.in_bytes, guest.meter.out_bytes, guest.refused.total())
                if self._told.get(guest.runtime_id, (0, 0, 0)) != counters and self._tell(_usage(guest)):
                    self._told[guest.runtime_id] = counters

    def _tell(self, message: BaseModel) -> bool:
        try:
            self._channel.send(dump(message))
        except OSError:
            return False  # the node is busy or gone; the next report has these counters too
        return True


def _usage(guest: Guest, *, is_last: bool = False) -> Usage:
    return Usage(
        runtime_id=guest.runtime_id, in_bytes=guest.meter.in_bytes, out_bytes=guest.meter.out_bytes,
        refused=dict(guest.refused), is_last=is_last,
    )  # fmt: skip


async def _readable(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(channel.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(channel.fileno())
