"""`/sandbox/proxy/{address}/{port}/{path}`, or a port's own origin: from anybody who may to a server inside."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial

import structlog
from aiohttp import web

from actors.view import View
from gate.calls.desk import Desk
from gate.calls.guest import Guest
from gate.charging.charger import CHARGER
from gate.identity.tenures import TENURE, TENURES, LapsedError, break_off
from gate.pages import closed_page, opens_page
from gate.parts.services import SERVICES, Services
from gate.payments.explaining import explained
from gate.proxy import names
from gate.proxy.access import Access, access, credentials, terms
from gate.proxy.counting import RequestCounter
from gate.proxy.entering import HEAD_WORDS, comes_in, entered
from gate.proxy.forward import Forwarder, Settle, said_of
from gate.proxy.heads import inward
from gate.reach.matching import route_for
from gate.reach.reaching import Reach
from gate.wire.answers import METRICS, PEERS, REQUEST_ID, error_response, reply_response
from gate.wire.cors import AS_IT_CAME, is_preflight, preflight
from gate.wire.crowd import Crowd, Places, peer_of
from gate.wire.means import Means, means_of
from gate.wire.metrics import Metrics
from gate.wire.outcomes import Reply
from gate.wire.paths import Place, inner_target, place_of
from operations.errors import SatboxError
from storage.full_disk import FULL_SECONDS, is_full

PATH = "/sandbox/proxy/{address:S[0-9A-Z]{27,41}}/{port:[1-9][0-9]{0,4}}"
REQUESTS_PER_WALLET_MAX = 64
"""At once, for the owner and holders of tokens; as many again for strangers who pay, for those who do not, and for those of
whom it is being found out, and whose payment is on its way to a block, so that nobody locks out anybody who is worth more to
the owner.
"""
COUNTER: web.AppKey[RequestCounter] = web.AppKey("request_counter", RequestCounter)
FORWARDER: web.AppKey[Forwarder] = web.AppKey("forwarder", Forwarder)
DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)
PROXY_CROWD: web.AppKey[Crowd] = web.AppKey("proxy_crowd", Crowd)
ARRIVING: web.AppKey[Crowd] = web.AppKey("arriving", Crowd)
PRESENTING: web.AppKey[Places] = web.AppKey("presenting", Places)
PAYING: web.AppKey[Places] = web.AppKey("paying", Places)
STRANGERS: web.AppKey[Places] = web.AppKey("strangers", Places)
log = structlog.get_logger()


def add_proxy_routes(app: web.Application) -> None:
    """Any method; the rest of the path as it came. Calls are charged by what `add_charging` opens."""
    app[PROXY_CROWD] = Crowd(REQUESTS_PER_WALLET_MAX)
    app[ARRIVING] = Crowd(REQUESTS_PER_WALLET_MAX)
    app[PRESENTING] = Places(REQUESTS_PER_WALLET_MAX)
    app[PAYING] = Places(REQUESTS_PER_WALLET_MAX)
    app[STRANGERS] = Places(REQUESTS_PER_WALLET_MAX)
    app.cleanup_ctx.append(_opened)
    app.router.add_route("*", PATH + "/{path:.*}", serve)  # the usual one is tried first
    app.router.add_route("*", PATH, serve)
    app.router.add_route("*", names.PATH, names.send_on)
    app.router.add_route("*", names.PATH + "/{path:.*}", names.send_on)


async def _opened(app: web.Application) -> AsyncIterator[None]:
    services = app[SERVICES]
    forwarder = app[FORWARDER] = Forwarder(services.nodes, services.settings)
    counter = app[COUNTER] = RequestCounter(services, f"gate_{secrets.token_hex(8)}")
    app[DESK] = Desk(services, app[CHARGER])
    counting = asyncio.create_task(counter.run(), name="request counts")
    yield
    counting.cancel()
    await asyncio.gather(counting, return_exceptions=True)
    await counter.tell()
    await forwarder.close()


HEAD_BYTES_PER_TOKEN = 16_384
"""A head is looked through for credentials in all their spellings, a millisecond a kilobyte: a long one counts for more."""


async def serve(request: web.Request) -> web.StreamResponse:
    """Admit, reach, forward. Our own errors have our envelope; the server's answers are its own."""
    services, metrics = request.app[SERVICES], request.app[METRICS]
    request_id, code = f"req_{secrets.token_hex(8)}", "ok"
    request[REQUEST_ID] = request_id
    try:
        return await _serve(services, request, request_id)
    except SatboxError as error:
        code = error.code
        place = place_of(request)
        if place.origin and opens_page(request):
            return closed_page(error, request_id, services.settings.public_url, place.address)
        return error_response(await explained(services, means_of(request), error), request_id)
    except LapsedError as over:
        code = over.reason
        if not request.writer.output_size:
            return error_response(over.refusal(), request_id)
        break_off(request)
        return web.Response(status=499)
    except ConnectionError:
        code = "disconnected"
        return web.Response(status=499)
    except Exception as error:
        code, retry_after = ("storage_full", FULL_SECONDS) if is_full(error) else ("internal", None)
        log.exception("unexpected", operation="proxy", request_id=request_id)
        presented = "payment-signature" in request.headers
        failure = SatboxError(code, retry_after=retry_after, funds_moved="unknown" if presented else False)
        return error_response(await explained(services, means_of(request), failure), request_id)
    finally:
        metrics.requests.labels("sandbox.proxy", code).inc()


