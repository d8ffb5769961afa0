"""The relay's HTTP paths, under `/relay`."""

import re
from uuid import uuid4

from aiohttp import web

from devnet.http import ADDRESSES, TXID, bad_request, json_body
from devnet.relay import Answer
from devnet.world import WORLD

_TXID = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_TIERS = {"low_priority": 300, "medium_priority": 600, "high_priority": 1200}
routes = web.RouteTableDef()


def _reply(request: web.Request, answer: Answer) -> web.Response:
    request[ADDRESSES], request[TXID] = answer.addresses, answer.txid
    return web.json_response(answer.body, status=answer.status)


@routes.post("/settle")
async def settle(request: web.Request) -> web.Response:
    """Broadcasts a payment, sponsored where it asks for it; committed before the reply."""
    body, world = await json_body(request), request.app[WORLD]
    now = world.clock.now()
    answer = world.relay.settle(body, now)
    world.relay.dispatch_held(now)
    world.commit()
    return _reply(request, answer)


@routes.get("/settle/status/{txid}")
async def settle_status(request: web.Request) -> web.Response:
    """The state of a settlement by txid; `?live=true` reads the chain."""
    match, world = _TXID.fullmatch(request.match_info["txid"]), request.app[WORLD]
    if match is None:
        raise bad_request("invalid transaction id")
    live = request.query.get("live") == "true"
    answer = world.relay.settle_status(match[1].lower(), world.clock.now(), live=live)
    world.commit()
    return _reply(request, answer)


@routes.post("/verify")
async def verify(request: web.Request) -> web.Response:
    """Compares a payment with its requirements."""
    return _reply(request, request.app[WORLD].relay.verify(await json_body(request)))


@routes.get("/supported")
async def supported(request: web.Request) -> web.Response:
    """The kinds of payment this relay settles."""
    kind = {"x402Version": 2, "scheme": "exact", "network": request.app[WORLD].chain.network.caip2}
    return web.json_response({"kinds": [kind], "extensions": ["payment-identifier"], "signers": {"stacks:*": []}})


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    """Readiness."""
    network = request.app[WORLD].chain.network.value
    body = {"success": True, "requestId": str(uuid4()), "status": "ok", "network": network, "version": "1.31.0"}
    return web.json_response(body)


@routes.get("/fees")
async def fees(_request: web.Request) -> web.Response:
    """Fee tiers."""
    tiers = dict.fromkeys(("token_transfer", "contract_call", "smart_contract"), _TIERS)
    body = {"success": True, "requestId": str(uuid4()), "fees": tiers, "source": "hiro", "cached": False}
    return web.json_response(body)
