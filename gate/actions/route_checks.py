"""Which route a call would fall under, by the rule that decides it for callers."""

from gate.context import RequestContext, action
from gate.reach.matching import route_for
from operations.errors import SatboxError
from operations.route_checks import RouteCheck, RouteCheckInput


@action("routes.check")
async def check(context: RequestContext, data: RouteCheckInput) -> RouteCheck:
    """Raises path_ambiguous for a path that servers read in two ways, as the call itself would."""
    address = context.caller.owned(data.address)
    view = await context.services.views.get(address)
    if not view.state.is_planned:
        raise SatboxError("wallet_not_found")
    routes = view.state.routes
    found = route_for(routes, data.port, data.method, data.path)
    if found is None:
        return RouteCheck(route=None)
    number = routes.index(found) + 1
    return RouteCheck(route=number, path=found.path, sats=found.sats, callers=found.callers, wakes=found.wakes)
