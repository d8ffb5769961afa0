"""How the gate listens: limits on what arrives before there is a request, and our error envelope for what never becomes one."""

import contextlib
import ipaddress
import logging
import secrets
import socket
import struct
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import _ErrInfo

from gate.front.connections import HEAD_BYTES_MAX, ConnectionLimits, Connections, HeldHead
from gate.wire.answers import error_response
from gate.wire.cors import mark
from gate.wire.crowd import peer_of
from gate.wire.slow_lane import BUFFER_BYTES, SlowLane, Waiting
from operations.errors import SatboxError

log = logging.getLogger(__name__)

HEADER_BYTES_MAX = 65_536
"""Of one header line; a payment header carries a transaction of up to some kilobytes in hex, then in base64."""
KEEPALIVE_SECONDS = 75.0


HEAD_END = b"\r\n\r\n"


class _Connection(web.RequestHandler):
    """One connection: its heads within limits of size and time; refused in our words over a limit or when it is not HTTP."""

    __slots__ = (
        "_deadline", "_has_begun", "_heads", "_last_body", "_limits", "_line", "_place_in_lane", "_places", "_stall", "_tail"
    )  # fmt: skip

    def __init__(
        self, manager: web.Server, connections: Connections, limits: ConnectionLimits, lane: SlowLane, **options: Any
    ) -> None:
        super().__init__(manager, **options)
        self._places = connections
        self._limits = limits
        self._place_in_lane = Waiting(lane, self._go_on)
        self._heads: dict[int, HeldHead] = {}
        """Of waiting and current requests, by their message."""
        self._deadline: TimerHandle | None = None
        self._stall: TimerHandle | None = None
        self._line: Transport | None = None
        """The transport, also after aiohttp has released it."""
        self._last_body: StreamReader | None = None
        self._has_begun = False
        self._tail = b""
        """The last bytes of an unfinished head: its end may lie across two reads."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self._line = self.transport
        address = transport.get_extra_info("peername")
        try:
            self._places.enter(self, peer_of(address[0] if isinstance(address, tuple) else None))
        except SatboxError as error:
            self._refuse(error)
        else:
            self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        for message, _body in self._messages:  # nobody handles them any more
            self._let_go(message)
        self._places.leave(self)
        self._stop_clock()
        self._stop_stall()
        self._line = None
        super().connection_lost(exc)

    # What its peer does not take

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self._loop.call_later(self._limits.stalled_seconds, self._stalled)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stall()
        self._places.flows(self)

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _stalled(self) -> None:
        self._places.stalled(self)
        left = self._limits.stalled_seconds_max - self._limits.stalled_seconds
        self._stall = self._loop.call_later(max(0.0, left), self._cut)

    def _cut(self) -> None:
        """At once, and what the kernel has still to send with it."""
        if self._line is not None:
            peer = self._line.get_extra_info("socket")
            if peer is not None:
                with contextlib.suppress(OSError):
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._line.abort()

    def force_close(self) -> None:
        super().force_close()
        self._let_end()

    async def start(self) -> None:
        await super().start()
        self._let_end()

    def _let_end(self) -> None:
        """It is closed: a transport goes once all is sent, which to a peer that takes nothing is never."""
        if self._line is not None and self._line.get_write_buffer_size():
            self._loop.call_later(self._limits.linger_seconds, self._cut)

    def data_received(self, data: bytes) -> None:
        is_head = not self._upgraded and (self._last_body is None or self._last_body.is_eof())
        if is_head and data and not self._force_close:
            if self._deadline is None:
                self._await_head()
            self._has_begun = True
            if self._places.received(self, self._head_size(data)) == "too_large":
                self._refuse(SatboxError("headers_too_large", details={"limit_bytes": HEAD_BYTES_MAX}))
                return
        before = self._request_count
        super().data_received(data)
        if self._request_count > before:
            if self._messages:
                self._last_body = self._messages[-1][1]
                self._begin(self._request_count - before)
            self._places.busy(self)
            self._has_begun = False
            self._tail = b""
            self._stop_clock()

    def _head_size(self, data: bytes) -> int:
        """How many of the bytes belong to the head: a read may bring much of the body along with it."""
        tail, self._tail = self._tail, (self._tail + data[-3:])[-3:]
        across = (tail + data[:3]).find(HEAD_END)
        if across >= 0:
            return across + len(HEAD_END) - len(tail)
        end = data.find(HEAD_END)
        return len(data) if end < 0 else end + len(HEAD_END)

    def _begin(self, count: int) -> None:
        """So many requests have come in whole heads, and maybe with bodies on their way: hold their heads, or refuse them."""
        for index in range(max(-count, -len(self._messages)), 0):
            message, body = self._messages[index]
            if not isinstance(message, RawRequestMessage):
                continue
            self._place_in_lane.begin(body, is_chunked=message.chunked)
            size = sum(len(name) + len(value) for name, value in message.raw_headers) + len(message.path)
            waits = self._request_in_progress or len(self._messages) + index > 0
            try:
                held = self._places.hold(self, size, waits=waits)
            except SatboxError as error:
                # As a request that cannot be read, so that what came before it is answered before.
                self._messages[index] = (_ErrInfo(error.kind.status, error, error.message), body)
            else:
                if held is not None:
                    self._heads[id(message)] = held

    def _let_go(self, message: Any) -> None:
        held = self._heads.pop(id(message), None)
        if held is not None:
            self._places.let_go(held)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Continue a chunked body when it is its turn."""
        if resume_parser and self._reading_paused and not self._upgraded and self._place_in_lane.is_chunked:
            self._place_in_lane.resume()
        else:
            super().resume_reading(resume_parser)

    def _go_on(self) -> None:
        if self._reading_paused and self._parser is not None:
            super().resume_reading()

    async def _handle_request(self, request: web.BaseRequest, *arguments: Any) -> tuple[web.StreamResponse, bool]:
        try:
            return await super()._handle_request(request, *arguments)
        finally:
            self._let_go(request._message)
            if not self._messages:
                self._places.idle(self)

    def _await_head(self) -> None:
        self._stop_clock()
        self._deadline = self._loop.call_later(self._limits.head_seconds, self._too_late)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        message = f"The request's head was not complete after {self._limits.head_seconds:g} seconds."
        self._close_waiting(SatboxError("request_timeout", message))

    def evict(self) -> None:
        """Close it: its place is needed for another one, now."""
        is_taking = self._line is not None and not self._line.get_write_buffer_size()
        if is_taking:
            self._close_waiting(SatboxError("rate_limited", "Too many connections.", retry_after=1))
        else:
            self._cut()

    def _close_waiting(self, error: SatboxError) -> None:
        if self._has_begun:
            self._refuse(error)
        else:  # nobody waits for an answer, and one that comes unasked would be taken for that to a later request
            self.force_close()

    def _refuse(self, error: SatboxError) -> None:
        """Answer without a request, and close."""
        self._stop_clock()
        if self.transport is not None and not self._request_in_progress:
            self.transport.write(_bytes_of(error))
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The envelope for a request that could not be read. What was sent is not logged: it may hold a token."""
        request_id = f"req_{secrets.token_hex(8)}"
        if isinstance(exc, SatboxError):
            error = exc
        elif isinstance(exc, LineTooLong):
            error = SatboxError("headers_too_large", details={"limit_bytes": HEADER_BYTES_MAX})
        elif status < 500:
            error = SatboxError("invalid_request", "This is not a well-formed HTTP request.")
        else:
            log.error("a request failed outside of its route: %s", request_id, exc_info=exc)
            error = SatboxError("internal")
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        response = error_response(error, request_id)
        response.force_close()
        mark(response)  # outside of the application, whose signal does it for all else
        return response


def _bytes_of(error: SatboxError) -> bytes:
    """An answer as bytes: there is no request that aiohttp could answer."""
    response = error_response(error, f"req_{secrets.token_hex(8)}")
    mark(response)
    status, body = HTTPStatus(error.kind.status), response.body
    assert isinstance(body, bytes)
    headers = {**response.headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def is_loopback(peer: str) -> bool:
    """Whether a peer is this machine: a reverse proxy here, in which all callers are one."""
    return peer in ("", "::/64") or ipaddress.ip_network(peer, strict=False).is_loopback


class _Server(web.Server):
    """Makes our connections."""

    def __init__(self, made: web.Server, limits: ConnectionLimits, is_exempt: Callable[[str], bool]) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory, loop=made._loop, **made._kwargs)
        self._limits = limits
        self._places = Connections(limits, is_exempt)
        self._lane = SlowLane(self._loop)

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._places, self._limits, self._lane, loop=self._loop, **self._kwargs)


class GateRunner(web.AppRunner):
    """Runs the gate's application within the limits above. `is_exempt` says which peers have no limit of their own."""

    def __init__(
        self,
        app: web.Application,
        limits: ConnectionLimits | None = None,
        is_exempt: Callable[[str], bool] = is_loopback,
        **options: Any,
    ) -> None:
        self._limits = limits or ConnectionLimits()
        self._is_exempt = is_exempt
        super().__init__(
            app,
            access_log=None,
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_field_size=HEADER_BYTES_MAX,
            max_line_size=HEADER_BYTES_MAX,
            read_bufsize=BUFFER_BYTES,
            auto_decompress=False,  # a proxied body goes as it came; `content_encoding` inflates the others
            **options,
        )

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._limits, self._is_exempt)
