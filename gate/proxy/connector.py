"""HTTP connections to servers inside sandboxes, over sockets that the node hands out."""

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.tracing import Trace
from yarl import URL

from sandboxes.client import NodeClient
from sandboxes.protocol import SandboxError

CONNECT_SECONDS_MAX = 5.0
CONNECTIONS_PER_PORT_MAX = 192
"""As many as its owner and strangers may have at once together (`serve`), so that nobody waits for one."""


class Unreachable(aiohttp.ClientConnectionError):
    """The node gave no connection; `cause` says why."""

    def __init__(self, cause: SandboxError) -> None:
        super().__init__(cause.message)
        self.cause = cause


def inner_url(runtime_id: str, port: int, target: str) -> URL:
    """The address of a server inside, for this connector only. A runtime is one host: its successor is another one."""
    return URL(f"http://{runtime_id}.sandbox.internal:{port}{target}", encoded=True)


class PortConnector(aiohttp.BaseConnector):
    """A pool of connections by runtime and port. The sockets are made inside; nothing is looked up or dialled here."""

    def __init__(self, node: NodeClient) -> None:
        # No limit over all: one sandbox that never answers must not hold up another. Each wallet has its own, in `serve`.
        super().__init__(limit=0, limit_per_host=CONNECTIONS_PER_PORT_MAX, keepalive_timeout=15.0)
        self._node = node

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        runtime_id = (req.url.raw_host or "").removesuffix(".sandbox.internal")
        try:
            peer = await self._node.processes.connect(runtime_id, req.url.port or 80, seconds=CONNECT_SECONDS_MAX)
        except SandboxError as error:
            raise Unreachable(error) from error
        try:
            _transport, protocol = await self._loop.create_connection(self._factory, sock=peer)
        except OSError:
            peer.close()
            raise
        return protocol
