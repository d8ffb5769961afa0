"""An owner's routes, and money for buckets."""

from actors.view import View
from actors.wallet.calls import Route
from actors.wallet.commands import SetRoutes
from gate.context import RequestContext, action
from gate.identity.callers import Caller
from gate.parts.services import Services
from gate.payments.offers import Price
from gate.payments.paywall import buy
from gate.payments.required import Purchase
from gate.wire.outcomes import Reply
from gate.wire.port_origins import PortOrigins
from operations import routes as r
from operations.errors import SatboxError
from stacks import Address, AddressError

USAT_PER_SAT = 1_000_000


def _shown(services: Services, view: View, caller: Caller) -> r.Routes:
    """The routes that this caller may call. Others are left out, as the route itself would answer 404."""
    address, base = view.state.address, f"{services.settings.public_url}/sandbox/proxy"
    origins = PortOrigins.of(services.settings.public_url, services.settings.ports_host)
    who = None if caller.gate_pass is None else caller.gate_pass.address
    is_whole = caller.is_operator or who == address
    if caller.gate_pass is not None and caller.gate_pass.scope != "owner":
        who = None  # as at the port itself: only a whole pass is its wallet's word to others
    items = [
        r.RouteShown(
            port=one.port, path=one.path, methods=list(one.methods), sats=one.sats, callers=one.callers,
            addresses=list(one.addresses) if is_whole else [],
            rate_per_minute=one.rate_per_minute, deliver_on=one.deliver_on, wakes=one.wakes, wakes_per_hour=one.wakes_per_hour,
            url=f"{base}/{address}/{one.port}{one.path}", origin=origins.url(address, one.port),
        )
        for one in view.state.routes if is_whole or _may_know(one, who)
    ]  # fmt: skip
    return r.Routes(
        address=address, is_whole=is_whole, fee_percent=services.settings.policy.call_fee_bps / 100, items=items
    )


def _may_know(route: Route, who: str | None) -> bool:
    """Whether a stranger could call it, going by the pass they carry."""
    if route.callers == "genesis":
        return who is not None
    return route.callers == "anyone" or (route.callers == "list" and who in route.addresses)


@action("routes.set")
async def set_routes(context: RequestContext, data: r.RoutesInput) -> r.Routes:
    """In force when this answers, here; at other gates within a second."""
    services, caller = context.services, context.caller
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
    return _shown(services, services.views.put(await services.system.ask(address, SetRoutes(routes))), caller)


@action("routes.list")
async def list_routes(context: RequestContext, data: r.RoutesOf) -> r.Routes:
    """Prices are for everybody to see who may call."""
    services, caller = context.services, context.caller
    if data.address is None and caller.gate_pass is None:
        raise SatboxError("pass_missing", "Whose routes? Name the address, or send a pass for your own.")
    view = await services.views.get(caller.address(data.address))
    if not view.state.is_planned:
        raise SatboxError(
            "wallet_not_found", "This wallet has no sandbox here, and sells nothing.", hint="Check the address."
        )
    return _shown(services, view, caller)


@action("bucket.show")
async def bucket(context: RequestContext, data: r.BucketOf) -> r.Bucket:
    """A bucket's balance is public, as on wake pages: payers need no registration, so many cannot prove who they are."""
    services = context.services
    view = await services.views.get(data.address)
    if not view.state.exists:
        raise SatboxError("wallet_not_found", "Nothing was ever put into this bucket.", hint="Check the address.")
    accounts = view.state.accounts
    return r.Bucket(address=data.address, balance_usat=accounts.bucket, reserved_usat=accounts.reserved)


@action("bucket.deposit")
async def deposit(context: RequestContext, data: r.DepositInput) -> Reply:
    """Into any bucket, by anybody; nothing is started."""
    services, caller = context.services, context.caller
    network = services.settings.network
    try:
        address = Address.parse(data.address)
    except AddressError as error:
        raise SatboxError("stx_address_invalid", details={"reason": str(error)}) from error
    if address.version != network.single_sig_version or str(address) != data.address:
        raise SatboxError("stx_network_mismatch", details={"expected": network.caip2})
    body = data.model_dump(mode="json")
    purchase = Purchase("deposit", data.address, Price(data.sats * USAT_PER_SAT, 0), body, wakes=False)
    return await buy(services, context.means, caller, purchase)
