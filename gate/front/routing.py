"""From the operation registry to routes: authenticate, read the input, run the action, send its outcome.

One wrapper serves every operation, so errors, limits, counting and request ids are the same everywhere.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext

import structlog
from aiohttp import web

from gate.context import Action, RequestContext
from gate.front.sending import send
from gate.identity.callers import (
    ANYBODY,
    Caller,
    asks_for_offers,
    authenticate,
    by_link,
    check_scope,
    link_token,
    payer_of,
    shows_api_key,
    terms_of,
)
from gate.identity.carried_passes import may_carry, take_pass
from gate.identity.tenures import TENURE, TENURES, LapsedError, break_off
from gate.parts.services import SERVICES, Services
from gate.payments.explaining import explained
from gate.wire.answers import (
    BUDGET,
    CROWD,
    LINK_PEERS,
    METRICS,
    PEERS,
    QUOTE_PEERS,
    REQUEST_ID,
    error_response,
    reply_response,
)
from gate.wire.byte_budget import Lease
from gate.wire.crowd import peer_of
from gate.wire.departures import while_there
from gate.wire.inputs import is_probe, read_input
from gate.wire.means import Means, means_of
from gate.wire.outcomes import Reply
from gate.wire.uploads import Body
from operations.errors import SatboxError
from operations.registry import Auth, Operation
from sandboxes.holding import HOLD
from storage.full_disk import FULL_SECONDS, is_full

log = structlog.get_logger()

STOPS = ("sandbox.reap", "sandbox.pause")
"""Counted separately, so that an owner can stop a sandbox however many other requests the wallet has open."""

OfferProbe = Callable[[Services, Means, Operation], Awaitable[Reply | None]]
OFFER_PROBE: web.AppKey[OfferProbe] = web.AppKey("offer_probe", Callable)  # type: ignore[arg-type]
"""What an empty request to an operation with a price is answered in place of a complaint about its input."""


def _crowd(request: web.Request, operation: Operation, caller: Caller) -> AbstractContextManager[None]:
    if operation.name == "sandbox.status":
        return nullcontext()
    if caller.link is not None:  # a link's holder takes none of its owner's room
        return request.app[CROWD].entered(caller.link.link_id)
    if caller.gate_pass is None:
        return nullcontext()
    address = caller.gate_pass.address
    return request.app[CROWD].entered(f"{address} stops" if operation.name in STOPS else address)


async def _caller(services: Services, operation: Operation, request: web.Request) -> Caller:
    """Who calls: by pass, or by a wake link in its place. A link counts as a guess until it is known to be good."""
    token = link_token(operation, request)
    if token is None:
        if asks_for_offers(operation, request):
            return ANYBODY
        return await _proven(services, operation, request)
    guesses = request.app[LINK_PEERS]
    guesses.take(request.remote, services.clock.monotonic_ms())
    caller = await by_link(services, operation, token)
    guesses.give_back(request.remote)
    assert caller.link is not None
    check_scope(operation, caller.link)
    return caller


async def _proven(services: Services, operation: Operation, request: web.Request) -> Caller:
    """Who calls by a pass or an API key. A key is looked for in the wallet that it names, unlike a pass, which is signed: what is
    none counts as a request of somebody unknown.
    """
    peers, now_ms = request.app[PEERS], services.clock.monotonic_ms()
    is_counted = operation.auth in (Auth.NONE, Auth.OPTIONAL)
    if not is_counted and shows_api_key(request):
        peers.take(request.remote, now_ms, tokens=0)
    try:
        return await authenticate(services, operation, request)
    except SatboxError as error:
        if error.code == "spending_key_invalid" and not is_counted:
            peers.take(request.remote, now_ms)
        raise


async def _refused(services: Services, request: web.Request, error: SatboxError, request_id: str) -> web.StreamResponse:
    """The error as an answer; an answer that has begun is broken off instead, so that nobody takes it for whole."""
    if request.writer.output_size:
        break_off(request)
        return web.Response(status=499)
    return error_response(await explained(services, means_of(request), error), request_id)


def _context(services: Services, request: web.Request, caller: Caller, lease: Lease) -> RequestContext:
    return RequestContext(
        services=services,
        caller=caller,
        means=means_of(request),
        lease=lease,
        metrics=request.app[METRICS],
        headers=request.headers,
        upload=lambda: Body(request, services.settings),
        payer=lambda: payer_of(services, request),
    )


def route(operation: Operation, action: Action) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
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
            peer = f"peer {peer_of(request.remote)}"
            with request.app[BUDGET].lease(
                peer
            ) as unknown:  # a body that carries a pass is read before its sender is known
                if link_token(operation, request) is None and may_carry(operation, request):
                    if operation.auth is not Auth.OPTIONAL:  # those were counted above
                        request.app[PEERS].take(request.remote, services.clock.monotonic_ms())
                    await take_pass(services, operation, request, unknown)
                caller = await _caller(services, operation, request)
                read_bytes = unknown.size
            owner = caller.gate_pass.address if caller.gate_pass is not None else peer
            with _crowd(request, operation, caller), request.app[BUDGET].lease(owner) as lease:
                HOLD.set(lease.grow)
                await lease.need(read_bytes)
                try:
                    data = await read_input(operation, request, services.settings, lease)
                except SatboxError:
                    means = means_of(request)
                    offered = await request.app[OFFER_PROBE](services, means, operation) if is_probe(request) else None
                    if offered is None:
                        raise
                    return reply_response(offered, request_id)
                leans = terms_of(caller, services.clock)
                presence = while_there(request) if operation.ends_with_caller else nullcontext()
                async with request.app[TENURES].lasting(leans) as tenure, presence:
                    request[TENURE] = tenure
                    context = _context(services, request, caller, lease)
                    return await send(request, context, await action(context, data))
        except SatboxError as error:
            code = error.code
            return await _refused(services, request, error, request_id)
        except LapsedError as over:
            code = over.reason
            break_off(request)
            return web.Response(status=499)
        except ConnectionError:
            code = "disconnected"
            return web.Response(status=499)  # the caller went away: nobody reads this
        except web.HTTPException as error:
            code = f"http_{error.status}"
            raise
        except Exception as error:
            code, retry_after = ("storage_full", FULL_SECONDS) if is_full(error) else ("internal", None)
            log.exception("unexpected", operation=operation.name, request_id=request_id)
            # After a payment was presented nobody here can tell whether money moved.
            presented = operation.is_on_chain and "payment-signature" in request.headers
            failure = SatboxError(code, retry_after=retry_after, funds_moved="unknown" if presented else False)
            return await _refused(services, request, failure, request_id)
        finally:
            metrics.requests.labels(operation.name, code).inc()
            metrics.seconds.labels(operation.name).observe(time.perf_counter() - began)

    return serve
