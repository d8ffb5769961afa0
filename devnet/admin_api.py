"""What only a devnet has, under `/devnet`: faucet, blocks by hand, faults, registrations, prices."""

from aiohttp import web

from devnet.chain import FAUCET_UNITS_MAX, STX
from devnet.clock import iso
from devnet.faults import parse_fault
from devnet.http import bad_request, json_body
from devnet.prices import LIED_ABOUT, SYMBOLS
from devnet.records import GARBAGE_COLLECTED, JsonObject
from devnet.registry import RegistrationError
from devnet.world import WORLD, World
from stacks.c32 import Principal
from stacks.errors import AddressError
from stacks.tokens import sbtc, usdcx

MINE_MAX = 1_000
routes = web.RouteTableDef()


def _count(value: object, name: str, limit: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise bad_request(f"{name} is an integer from 0 to {limit}")
    return value


@routes.get("/status")
async def status(request: web.Request) -> web.Response:
    """Height, mempool, supplies and sponsors; `conserved` says that no unit was made or lost outside the faucet."""
    world = request.app[WORLD]
    ledger = world.chain.ledger
    supply = {
        asset: {"minted": str(minted), "total": str(ledger.total(asset))} for asset, minted in ledger.minted.items()
    }
    body: JsonObject = {
        "network": world.chain.network.caip2,
        "block_seconds": world.settings.block_seconds,
        "height": world.chain.height,
        "pending": len(world.chain.pending),
        "agents": len(world.registry.agents()),
        "sponsors": world.relay.addresses,
        "tokens": {token.symbol: token.asset_id for token in world.chain.tokens.values()},
        "supply": supply,
        "conserved": all(ledger.total(asset) == minted for asset, minted in ledger.minted.items()),
        "faults": [fault.to_document() for fault in world.faults.active()],
    }
    return web.json_response(body)


def _account(world: World, address: str) -> JsonObject:
    network, ledger = world.chain.network, world.chain.ledger
    return {
        "address": address,
        "stx": str(ledger.balance(address)),
        "sbtc": str(ledger.balance(address, sbtc(network).asset_id)),
        "usdcx": str(ledger.balance(address, usdcx(network).asset_id)),
    }


@routes.post("/faucet")
async def faucet(request: web.Request) -> web.Response:
    """Gives micro-STX, sats of sBTC and micro-USDCx to a principal of this network, at once."""
    body, world = await json_body(request), request.app[WORLD]
    network = world.chain.network
    try:
        who = Principal.parse(str(body.get("address", ""))[:100])
    except AddressError as error:
        raise bad_request(f"address: {error}") from error
    if who.network is not network:
        raise bad_request(f"address is not of {network.value}")
    assets = {"stx": STX, "sbtc": sbtc(network).asset_id, "usdcx": usdcx(network).asset_id}
    amounts = {asset: _count(body.get(name, 0), name, FAUCET_UNITS_MAX) for name, asset in assets.items()}
    try:
        for asset, amount in amounts.items():
            if amount:
                world.chain.faucet(str(who), asset, amount)
    except ValueError as error:
        raise bad_request(str(error)) from error
    world.commit()
    return web.json_response(_account(world, str(who)))


@routes.post("/mine")
async def mine(request: web.Request) -> web.Response:
    """Mines `count` blocks now."""
    body, world = await json_body(request), request.app[WORLD]
    blocks = [world.mine() for _ in range(_count(body.get("count", 1), "count", MINE_MAX))]
    txids = [txid for block in blocks for txid in block.txids]
    return web.json_response({"height": world.chain.height, "txids": txids})


@routes.post("/reorg")
async def reorganise(request: web.Request) -> web.Response:
    """Undoes the newest `blocks`; with `vanish` their transactions are forgotten altogether."""
    body, world = await json_body(request), request.app[WORLD]
    return _reorganise(world, body)


def _reorganise(world: World, body: JsonObject) -> web.Response:
    blocks, vanish = _count(body.get("blocks", 1), "blocks", MINE_MAX), body.get("vanish", False)
    if not isinstance(vanish, bool):
        raise bad_request("vanish is true or false")
    txids = world.chain.reorganise(blocks, vanish=vanish)
    world.commit()
    return web.json_response({"height": world.chain.height, "txids": txids})


def _forget_caches(world: World, body: JsonObject) -> web.Response:
    world.relay.memory.forget_caches()
    world.commit()
    return web.json_response({"forgotten": True})


def _drop(world: World, body: JsonObject) -> web.Response:
    txid, word = str(body.get("txid", "")).removeprefix("0x"), str(body.get("status", GARBAGE_COLLECTED))
    try:
        world.chain.drop(txid, word)
    except ValueError as error:
        raise bad_request(str(error)) from error
    world.commit()
    return web.json_response({"txid": txid, "status": word})


_ACTS = {"reorg": _reorganise, "drop": _drop, "forget_caches": _forget_caches}


def act(world: World, body: JsonObject) -> web.Response | None:
    """Does what `kind` names at once; None when it is a switch and not an act. Raises HTTPBadRequest for what cannot be done."""
    work = _ACTS.get(str(body.get("kind")))
    return None if work is None else work(world, body)


@routes.post("/faults")
async def add_fault(request: web.Request) -> web.Response:
    """Turns a switch on; an act (`reorg`, `drop`, `forget_caches`) happens at once instead."""
    body, world = await json_body(request), request.app[WORLD]
    done = act(world, body)
    if done is not None:
        return done
    try:
        fault = world.faults.add(parse_fault(body))
    except ValueError as error:
        raise bad_request(str(error)) from error
    return web.json_response(fault.to_document(), status=201)


@routes.get("/faults")
async def list_faults(request: web.Request) -> web.Response:
    """The switches that are on."""
    return web.json_response({"faults": [fault.to_document() for fault in request.app[WORLD].faults.active()]})


@routes.delete("/faults")
async def clear_faults(request: web.Request) -> web.Response:
    """Turns all switches off."""
    return web.json_response({"removed": request.app[WORLD].faults.clear()})


@routes.delete("/faults/{id:[0-9]{1,9}}")
async def remove_fault(request: web.Request) -> web.Response:
    """Turns one switch off."""
    if not request.app[WORLD].faults.remove(int(request.match_info["id"])):
        return web.json_response({"error": "no such fault"}, status=404)
    return web.json_response({"removed": 1})


@routes.post("/agents")
async def register(request: web.Request) -> web.Response:
    """Registers a pair at a level, or changes its level, without any signature."""
    body, world = await json_body(request), request.app[WORLD]
    level, name = _count(body.get("level", 2), "level", 2), body.get("displayName")
    btc, stx = str(body.get("btcAddress", "")), str(body.get("stxAddress", ""))
    at = iso(world.clock.now())
    try:
        agent = world.registry.register(btc, stx, level, at, None if name is None else str(name))
    except RegistrationError as error:
        raise bad_request(str(error)) from error
    world.commit()
    return web.json_response({**agent.public(), **agent.standing}, status=201)


def _prices(world: World) -> web.Response:
    modes = {source: behaviour.mode for source, behaviour in world.prices.behaviours.items()}
    return web.json_response({"usd": {k: f"{v:f}" for k, v in world.prices.usd.items()}, "sources": modes})


@routes.get("/prices")
async def prices(request: web.Request) -> web.Response:
    """The true prices and how each source behaves."""
    return _prices(request.app[WORLD])


@routes.post("/prices")
async def set_prices(request: web.Request) -> web.Response:
    """Sets true prices: `{STX?, BTC?, USDC?}` in dollars."""
    body, world = await json_body(request), request.app[WORLD]
    try:
        for symbol in SYMBOLS:
            if symbol in body:
                world.prices.set_price(symbol, body[symbol])
    except ValueError as error:
        raise bad_request(str(error)) from error
    return _prices(world)


@routes.post("/prices/{source}")
async def set_source(request: web.Request) -> web.Response:
    """Makes one source honest, lie, lag, jump, freeze, vanish, hang or garble: `{mode, factor?, seconds?, symbols?, body?}`."""
    body, world = await json_body(request), request.app[WORLD]
    try:
        world.prices.set_behaviour(
            request.match_info["source"],
            str(body.get("mode", "ok")),
            body.get("factor", 1),
            body.get("seconds", 0),
            symbols=body.get("symbols", LIED_ABOUT),
            body=body.get("body", "text"),
        )
    except ValueError as error:
        raise bad_request(str(error)) from error
    return _prices(world)
