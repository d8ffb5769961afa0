"""Answers in the gate's one form, and what every request and the application carry for it."""

from aiohttp import web
from pydantic import BaseModel

from gate.wire.byte_budget import ByteBudget
from gate.wire.crowd import Crowd, Peers
from gate.wire.metrics import Metrics
from gate.wire.outcomes import Reply
from operations.errors import SatboxError

METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
CROWD: web.AppKey[Crowd] = web.AppKey("crowd", Crowd)
PEERS: web.AppKey[Peers] = web.AppKey("peers", Peers)
QUOTE_PEERS: web.AppKey[Peers] = web.AppKey("quote_peers", Peers)
"""Who asks for quotes: each is signed and kept, so they are fewer."""
LINK_PEERS: web.AppKey[Peers] = web.AppKey("link_peers", Peers)
"""Peers that send invalid wake links."""
BUDGET: web.AppKey[ByteBudget] = web.AppKey("budget", ByteBudget)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)


def json_response(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A model as a JSON answer."""
    return web.Response(
        body=model.__pydantic_serializer__.to_json(model),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def reply_response(reply: Reply, request_id: str) -> web.Response:
    """A document that has a status and headers of its own as an answer."""
    headers = {"x-request-id": request_id, **reply.headers}
    if isinstance(reply.document, BaseModel):
        return json_response(reply.document, reply.status, headers)
    return web.json_response(reply.document, status=reply.status, headers=headers)


def error_response(error: SatboxError, request_id: str) -> web.Response:
    """The uniform error body. Only the paywall attaches payment requirements, never this."""
    headers = {"x-request-id": request_id}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.code == "range_invalid" and "size_bytes" in error.details:
        headers["Content-Range"] = f"bytes */{error.details['size_bytes']}"  # RFC 9110, 15.5.17
    return web.json_response(error.body(request_id), status=error.kind.status, headers=headers)
