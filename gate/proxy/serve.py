"""`/sandbox/proxy/{address}/{port}/{path}`: from anybody who may to a server inside."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping

import aiohttp
import structlog
from aiohttp import web

from actors.view import View
from gate.calls.adoption import adopt
from gate.calls.desk import Desk
from gate.calls.guest import Guest
from gate.calls.paths import inner_target
from gate.calls.slots import free_slot
from gate.crowd import Crowd, peer_of
from gate.handlers.reach import Reach
from gate.metrics import Metrics
from gate.ports import Services
from gate.proxy import names
from gate.proxy.access import Access, access, is_pass
from gate.proxy.connector import PortConnector
from gate.proxy.counting import RequestCounter
from gate.proxy.forward import Forwarder, Settle, inward
from gate.routing import METRICS, PEERS, SERVICES, error_response
from operations.errors import SatboxError

PATH = "/sandbox/proxy/{address:S[0-9A-Z]{27,41}}/{port:[1-9][0-9]{0,4}}"
REQUESTS_PER_WALLET_MAX = 64
"""At once, for the owner and holders of tokens; as many again for strangers who pay, for those who do not, and for those of
whom it is being found out, so that nobody locks out anybody who is worth more to the owner.
"""
FREE_CALLS_PER_CALLER_MAX = 32
"""Of the strangers' share: what one of them can hold without paying."""
DRAIN_SECONDS_MAX = 2.0
"""For posting what was paid, at the end; what is left is posted by the next gate."""
COUNTER: web.AppKey[RequestCounter] = web.AppKey("request_counter", RequestCounter)
FORWARDER: web.AppKey[Forwarder] = web.AppKey("forwarder", Forwarder)
DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)
PROXY_CROWD: web.AppKey[Crowd] = web.AppKey("proxy_crowd", Crowd)
ARRIVING: web.AppKey[Crowd] = web.AppKey("arriving", Crowd)
PAYING: web.AppKey[Crowd] = web.AppKey("paying", Crowd)
STRANGERS: web.AppKey[Crowd] = web.AppKey("strangers", Crowd)
FREE_CALLERS: web.AppKey[Crowd] = web.AppKey("free_callers", Crowd)
log = structlog.get_logger()


def add_proxy_routes(app: web.Application) -> None:
    """Any method; the rest of the path as it came."""
    app[PROXY_CROWD] = Crowd(REQUESTS_PER_WALLET_MAX)
    app[ARRIVING] = Crowd(REQUESTS_PER_WALLET_MAX)
    app[PAYING] = Crowd(REQUESTS_PER_WALLET_MAX)
    app[STRANGERS] = Crowd(REQUESTS_PER_WALLET_MAX)
    app[FREE_CALLERS] = Crowd(FREE_CALLS_PER_CALLER_MAX)
    app.cleanup_ctx.append(_opened)
    app.router.add_route("*", PATH + "/{path:.*}", serve)  # the usual one is tried first
    app.router.add_route("*", PATH, serve)
    app.router.add_route("*", names.PATH, names.send_on)
    app.router.add_route("*", names.PATH + "/{path:.*}", names.send_on)


async def _opened(app: web.Application) -> AsyncIterator[None]:
    services = app[SERVICES]
    session = aiohttp.ClientSession(
        connector=PortConnector(services.node), auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )  # fmt: skip
    app[FORWARDER] = Forwarder(session, services.settings)
    counter = app[COUNTER] = RequestCounter(services, f"gate_{secrets.token_hex(8)}")
    desk = app[DESK] = Desk(services, free_slot(services.order_logs, services.clock.wall_ms))
    tasks = [
        asyncio.create_task(counter.run(), name="request counts"),
        asyncio.create_task(desk.till.run(), name="till"),
        asyncio.create_task(adopt(services.system, services.clock, services.order_logs), name="logs left behind"),
    ]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await counter.tell()
    await desk.till.close(DRAIN_SECONDS_MAX)
    await session.close()


