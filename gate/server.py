"""How the gate listens: limits on what arrives before there is a request, and our error envelope for what never becomes one."""

import logging
import secrets
from asyncio import BaseTransport
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from gate.routing import error_response
from operations.errors import SatboxError

log = logging.getLogger(__name__)

HEADER_BYTES_MAX = 65_536
"""Of one header line; a payment header carries a transaction of up to some kilobytes in hex, then in base64."""
CONNECTIONS_MAX = 4_096
KEEPALIVE_SECONDS = 75.0


class _Connection(web.RequestHandler):
    """One connection: turned away over the limit, told in our words when it does not speak HTTP."""

    __slots__ = ()

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        manager = self._manager
        if manager is not None and len(manager.connections) > CONNECTIONS_MAX:
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
        if isinstance(exc, LineTooLong):
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
        return response


class _Server(web.Server):
    """Makes our connections."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class GateRunner(web.AppRunner):
    """Runs the gate's application within the limits above."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        super().__init__(
            app,
            access_log=None,
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_field_size=HEADER_BYTES_MAX,
            max_line_size=HEADER_BYTES_MAX,
            **options,
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, loop=made._loop, **made._kwargs)
