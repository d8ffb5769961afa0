"""The gate's aiohttp application: routes from the registry, uniform errors, CORS, clean start and stop."""

import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from gate.crowd import Crowd, Peers
from gate.discovery import add_discovery_routes
from gate.handlers import HANDLERS
from gate.metrics import Metrics
from gate.pages import add_page_routes, missing_page, wants_page
from gate.ports import Services
from gate.proxy import add_proxy_routes
from gate.routing import (
    CROWD,
    EXPOSED_HEADERS,
    LINK_PEERS,
    METRICS,
    PEERS,
    QUOTE_PEERS,
    SERVICES,
    error_response,
    route,
)
from operations.catalogue import REGISTRY
from operations.errors import SatboxError

ALLOWED_HEADERS = "authorization, content-type, payment-signature, x-payment-token-type, x-satbox-wake-link"


def create_app(services: Services) -> web.Application:
    """An application that serves every operation of the registry."""
    app = web.Application(client_max_size=services.settings.upload_bytes_max, middlewares=[_edges])
    app[SERVICES] = services
    app[METRICS] = Metrics()
    app[CROWD] = Crowd(services.settings.requests_per_wallet_max)
    app[PEERS] = Peers(services.settings.open_requests_per_second, services.settings.open_requests_burst)
    is_counted = (
        services.settings.open_requests_per_second > 0
    )  # behind a proxy all are one peer, and neither is counted
    app[QUOTE_PEERS] = Peers(services.settings.quotes_per_second if is_counted else 0, services.settings.quotes_burst)
    guesses = services.settings.link_guesses_per_second if is_counted else 0
    app[LINK_PEERS] = Peers(guesses, services.settings.link_guesses_burst)
    missing = set(REGISTRY) ^ set(HANDLERS)
    if missing:
        raise RuntimeError(f"operations without a handler, or the reverse: {sorted(missing)}")
    for operation in REGISTRY.values():
        app.router.add_route(operation.method, operation.path, route(operation, HANDLERS[operation.name]))
    payment = REGISTRY["payment.status"]
    app.router.add_get("/payment/{payment_id}", route(payment, HANDLERS["payment.status"]))  # the relay's own path
    add_discovery_routes(app)
    add_page_routes(app)
    add_proxy_routes(app)
    return app


Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _edges(request: web.Request, handler: Serve) -> web.StreamResponse:
    """What no route sees: unknown paths, wrong methods, preflights; and the headers every answer carries."""
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response: web.StreamResponse = web.Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = "86400"
    else:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            if error.status == 404 and wants_page(request):
                response = missing_page(request)
            else:
                response = error_response(_as_satbox_error(error), f"req_{secrets.token_hex(8)}")
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
    if not response.prepared:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return response


def _as_satbox_error(error: web.HTTPException) -> SatboxError:
    match error.status:
        case 404:
            return SatboxError("not_found")
        case 405:
            return SatboxError("method_not_allowed")
        case 413:
            return SatboxError("body_too_large")
        case _:
            return SatboxError("invalid_request", error.reason)
