"""The registry's HTTP paths, under `/aibtc`."""

from aiohttp import web

from devnet.http import query_int
from devnet.registry import LEVELS, agent_page, display_name, resolve_page, verify_page
from devnet.world import WORLD

routes = web.RouteTableDef()
_CACHED = {"Cache-Control": "public, max-age=60, s-maxage=300"}


@routes.get("/api/verify/{address}")
async def verify(request: web.Request) -> web.Response:
    """Whether an address is registered, and at which level."""
    status, body = verify_page(request.app[WORLD].registry, request.match_info["address"])
    return web.json_response(body, status=status, headers=_CACHED)


@routes.get("/api/agents/{address}")
async def agent(request: web.Request) -> web.Response:
    """One agent in full."""
    status, body = agent_page(request.app[WORLD].registry, request.match_info["address"])
    return web.json_response(body, status=status)


@routes.get("/api/agents")
async def agents(request: web.Request) -> web.Response:
    """All agents, paged."""
    limit, offset = query_int(request, "limit", 20, 100), query_int(request, "offset", 0, 10**6)
    everyone = request.app[WORLD].registry.agents()
    shown = [{**one.public(), **one.standing} for one in everyone[offset : offset + limit]]
    more = offset + limit < len(everyone)
    pagination = {"total": len(everyone), "limit": limit, "offset": offset, "hasMore": more}
    return web.json_response({"agents": shown, "pagination": pagination})


@routes.get("/api/resolve/{identifier}")
async def resolve(request: web.Request) -> web.Response:
    """Whom an identifier names: address, display name, agent id."""
    status, body = resolve_page(request.app[WORLD].registry, request.match_info["identifier"])
    return web.json_response(body, status=status)


@routes.get("/api/levels")
async def levels(_request: web.Request) -> web.Response:
    """What the levels are."""
    return web.json_response({"levels": [{"level": level, "name": name} for level, name in enumerate(LEVELS)]})


@routes.get("/api/get-name")
async def get_name(request: web.Request) -> web.Response:
    """The display name of a Bitcoin address."""
    address = request.query.get("address", "")[:100]
    if not address:
        return web.json_response({"error": "address is missing"}, status=400)
    name, parts, digest = display_name(address)
    return web.json_response({"name": name, "parts": parts, "hash": digest, "address": address})