async def serve(request: web.Request) -> web.StreamResponse:
    """Admit, reach, forward. Our own errors have our envelope; the server's answers are its own."""
    services, metrics = request.app[SERVICES], request.app[METRICS]
    request_id, code = f"req_{secrets.token_hex(8)}", "ok"
    try:
        return await _serve(services, request, request_id)
    except SatboxError as error:
        code = error.code
        return error_response(error, request_id)
    except ConnectionResetError:
        code = "disconnected"
        return web.Response(status=499)
    except Exception:
        code = "internal"
        log.exception("unexpected", operation="proxy", request_id=request_id)
        presented = "payment-signature" in request.headers
        return error_response(SatboxError("internal", funds_moved="unknown" if presented else False), request_id)
    finally:
        metrics.requests.labels("sandbox.proxy", code).inc()


async def _serve(services: Services, request: web.Request, request_id: str) -> web.StreamResponse:
    # Who pays is counted only when no payment comes of it; whoever sent many of those is refused unread.
    is_paying = "payment-signature" in request.headers
    request.app[PEERS].take(request.remote, services.clock.monotonic_ms(), tokens=0 if is_paying else 1)
    address, port = request.match_info["address"], int(request.match_info["port"])
    if port > 65_535:
        raise SatboxError("not_found")
    view = await services.views.get(address)
    try:
        caller = await access(services, request, view, port)
    except SatboxError:
        if is_paying:
            request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
        raise
    target = inner_target(request)
    if caller.may_pass:
        with request.app[PROXY_CROWD].entered(address):
            return await _forward(services, request, view, port, target, request_id, caller, None)
    desk = request.app[DESK]
    with request.app[ARRIVING].entered(address):
        try:
            guest = await desk.admit(request, view, port, target, caller.address, request_id)
        except SatboxError:
            if is_paying:
                request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
            raise
    if isinstance(guest, web.StreamResponse):
        return guest
    if is_paying and guest.settle_payment is None:  # the header was for show
        request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
    try:
        with _share(request, guest):
            view = await desk.wakers.up(view, guest.call.route)
            return await _forward(services, request, view, port, target, request_id, caller, guest)
    finally:
        guest.release()


def _counted(guest: Guest, metrics: Metrics) -> Settle:
    async def settle(status: int) -> Mapping[str, str]:
        headers = await guest.settle(status)
        if headers:  # a call that failed is not paid, and gets none
            metrics.calls_paid.inc()
        return headers

    return settle


@contextlib.contextmanager
def _share(request: web.Request, guest: Guest) -> Iterator[None]:
    """A stranger's place. Without paying one may hold some of them; behind a reverse proxy, which looks to that, all are one."""
    payee = guest.call.payee
    if guest.settle_payment is not None:
        with request.app[PAYING].entered(payee):
            yield
        return
    with contextlib.ExitStack() as places:
        places.enter_context(request.app[STRANGERS].entered(payee))
        if request.app[SERVICES].settings.open_requests_per_second > 0:
            who = guest.payer or peer_of(request.remote)
            places.enter_context(request.app[FREE_CALLERS].entered(f"{payee} {who}"))
        yield


async def _forward(
    services: Services,
    request: web.Request,
    view: View,
    port: int,
    target: str,
    request_id: str,
    caller: Access,
    guest: Guest | None,
) -> web.StreamResponse:
    address = view.state.address
    request.app[COUNTER].admit(view)
    async with Reach(services, address) as runtime_id:
        # With a token, or for a guest, Authorization is between caller and server; a pass is for the gate alone.
        keeps = not caller.is_owner and not is_pass(services, request)
        payer = None if guest is None else guest.payer
        headers = inward(request, address, keeps_authorization=keeps, payer=payer)
        settle = None if guest is None or guest.settle_payment is None else _counted(guest, request.app[METRICS])
        forwarder = request.app[FORWARDER]
        answer = await forwarder.forward(request, runtime_id, port, target, headers, request_id, settle)
        request.app[COUNTER].served(view, runtime_id)
        return answer
