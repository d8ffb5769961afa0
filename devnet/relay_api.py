"""The relay's HTTP paths, under `/relay`."""

import re
from uuid import uuid4

from aiohttp import web

from devnet.clock import iso
from devnet.http import ADDRESSES, TXID, json_body
from devnet.relay import RelayResponse
from devnet.world import WORLD

_TXID = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_FEES = {"token_transfer": (300, 600, 1200), "contract_call": (3000,) * 3, "smart_contract": (10000,) * 3}
_TIERS = ("low_priority", "medium_priority", "high_priority")
_POOL_NONCES = 20
routes = web.RouteTableDef()


def _reply(request: web.Request, answer: RelayResponse) -> web.Response:
    request[ADDRESSES], request[TXID] = answer.addresses, answer.txid
    return web.json_response(answer.body, status=answer.status)


@routes.post("/settle")
async def settle(request: web.Request) -> web.Response:
    """Broadcasts a payment, sponsored where it asks for it; committed before the reply."""
    world = request.app[WORLD]
    try:
        body = await json_body(request)
    except web.HTTPBadRequest:
        return _reply(request, world.relay.refuse("invalid_payload"))
    now = world.clock.now()
    answer = world.relay.settle(body, now)
    world.relay.dispatch_held(now)
    world.commit()
    return _reply(request, answer)


@routes.get("/settle/status/{txid}")
async def settle_status(request: web.Request) -> web.Response:
    """The state of a settlement by txid; `?live=true` reads the chain."""
    match, world = _TXID.fullmatch(request.match_info["txid"]), request.app[WORLD]
    live = request.query.get("live") == "true"
    answer = world.relay.settle_status(match[1].lower() if match else "", world.clock.now(), live=live)
    world.commit()
    return _reply(request, answer)


@routes.post("/verify")
async def verify(request: web.Request) -> web.Response:
    """Compares a payment with its requirements."""
    relay = request.app[WORLD].relay
    try:
        return _reply(request, relay.verify(await json_body(request)))
    except web.HTTPBadRequest:
        return _reply(request, relay.refuse("invalid_payload"))


@routes.get("/supported")
async def supported(request: web.Request) -> web.Response:
    """The kinds of payment this relay settles."""
    kind = {"x402Version": 2, "scheme": "exact", "network": request.app[WORLD].chain.network.caip2}
    return web.json_response({"kinds": [kind], "extensions": ["payment-identifier"], "signers": {"stacks:*": []}})


def _is_cold(request: web.Request) -> bool:
    return request.app[WORLD].faults.take("cold_relay", routes="relay", path=request.path) is not None


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    """Readiness; 200 even when it is degraded."""
    body = {
        "success": True,
        "requestId": str(uuid4()),
        "status": "degraded" if _is_cold(request) else "ok",
        "network": request.app[WORLD].chain.network.value,
        "version": "1.31.0",
    }
    return web.json_response(body)


@routes.get("/status/sponsor")
async def sponsor_status(request: web.Request) -> web.Response:
    """Whether payments can be sponsored now. [relay: services/sponsor-status.ts]"""
    world, is_cold = request.app[WORLD], _is_cold(request)
    now = iso(world.clock.now())
    reserved = sum(len(world.chain.pending_nonces(address)) for address in world.relay.addresses)
    capacity = _POOL_NONCES * len(world.relay.addresses)
    available = max(0, capacity - reserved)
    reasons = ["NO_AVAILABLE_NONCES"] if available == 0 else []
    reasons += ["RECONCILIATION_STALE"] if is_cold else []
    body = {
        "success": True,
        "requestId": str(uuid4()),
        "status": "degraded" if reasons else "healthy",
        "canSponsor": not reasons,
        "walletCount": len(world.relay.addresses),
        "recommendation": "fallback_to_direct" if available == 0 else None,
        "reasons": reasons,
        "noncePool": {
            "totalAvailable": available,
            "totalReserved": reserved,
            "totalCapacity": capacity,
            "poolAvailabilityRatio": round(available / capacity, 2),
            "conflictsDetected": 0,
            "lastConflictAt": None,
            "healInProgress": False,
        },
        "reconciliation": {
            "source": "hiro",
            "lastSuccessfulAt": None if is_cold else now,
            "freshness": "unavailable" if is_cold else "fresh",
        },
        "snapshot": {"asOf": now, "ageMs": 0, "freshness": "fresh"},
    }
    return web.json_response(body)


@routes.get("/payment/{payment_id}")
async def payment(request: web.Request) -> web.Response:
    """Where a payment of the relay's own queue stands. `/settle` makes none, so none is ever known here."""
    payment_id = request.match_info["payment_id"]
    body = {
        "success": True,
        "requestId": str(uuid4()),
        "paymentId": payment_id,
        "status": "not_found",
        "terminalReason": "unknown_payment_identity",
        "error": f"Payment {payment_id} not found or expired",
        "retryable": False,
        "checkStatusUrl": str(request.url.with_query(None)),
    }
    return web.json_response(body, status=404)


@routes.get("/fees")
async def fees(_request: web.Request) -> web.Response:
    """Fee tiers."""
    tiers = {kind: dict(zip(_TIERS, amounts, strict=True)) for kind, amounts in _FEES.items()}
    body = {"success": True, "requestId": str(uuid4()), "fees": tiers, "source": "cache", "cached": True}
    return web.json_response(body)


@routes.route("*", "/{path:.*}")
async def unknown(request: web.Request) -> web.Response:
    """Everything else."""
    body = {
        "success": False,
        "requestId": str(uuid4()),
        "error": "Not found",
        "code": "NOT_FOUND",
        "details": f"Route {request.method} /{request.match_info['path']} not found",
        "retryable": False,
    }
    return web.json_response(body, status=404)