async def _serve(services: Services, request: web.Request, request_id: str) -> web.StreamResponse:
    # Paying requests count against the limit only when their payment turns out bad.
    is_paying = "payment-signature" in request.headers
    heads = 1 + sum(len(name) + len(value) for name, value in request.raw_headers) // HEAD_BYTES_PER_TOKEN
    request.app[PEERS].take(request.remote, services.clock.monotonic_ms(), tokens=heads - 1 if is_paying else heads)
    place = place_of(request)
    address, port = place.address, place.port
    if port > 65_535:
        raise SatboxError("not_found")
    view = await services.views.get(address)
    try:
        visitor = await access(services, request, view, place)
        target = credentials(services, request).stripped_target(inner_target(request))
    except SatboxError:
        if is_paying:
            request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
        raise
    if visitor.may_pass and not is_paying:  # only open requests are counted: a page asks for hundreds of files at once
        request.app[PEERS].give_back(request.remote)
    if place.origin and visitor.entry is not None and comes_in(request):
        token, seconds_left = visitor.entry
        is_secure = place.origin.startswith("https:")
        return entered(place, target, token, seconds_left, request_id, is_secure=is_secure)
    if place.origin and _asks_for_paid(request, view, place, target):
        return preflight(request)
    if visitor.may_pass:
        with request.app[PROXY_CROWD].entered(address):
            return await _forward(services, request, view, port, target, request_id, visitor, None)
    desk = request.app[DESK]
    with contextlib.ExitStack() as arriving:
        arriving.enter_context(request.app[ARRIVING].entered(address))
        chain_place = partial(_chain_place, request, address, arriving)
        try:
            guest = await desk.admit(request, view, port, target, visitor.address, chain_place, visitor.key)
        except SatboxError:
            if is_paying:
                request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
            raise
    if isinstance(guest, Reply):
        return reply_response(guest, request_id)
    if not is_paying and guest.charge is not None:  # paid by a spending key
        request.app[PEERS].give_back(request.remote)
    if is_paying and guest.charge is None:  # the header was for show
        request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
    try:
        with _place(request, guest):
            view = await desk.wakers.up(view, guest.call.route)
            return await _forward(services, request, view, port, target, request_id, visitor, guest)
    finally:
        await guest.release()


def _asks_for_paid(request: web.Request, view: View, place: Place, target: str) -> bool:
    """Whether a browser asks what a page of another origin may pay for. All else there is the server's own to say."""
    if not is_preflight(request):
        return False
    method = request.headers["Access-Control-Request-Method"].strip()
    found = route_for(view.state.routes, place.port, method, target)
    return found is not None and found.sats > 0


def _counted(guest: Guest, means: Means, metrics: Metrics) -> Settle:
    async def settle(status: int) -> Mapping[str, str]:
        headers = await guest.settle(status)
        means.is_charged = guest.is_paid
        if guest.is_paid:
            metrics.calls_paid.inc()
        return headers

    return settle


def _place(request: web.Request, guest: Guest) -> AbstractContextManager[None]:
    """A stranger's place: by payer, or by who asks without paying. Behind a reverse proxy, which looks to that, those are one."""
    if guest.charge is not None:
        return request.app[PAYING].entered(guest.call.payee, guest.payer)
    peer = _peer(request)
    return request.app[STRANGERS].entered(guest.call.payee, None if peer is None else guest.payer or peer)


def _peer(request: web.Request) -> str | None:
    """Who asks; None where peers are not known apart."""
    are_apart = request.app[SERVICES].settings.open_requests_per_second > 0
    return peer_of(request.remote) if are_apart else None


@contextlib.contextmanager
def _chain_place(request: web.Request, address: str, arriving: contextlib.ExitStack) -> Iterator[None]:
    """A payment on chain waits for a relay and a block: not in a place of those who need neither."""
    with request.app[PRESENTING].entered(address, _peer(request)):
        arriving.close()
        yield


async def _forward(
    services: Services,
    request: web.Request,
    view: View,
    port: int,
    target: str,
    request_id: str,
    visitor: Access,
    guest: Guest | None,
) -> web.StreamResponse:
    address = view.state.address
    request.app[COUNTER].admit(view)
    reach = Reach(services, address)
    async with reach as (_node, runtime_id):
        # With a token, or for a guest, Authorization is between caller and server; what is ours is for the gate alone.
        given = credentials(services, request).stripped(request.headers.items())
        said = said_of(request, None if guest is None else guest.payer)
        headers = inward(given, said, keeps_authorization=not visitor.is_owner)
        settle = (
            None if guest is None or guest.charge is None else _counted(guest, means_of(request), request.app[METRICS])
        )
        if place_of(request).origin and settle is None:
            request[AS_IT_CAME] = True
        request[HEAD_WORDS] = visitor.head_words
        forwarder = request.app[FORWARDER]
        leans = terms(services, visitor, place_of(request), request.method, target)
        async with request.app[TENURES].lasting(leans) as tenure:
            request[TENURE] = tenure
            answer = await forwarder.forward(request, reach.runtime, port, target, headers, request_id, settle)
        request.app[COUNTER].served(view, runtime_id)
        return answer
