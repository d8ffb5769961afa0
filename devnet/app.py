"""The devnet as one web application: every service on one port, each under its own path.

`/stacks` `/relay` `/aibtc` `/prices` speak the real wire formats; `/devnet` is the twin's own.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from devnet import admin_api, prices_api, registry_api, relay_api, stacks_api
from devnet.clock import Clock, SystemClock
from devnet.faults import ROUTES, SECONDS_MAX
from devnet.http import ADDRESSES, TXID
from devnet.settings import DevnetSettings
from devnet.world import WORLD, World

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _group(request: web.Request) -> str | None:
    group = request.path.strip("/").partition("/")[0]
    return group if group in ROUTES else None


def _close(request: web.Request) -> web.Response:
    """Ends the connection without a reply, as a network that breaks would."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@web.middleware
async def fault_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Acts out the switches that concern requests: before the work (down, rate_limit) and after it (delay, drop)."""
    group = _group(request)
    if group is None:
        return await handler(request)
    world = request.app[WORLD]
    faults, path = world.faults, request.path
    down = faults.take("down", routes=group, path=path)
    if down is not None:
        if down.mode == "refuse":
            return _close(request)
        if down.mode == "hang":
            await world.clock.sleep(SECONDS_MAX)
        return web.json_response({"error": "service unavailable"}, status=503)
    limited = faults.take("rate_limit", routes=group, path=path)
    if limited is not None:
        headers = {"Retry-After": str(int(limited.seconds))}
        return web.json_response({"error": "rate limit exceeded"}, status=429, headers=headers)
    response = await handler(request)
    addresses, txid = request.get(ADDRESSES, ()), request.get(TXID, "")
    late = faults.take("delay", routes=group, path=path, addresses=addresses, txid=txid)
    if late is not None:
        await world.clock.sleep(late.seconds)
    if faults.take("drop_reply", routes=group, path=path, addresses=addresses, txid=txid) is not None:
        return _close(request)
    return response


async def _make_blocks(world: World) -> None:
    while True:
        await world.clock.sleep(world.settings.block_seconds)
        world.mine()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("block production stopped", exc_info=error)


async def _blocks(app: web.Application) -> AsyncIterator[None]:
    world = app[WORLD]
    if world.settings.block_seconds == 0:
        yield
        return
    task = asyncio.create_task(_make_blocks(world))
    task.add_done_callback(_report)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _state(app: web.Application) -> AsyncIterator[None]:
    yield
    app[WORLD].close()


def _service(routes: web.RouteTableDef | list[web.RouteDef]) -> list[web.AbstractRouteDef]:
    return list(routes)


def create_app(settings: DevnetSettings, clock: Clock | None = None) -> web.Application:
    """The application, with its state opened; blocks come once it runs. The clock is the machine's by default."""
    app = web.Application(client_max_size=settings.request_bytes_max, middlewares=[fault_middleware])
    app[WORLD] = World(settings, clock or SystemClock())
    prices = _service(prices_api.routes) + _service(prices_api.pair_routes())
    services = {
        "/stacks": _service(stacks_api.routes),
        "/relay": _service(relay_api.routes),
        "/aibtc": _service(registry_api.routes),
        "/prices": prices,
        "/devnet": _service(admin_api.routes),
    }
    for prefix, routes in services.items():
        for route in routes:
            assert isinstance(route, web.RouteDef)
            app.router.add_route(route.method, prefix + route.path, route.handler)
    app.cleanup_ctx.append(_state)
    app.cleanup_ctx.append(_blocks)
    return app
