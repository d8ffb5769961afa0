"""The Stacks node's and API's paths that payers and the relay use, under `/stacks`."""

import re

from aiohttp import web

from devnet import views
from devnet.chain import Rejected
from devnet.http import ADDRESSES, TXID, bad_request, json_body, page
from devnet.records import JsonObject
from devnet.world import WORLD, World
from stacks.c32 import Principal
from stacks.errors import AddressError, DecodeError, StacksError
from stacks.hashes import sha512_256
from stacks.payloads import read_payload
from stacks.wire import Reader

_TXID = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_FEES = {"no_priority": 200, "low_priority": 300, "medium_priority": 600, "high_priority": 1200}
routes = web.RouteTableDef()


def _world(request: web.Request) -> World:
    return request.app[WORLD]


def _principal(request: web.Request) -> str:
    text = request.match_info["address"]
    try:
        return str(Principal.parse(text))
    except AddressError as error:
        raise bad_request(f"invalid principal: {error}") from error


@routes.get("/extended/v1/address/{address}/nonces")
async def nonces(request: web.Request) -> web.Response:
    """Next nonce of an account, the mempool included."""
    return web.json_response(views.nonces(_world(request).chain, _principal(request)))


@routes.get("/v2/accounts/{address}")
async def account(request: web.Request) -> web.Response:
    """The node's own view of an account, the mempool left out."""
    body = views.account(_world(request).chain, _principal(request))
    if request.query.get("proof", "1") != "0":
        body |= {"balance_proof": "0x", "nonce_proof": "0x"}
    return web.json_response(body)


@routes.get("/extended/v1/address/{address}/balances")
async def balances(request: web.Request) -> web.Response:
    """STX and token balances."""
    return web.json_response(views.balances(_world(request).chain, _principal(request)))


@routes.get("/extended/v1/address/{address}/stx")
async def stx(request: web.Request) -> web.Response:
    """STX balance."""
    return web.json_response(views.stx_balance(_world(request).chain, _principal(request)))


@routes.get("/extended/v1/address/{address}/transactions")
async def transactions(request: web.Request) -> web.Response:
    """Confirmed transactions of a principal, newest first."""
    chain = _world(request).chain
    records = [r for r in chain.of_address(_principal(request)) if r.block_height is not None]
    records.sort(key=lambda r: (r.block_height or 0, r.tx_index), reverse=True)
    return page(request, [views.transaction(chain, record) for record in records])


@routes.get("/extended/v1/address/{address}/mempool")
async def address_mempool(request: web.Request) -> web.Response:
    """Pending transactions of a principal, newest first."""
    chain = _world(request).chain
    who = _principal(request)
    records = [r for r in reversed(chain.pending.values()) if who in r.parties]
    return page(request, [views.transaction(chain, record) for record in records])


@routes.get("/extended/v1/tx/mempool")
async def mempool(request: web.Request) -> web.Response:
    """Pending transactions, newest first; `sender_address` picks one origin's."""
    chain = _world(request).chain
    sender = request.query.get("sender_address")
    records = [r for r in reversed(chain.pending.values()) if sender in (None, r.origin)]
    return page(request, [views.transaction(chain, record) for record in records])


@routes.get("/extended/v1/tx/{txid}")
async def transaction(request: web.Request) -> web.Response:
    """One transaction, pending or not."""
    match = _TXID.fullmatch(request.match_info["txid"])
    if match is None:
        raise bad_request("invalid transaction id")
    chain = _world(request).chain
    record = chain.find(match[1].lower())
    if record is None:
        return web.json_response({"error": "could not find transaction by ID"}, status=404)
    return web.json_response(views.transaction(chain, record))


@routes.post("/v2/transactions")
async def broadcast(request: web.Request) -> web.Response:
    """Takes raw bytes into the mempool; committed before the reply."""
    world = _world(request)
    raw = await request.read()
    try:
        record = world.chain.submit(raw, world.clock.now())
    except Rejected as rejected:
        return web.json_response(rejected.body(sha512_256(raw).hex()), status=400)
    request[TXID], request[ADDRESSES] = record.txid, record.parties
    world.commit()
    return web.json_response(record.txid)


@routes.get("/v2/fees/transfer")
async def fee_per_byte(_request: web.Request) -> web.Response:
    """Micro-STX per byte of an STX transfer."""
    return web.json_response(1)


@routes.post("/v2/fees/transaction")
async def fee_estimate(request: web.Request) -> web.Response:
    """Three fee estimates for a payload."""
    body = await json_body(request)
    payload, estimated = str(body.get("transaction_payload", "")), body.get("estimated_len")
    try:
        reader = Reader(bytes.fromhex(payload.removeprefix("0x")), DecodeError)
        read_payload(reader)
        reader.finish()
    except (StacksError, ValueError) as error:
        return web.json_response({"error": "Estimation could not be performed", "reason": str(error)}, status=400)
    size = estimated if isinstance(estimated, int) and 0 < estimated <= 65_536 else len(payload) // 2 + 120
    estimations = [{"fee_rate": float(rate), "fee": rate * max(size, 200)} for rate in (1, 2, 4)]
    cost = {"read_count": 0, "read_length": 0, "runtime": 0, "write_count": 0, "write_length": 0}
    return web.json_response(
        {
            "estimated_cost": cost,
            "estimated_cost_scalar": size,
            "estimations": estimations,
            "cost_scalar_change_by_byte": 0.00476837158203125,
        }
    )


@routes.get("/extended/v2/mempool/fees")
async def mempool_fees(_request: web.Request) -> web.Response:
    """Fee tiers of what is pending."""
    return web.json_response(dict.fromkeys(("all", "token_transfer", "contract_call", "smart_contract"), _FEES))


@routes.get("/v2/info")
async def info(request: web.Request) -> web.Response:
    """The node's identity and tip."""
    chain = _world(request).chain
    return web.json_response(
        {
            "peer_version": 402653196,
            "server_version": "satbox devnet",
            "network_id": chain.network.chain_id,
            "burn_block_height": chain.height,
            "stacks_tip_height": chain.height,
            "stacks_tip": chain.tip_hash,
        }
    )


def _status(world: World) -> JsonObject:
    chain = world.chain
    tip = {
        "block_height": chain.height,
        "block_hash": "0x" + chain.tip_hash,
        "index_block_hash": "0x" + chain.tip_hash,
        "burn_block_height": chain.height,
    }
    return {"server_version": "satbox devnet", "status": "ready", "chain_tip": tip}


@routes.get("/extended/v1/status")
@routes.get("/extended")
@routes.get("/extended/")
async def status(request: web.Request) -> web.Response:
    """Readiness and tip of the API."""
    return web.json_response(_status(_world(request)))
