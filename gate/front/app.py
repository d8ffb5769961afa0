"""The gate's aiohttp application: routes from the registry, uniform errors, CORS, clean start and stop."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiohttp import web

from gate.actions import ACTIONS
from gate.charging.opening import add_charging
from gate.context import Action
from gate.front.connections import KEPT_HEAD_BYTES_MAX
from gate.front.discovery import add_discovery_routes, serve_service_document
from gate.front.priced import charged, offer_probe
from gate.front.routing import OFFER_PROBE, route
from gate.identity.tenures import TENURES, Tenures
from gate.pages import add_page_routes, closed_page, missing_page, opens_page, wants_page
from gate.parts.services import SERVICES, Services
from gate.proxy import add_proxy_routes, serve
from gate.wire.answers import BUDGET, CROWD, LINK_PEERS, METRICS, PEERS, QUOTE_PEERS, error_response
from gate.wire.byte_budget import FREE_BYTES, ByteBudget
from gate.wire.cors import is_preflight, mark_prepared, preflight
from gate.wire.crowd import Crowd, Peers
from gate.wire.metrics import Metrics
from gate.wire.paths import PLACE
from gate.wire.port_origins import PortOrigins
from operations.catalogue import REGISTRY
from operations.errors import SatboxError
from operations.registry import Operation

PORT_ORIGINS: web.AppKey[PortOrigins] = web.AppKey("port_origins", PortOrigins)


Mount = Callable[[web.Application], None]
"""Adds another API to the gate's application: its routes, and what they need at start and end."""


def add_operation(app: web.Application, operation: Operation, action: Action) -> None:
    """Serve one operation, with its price."""
    app.router.add_route(operation.method, operation.path, route(operation, charged(app, operation, action)))


def create_app(services: Services, mounts: Sequence[Mount] = ()) -> web.Application:
    """An application that serves every operation of the registry, and what is mounted beside them."""
    app = web.Application(client_max_size=services.settings.upload_bytes_max, middlewares=[_edges])
    app.on_response_prepare.append(mark_prepared)
    app.on_response_prepare.append(_part_with_connection)
    app[SERVICES] = services
    app[METRICS] = Metrics()
    app[PORT_ORIGINS] = PortOrigins.of(services.settings.public_url, services.settings.ports_host)
    app[CROWD] = Crowd(services.settings.requests_per_wallet_max)
    app[BUDGET] = ByteBudget(
        services.settings.held_bytes_max, services.settings.held_bytes_per_caller_max, free_bytes=FREE_BYTES
    )
    app[TENURES] = Tenures(services.views)
    app.cleanup_ctx.append(_looking)
    app[PEERS] = Peers(services.settings.open_requests_per_second, services.settings.open_requests_burst)
    is_counted = (
        services.settings.open_requests_per_second > 0
    )  # behind a proxy all are one peer, and neither is counted
    app[QUOTE_PEERS] = Peers(services.settings.quotes_per_second if is_counted else 0, services.settings.quotes_burst)
    guesses = services.settings.link_guesses_per_second if is_counted else 0
    app[LINK_PEERS] = Peers(guesses, services.settings.link_guesses_burst)
    add_charging(app)
    missing = set(REGISTRY) ^ set(ACTIONS)
    if missing:
        raise RuntimeError(f"operations without an action, or the reverse: {sorted(missing)}")
    for operation in REGISTRY.values():
        add_operation(app, operation, ACTIONS[operation.name])
    app[OFFER_PROBE] = offer_probe
    payment = REGISTRY["payment.status"]
    app.router.add_get("/payment/{payment_id}", route(payment, ACTIONS["payment.status"]))  # the relay's own path
    add_discovery_routes(app)
    add_page_routes(app, serve_service_document)
    add_proxy_routes(app)
    for mount in mounts:
        mount(app)
    return app


async def _looking(app: web.Application) -> AsyncIterator[None]:
    """End what has lasted too long, while the gate runs."""
    looking = asyncio.create_task(app[TENURES].run(), name="tenures")
    yield
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _edges(request: web.Request, handler: Serve) -> web.StreamResponse:
    """What no route sees: the origins of ports, where nothing is the gate's; unknown paths, wrong methods, preflights."""
    try:
        place = request.app[PORT_ORIGINS].place(request.headers.getall("Host", ()), request.raw_path)
    except SatboxError as error:
        request_id = f"req_{secrets.token_hex(8)}"
        if opens_page(request):
            return closed_page(error, request_id, request.app[SERVICES].settings.public_url)
        return error_response(error, request_id)
    if place is not None:
        request[PLACE] = place
        return await serve(request)
    if is_preflight(request):
        return preflight(request)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status == 404 and wants_page(request):
            response = missing_page(request)
        else:
            response = error_response(_as_satbox_error(error), f"req_{secrets.token_hex(8)}")
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response


async def _part_with_connection(request: web.Request, response: web.StreamResponse) -> None:
    """Close after an answer to a head that is too large to be kept, or to an `Upgrade` with a body: aiohttp reads no request
    behind that one.
    """
    head_bytes = sum(len(name) + len(value) for name, value in request.raw_headers) + len(request.raw_path)
    if head_bytes > KEPT_HEAD_BYTES_MAX or ("Upgrade" in request.headers and request.body_exists):
        response.force_close()
        if response.status != 101:
            response.headers["Connection"] = "close"  # aiohttp has set it by now, by what the request said


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
