"""HTTP connections to servers inside sandboxes, over sockets that the node hands out."""

import asyncio
import functools
import select
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from actors.wallet.state import RuntimeRef
from gate.parts.nodes import Nodes
from gate.wire.slow_lane import SlowLane, Waiting
from sandboxes.protocol import SandboxError

CONNECT_SECONDS_MAX = 5.0
KEEPALIVE_SECONDS = 15.0
BODILESS = frozenset((204, 205, 304))
"""Answers after which there is no body (RFC 9110, 15)."""
CONNECTIONS_PER_PORT_MAX = 192
"""As many as its owner and strangers may have at once together (`serve`), so that nobody waits for one."""


class Unreachable(aiohttp.ClientConnectionError):
    """The node gave no connection; `cause` says why."""

    def __init__(self, cause: SandboxError) -> None:
        super().__init__(cause.message)
        self.cause = cause


def inner_url(runtime: RuntimeRef, port: int, target: str) -> URL:
    """The address of a server inside, for this connector only. A runtime is one host, with its node: its successor is another."""
    return URL(f"http://{runtime.runtime_id}.{runtime.node_id}{DOMAIN}:{port}{target}", encoded=True)


DOMAIN = ".sandbox.internal"


class _Inner(ResponseHandler):
    """A connection to a server inside. It ends when the server sends what nobody asked for: the next caller would take it
    for their answer. A caller can bring it about where a server sends a body to HEAD, or counts a length in characters.
    """

    is_idle = False
    """In the pool: no request is waiting for an answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lane: SlowLane) -> None:
        super().__init__(loop)
        self._place_in_lane = Waiting(lane, self._go_on)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Continue a chunked body when it is its turn."""
        if resume_parser and self._reading_paused and not self._upgraded and self._place_in_lane.is_chunked:
            self._place_in_lane.resume()
        else:
            super().resume_reading(resume_parser)

    def _go_on(self) -> None:
        if self._reading_paused and self.transport is not None:
            super().resume_reading()

    def set_response_params(self, **params: Any) -> None:
        """An answer without a length ends with its connection, one to a handshake too, for which aiohttp would see no body."""
        super().set_response_params(**{**params, "read_until_eof": True})

    def data_received(self, data: bytes) -> None:
        was_idle = self.is_idle
        if not was_idle:
            super().data_received(data)  # which releases the connection when the answer is whole
        if self.is_idle and (was_idle or self.should_close):
            self.close()

    def has_unread(self) -> bool:
        """Whether something has come that the loop has not read yet: an end, or what nobody asked for."""
        connection = self.transport and self.transport.get_extra_info("socket")
        if not connection or connection.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def feed_data(self, data: Any, size: int = 0) -> None:
        """A head has arrived. Behind one without a body some servers send one all the same."""
        if self._skip_payload or data[0].code in BODILESS:
            self.force_close()
        self._place_in_lane.begin(data[1], is_chunked=data[0].chunked)
        super().feed_data(data, size)


class PortConnector(aiohttp.BaseConnector):
    """A pool of connections by runtime and port; with `force_close`, one for each request. The sockets are made inside:
    nothing is looked up or dialled here.
    """

    def __init__(self, nodes: Nodes, *, force_close: bool = False) -> None:
        kept: dict[str, Any] = {} if force_close else {"keepalive_timeout": KEEPALIVE_SECONDS}
        # No limit over all: one sandbox that never answers must not hold up another. Each wallet has its own, in `serve`.
        super().__init__(limit=0, limit_per_host=CONNECTIONS_PER_PORT_MAX, force_close=force_close, **kept)
        self._nodes = nodes
        made: Callable[..., ResponseHandler] = _Inner
        self._factory = functools.partial(made, loop=self._loop, lane=SlowLane(self._loop))

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            assert isinstance(protocol, _Inner)
            if not protocol.should_close and not protocol.has_unread():
                protocol.is_idle = False
                return connection
            connection.close()
        return None

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        assert isinstance(protocol, _Inner)
        protocol.is_idle = True
        super()._release(key, protocol, should_close=should_close)

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        runtime_id, _, node_id = (req.url.raw_host or "").removesuffix(DOMAIN).partition(".")
        try:
            node = self._nodes.for_runtime(RuntimeRef(runtime_id, node_id))
            peer = await node.processes.connect(runtime_id, req.url.port or 80, seconds=CONNECT_SECONDS_MAX)
        except SandboxError as error:
            raise Unreachable(error) from error
        try:
            _transport, protocol = await self._loop.create_connection(self._factory, sock=peer)
        except OSError:
            peer.close()
            raise
        return protocol
