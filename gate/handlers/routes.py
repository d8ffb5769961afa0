"""An owner's routes, and money for buckets."""

from aiohttp import web

from actors.view import View
from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from gate.callers import Caller
from gate.offers import Price
from gate.paywall import Purchase, buy
from gate.ports import Services
from gate.routing import Handler
from operations import routes as r
from operations.errors import SatboxError
from stacks import Address, AddressError

USAT_PER_SAT = 1_000_000


def _shown(services: Services, view: View) -> r.Routes:
    address, base = view.state.address, f"{services.settings.public_url}/sandbox/proxy"
    items = [
        r.RouteShown(
            port=one.port, path=one.path, methods=list(one.methods), sats=one.sats, callers=one.callers,
            rate_per_minute=one.rate_per_minute, deliver_on=one.deliver_on, wakes=one.wakes, wakes_per_hour=one.wakes_per_hour,
            url=f"{base}/{address}/{one.port}{one.path}",
        )
        for one in view.state.routes
    ]  # fmt: skip
    return r.Routes(address=address, fee_percent=services.settings.policy.call_fee_bps / 100, items=items)


async def set_routes(services: Services, request: web.Request, caller: Caller, data: r.RoutesInput) -> r.Routes:
    """In force when this answers, here; at other gates within a second."""
    address = caller.owned(data.address)
    for number, one in enumerate(data.routes):
        if bool(one.addresses) != (one.callers == "list"):
            raise SatboxError(
                "invalid_request", details={f"routes[{number}].addresses": "with callers=list, and only then"}
            )
    routes = tuple(
        Route(
            one.port, one.path, tuple(one.methods), one.sats, one.callers, tuple(one.addresses), one.rate_per_minute,
            one.deliver_on, one.wakes, one.wakes_per_hour,
        )
        for one in data.routes
    )  # fmt: skip
    return _shown(services, services.views.put(await services.system.ask(address, SetRoutes(routes))))


async def list_routes(services: Services, request: web.Request, caller: Caller, data: r.RoutesOf) -> r.Routes:
    """Prices are for everybody to see."""
    view = await services.views.get(data.address)
    if not view.state.is_planned:
        raise SatboxError("wallet_not_found")
    return _shown(services, view)


async def deposit(services: Services, request: web.Request, caller: Caller, data: r.DepositInput) -> web.StreamResponse:
    """Into any bucket, by anybody; nothing is started."""
    network = services.settings.network
    try:
        address = Address.parse(data.address)
    except AddressError as error:
        raise SatboxError("stx_address_invalid", details={"reason": str(error)}) from error
    if address.version != network.single_sig_version or str(address) != data.address:
        raise SatboxError("stx_network_mismatch", details={"expected": network.caip2})
    body = data.model_dump(mode="json")
    purchase = Purchase("extend", data.address, Price(data.sats * USAT_PER_SAT, 0), body, wakes=False)
    return await buy(services, request, caller, purchase)


HANDLERS: dict[str, Handler] = {"routes.set": set_routes, "routes.list": list_routes, "bucket.deposit": deposit}
