"""The price feeds' HTTP paths, under `/prices/{source}` followed by the source's own path."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from devnet.prices import GARBAGE, PAIR_FEEDS, aibtc, coingecko, pair_symbols, pyth, tenero
from devnet.world import WORLD

HANG_SECONDS = 60.0
routes = web.RouteTableDef()
Handler = Callable[[web.Request], Awaitable[web.Response]]


async def _refuse_when_gone(request: web.Request, source: str) -> web.Response | None:
    """503 from a source that has vanished; one that hangs first takes a minute over it. Nonsense from one that garbles."""
    world = request.app[WORLD]
    behaviour = world.prices.behaviours[source]
    mode = behaviour.mode
    if mode == "garble":
        return web.Response(text=GARBAGE[behaviour.body], content_type="application/json")
    if mode not in ("vanish", "hang"):
        return None
    if mode == "hang":
        await world.clock.sleep(HANG_SECONDS)
    return web.json_response({"error": "service unavailable"}, status=503)


def _pair_handler(source: str) -> Handler:
    _, parameter, shape = PAIR_FEEDS[source]

    async def handler(request: web.Request) -> web.Response:
        gone = await _refuse_when_gone(request, source)
        if gone is not None:
            return gone
        pair = (request.query.get(parameter, "") if parameter else request.match_info["pair"])[:20]
        symbols, world = pair_symbols(pair), request.app[WORLD]
        if symbols is None:
            return web.json_response({"error": "unknown pair"}, status=404)
        return web.json_response(shape(world.prices.pair_tick(source, *symbols, world.clock.now()), pair))

    return handler


def pair_routes() -> list[web.RouteDef]:
    """The routes of every source that quotes one pair per call."""
    return [web.get(f"/{source}{path}", _pair_handler(source)) for source, (path, _, _) in PAIR_FEEDS.items()]


@routes.get("/coingecko/api/v3/simple/price")
async def coingecko_price(request: web.Request) -> web.Response:
    """CoinGecko simple price."""
    world = request.app[WORLD]
    ids, currencies = request.query.get("ids", ""), request.query.get("vs_currencies", "")
    gone = await _refuse_when_gone(request, "coingecko")
    return gone or web.json_response(coingecko(world.prices, ids, currencies, world.clock.now()))


@routes.get("/pyth/v2/updates/price/latest")
async def pyth_price(request: web.Request) -> web.Response:
    """Pyth Hermes latest."""
    gone = await _refuse_when_gone(request, "pyth")
    if gone is not None:
        return gone
    world = request.app[WORLD]
    ids = request.query.getall("ids[]", []) or request.query.getall("ids", [])
    body = pyth(world.prices, list(ids), world.clock.now())
    return web.json_response(body) if body is not None else web.Response(status=404, text="Price ids not found")


@routes.get("/tenero/v1/stacks/tokens/{token}")
async def tenero_price(request: web.Request) -> web.Response:
    """Tenero token."""
    gone = await _refuse_when_gone(request, "tenero")
    if gone is not None:
        return gone
    world = request.app[WORLD]
    body = tenero(world.prices, request.match_info["token"][:200], world.clock.now())
    return web.json_response(body) if body is not None else web.json_response({"statusCode": 404}, status=404)


@routes.get("/aibtc/api/prices")
async def aibtc_prices(request: web.Request) -> web.Response:
    """aibtc.com prices."""
    gone = await _refuse_when_gone(request, "aibtc")
    world = request.app[WORLD]
    tokens = [token[:200] for token in request.query.getall("token", [])][:10]
    return gone or web.json_response(aibtc(world.prices, tokens, world.clock.now()))
