"""From the operation registry to routes: authenticate, read the input, run the handler, write the answer.

One wrapper serves every operation, so errors, limits, counting and request ids are the same everywhere.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel

from gate.callers import Caller, authenticate, by_link, check_scope, link_token
from gate.crowd import Crowd, Peers
from gate.inputs import read_input
from gate.metrics import Metrics
from gate.ports import Services
from operations.errors import SatboxError
from operations.registry import Auth, Operation

log = structlog.get_logger()

SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
CROWD: web.AppKey[Crowd] = web.AppKey("crowd", Crowd)
PEERS: web.AppKey[Peers] = web.AppKey("peers", Peers)
QUOTE_PEERS: web.AppKey[Peers] = web.AppKey("quote_peers", Peers)
"""Who asks for quotes: each is signed and kept, so they are fewer."""
LINK_PEERS: web.AppKey[Peers] = web.AppKey("link_peers", Peers)
"""Who sends wake links that are none."""
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)

Handler = Callable[[Services, web.Request, Caller, Any], Awaitable[BaseModel | web.StreamResponse]]
"""Answers an operation: a model, or a response of its own for bytes and streams."""

EXPOSED_HEADERS = "payment-required, payment-response, x-request-id"


def json_response(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A model as a JSON answer."""
    return web.Response(
        body=model.__pydantic_serializer__.to_json(model),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def error_response(error: SatboxError, request_id: str) -> web.Response:
    """The uniform error body. Only the paywall attaches payment requirements, never this."""
    headers = {"x-request-id": request_id}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return web.json_response(error.body(request_id), status=error.kind.status, headers=headers)


def _crowd(request: web.Request, operation: Operation, caller: Caller) -> AbstractContextManager[None]:
    if operation.name == "sandbox.status":
        return nullcontext()
    if caller.link is not None:  # a link's holder takes none of its owner's room
        return request.app[CROWD].entered(caller.link.link_id)
    if caller.gate_pass is None:
        return nullcontext()
    return request.app[CROWD].entered(caller.gate_pass.address)


async def _caller(services: Services, operation: Operation, request: web.Request) -> Caller:
    """Who calls: by pass, or by a wake link in its place. A link counts as a guess until it is known to be good."""
    token = link_token(operation, request)
    if token is None:
        return await authenticate(services, operation, request)
    guesses = request.app[LINK_PEERS]
    guesses.take(request.remote, services.clock.monotonic_ms())
    caller = await by_link(services, operation, token)
    guesses.give_back(request.remote)
    assert caller.link is not None
    check_scope(operation, caller.link)
    return caller


def route(operation: Operation, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of one operation."""

    async def serve(request: web.Request) -> web.StreamResponse:
        services, metrics = request.app[SERVICES], request.app[METRICS]
        request_id = f"req_{secrets.token_hex(8)}"
        request[REQUEST_ID] = request_id
        began = time.perf_counter()
        code = "ok"
        try:
            if operation.auth in (Auth.NONE, Auth.OPTIONAL) or link_token(operation, request) is not None:
                request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
                if operation.name == "sandbox.quote":
                    request.app[QUOTE_PEERS].take(request.remote, services.clock.monotonic_ms())
            caller = await _caller(services, operation, request)
            with _crowd(request, operation, caller):
                data = await read_input(operation, request, services.settings)
                answer = await handler(services, request, caller, data)
            if isinstance(answer, BaseModel):
                return json_response(answer, headers={"x-request-id": request_id})
            return answer
        except SatboxError as error:
            code = error.code
            return error_response(error, request_id)
        except ConnectionResetError:
            code = "disconnected"
            return web.Response(status=499)  # the caller went away: nobody reads this
        except web.HTTPException as error:
            code = f"http_{error.status}"
            raise
        except Exception:
            code = "internal"
            log.exception("unexpected", operation=operation.name, request_id=request_id)
            # After a payment was presented nobody here can tell whether money moved.
            presented = operation.paid and "payment-signature" in request.headers
            return error_response(SatboxError("internal", funds_moved="unknown" if presented else False), request_id)
        finally:
            metrics.requests.labels(operation.name, code).inc()
            metrics.seconds.labels(operation.name).observe(time.perf_counter() - began)

    return serve
